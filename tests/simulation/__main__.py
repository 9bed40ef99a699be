"""`python -m tests.simulation`: run many seeds, one seed with its trace, or the mutations.

::

    python -m tests.simulation --seeds 2000 --first 0 --jobs 2     many; the first that fails is shrunk and printed
    SEED=17 python -m tests.simulation                              one, with the trace of all that happened
    python -m tests.simulation --mutations                          the engine with its safeguards taken away, one by one
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context

from tests.simulation.mutations import MUTATIONS, find
from tests.simulation.run import Run, run_block, run_seed
from tests.simulation.shrink import shrink

BLOCK_SEEDS = 50
"""Seeds that a process is given at once."""
REPORT_SECONDS = 10
DEFAULT_SEEDS = 2_000


def main() -> int:
    """The exit code: 0 where every rule held in every seed."""
    arguments = _arguments()
    if arguments.mutations:
        return _run_mutations()
    if arguments.seed is not None:
        return _run_one(arguments.seed)
    return _run_many(arguments.first, arguments.seeds, arguments.jobs)


def _arguments() -> argparse.Namespace:
    """The variables SEED and SEEDS stand for the options of that name, for `make simulate`."""
    seed, seeds = os.environ.get("SEED"), os.environ.get("SEEDS")
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Deterministic simulation of the engine.")
    parser.add_argument("--seeds", type=int, default=int(seeds) if seeds else DEFAULT_SEEDS, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--seed", type=int, default=int(seed) if seed else None, help="one seed, with its trace")
    parser.add_argument("--mutations", action="store_true", help="take the safeguards away, one by one")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _run_one(seed: int) -> int:
    run = run_seed(seed)
    for line in run.world.trace:
        _say(str(line))
    _say(f"\nseed {seed}: {run.plan.size}\nfaults: {run.plan.swarm}\ntrace: {run.digest}")
    if run.violation is None:
        _say("every rule held")
        return 0
    _explain(run)
    return 1


def _explain(run: Run) -> None:
    """The violation, and the smallest plan that breaks the same rule."""
    _say(f"\nVIOLATION in seed {run.plan.seed}: {run.violation}")
    smallest, reruns = shrink(run)
    if smallest is run:
        _say(f"not shrunk: nothing could be left out; tried {reruns} times")
        return
    _say(f"\nshrunk by {reruns} reruns to: {smallest.plan.size}\nfaults: {smallest.plan.swarm}\n{smallest.violation}\n")
    for line in smallest.world.trace:
        _say(str(line))


def _run_many(first: int, seeds: int, jobs: int) -> int:
    began = told = time.monotonic()
    done, failed = 0, None
    for block, seed in _blocks(first, seeds, jobs):
        done += block
        if seed is not None:
            failed = seed
            break
        if time.monotonic() - told > REPORT_SECONDS:
            told = time.monotonic()
            _say(f"{done:,} of {seeds:,} seeds, {done / (told - began):.0f} a second")
    took = time.monotonic() - began
    _say(f"simulate: seeds={done} first={first} violations={int(failed is not None)} seconds={took:.0f} jobs={jobs}")
    if failed is None:
        return 0
    _say(f"SEED={failed} make simulate    runs it again")
    _run_one(failed)
    return 1


def _blocks(first: int, seeds: int, jobs: int) -> Iterator[tuple[int, int | None]]:
    """For each block of seeds how many held, and the one that did not, as they come."""
    starts = [range(start, min(start + BLOCK_SEEDS, first + seeds)) for start in range(first, first + seeds, BLOCK_SEEDS)]
    if jobs == 1:
        yield from map(run_block, starts)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(run_block, starts)


def _run_mutations() -> int:
    missed = 0
    _say(f"{'mutation':<54} {'found by seed':>13}  {'bound':>5}  what it says")
    for mutation in MUTATIONS.values():
        found = find(mutation, search=True)
        missed += found.seed is None
        shown = "none" if found.seed is None else str(found.seed)
        _say(f"{mutation.name:<54} {shown:>13}  {mutation.within:>5}  {(found.violation or '')[:90]}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
