"""The deterministic simulation (`make simulate`): seeds a second, and how many days of members' lives that is."""

from __future__ import annotations

import time
from collections.abc import Iterable

from bench.figure import Figure, figure
from tests.simulation.baton import DAY
from tests.simulation.run import run_seed

SEEDS, QUICK_SEEDS = 200, 5


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """The same seeds in every run, in one process."""
    seeds, days = list[float](), list[float]()
    count = QUICK_SEEDS if quick else SEEDS
    for _ in range(runs):
        begin, lived = time.perf_counter(), 0.0
        for seed in range(count):
            run = run_seed(seed)
            assert run.violation is None, (seed, run.violation)
            lived += len(run.plan.members) * run.world.baton.now / DAY
        seconds = time.perf_counter() - begin
        seeds.append(count / seconds)
        days.append(lived / seconds)
    yield figure("simulation", "seeds in one process", seeds, "/s")
    yield figure("simulation", "member-days", days, "/s")
