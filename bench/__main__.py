"""`make bench`: the engine alone, the whole in-process way, the cold start.

Machines are shared and noisy, so a figure alone says little. Every throughput is therefore also given as a ratio to a reference
loop that the same run measures between the same two samples (sha256 of 64 bytes: plain CPU, no allocation to speak of), and the
best of several samples is taken: noise only ever slows down.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from bench import cold_start, engine, in_process

SAMPLES = 15
REFERENCE_LOOPS = 200_000


@dataclass(frozen=True, slots=True)
class Figure:
    """A throughput: the best sample, and its ratio to the reference measured right beside it."""

    name: str
    per_second: float
    ratio: float
    target_per_second: float


def measure(name: str, sample: Callable[[], tuple[int, float]], *, target: float) -> Figure:
    """Take samples of (operations, seconds), a reference beside each."""
    figures = []
    for _ in range(SAMPLES):
        reference = reference_per_second()
        operations, seconds = sample()
        figures.append((operations / seconds, operations / seconds / reference))
    best = max(figures)
    return Figure(name, best[0], best[1], target)


def reference_per_second() -> float:
    """sha256 digests of 64 bytes a second."""
    block = b"x" * 64
    begin = time.perf_counter()
    for _ in range(REFERENCE_LOOPS):
        hashlib.sha256(block).digest()
    return REFERENCE_LOOPS / (time.perf_counter() - begin)


def main() -> None:
    """Measure everything; `--json` prints it for machines. Exit code 1 where a target is missed."""
    figures = [
        measure("advance: node steps", engine.node_steps, target=30_000),
        measure("in-process: hops (push body, function, memory store)", in_process.hops, target=1_500),
    ]
    starts = cold_start.imports()
    if "--json" in sys.argv[1:]:
        sys.stdout.write(json.dumps({"throughput": [asdict(f) for f in figures], "import": [asdict(s) for s in starts]}) + "\n")
        return
    for figure in figures:
        sys.stdout.write(
            f"{figure.name:<56} {figure.per_second:>10,.0f} /s  (target {figure.target_per_second:,.0f}; "
            f"{figure.ratio:.4f} of the reference)\n"
        )
    for start in starts:
        sys.stdout.write(
            f"{'import functions/' + start.function + '/main.py':<56} {start.seconds:>10.2f} s   "
            f"(target 0.80) {start.peak_mib:>5.0f} MiB (target 120)\n"
        )


if __name__ == "__main__":
    main()
