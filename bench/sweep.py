"""A sweep of 1,000 due members among 10,000, 100,000 and 1,000,000 who are parked in a wait, on memory."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from statistics import median

from bench.engine import entered, journey
from bench.figure import Figure, figure
from bench.reference import START, on_memory
from sojourn.application.messages import SweepMessage
from sojourn.application.records import Create
from sojourn.application.sweep import sweep
from sojourn.domain.ids import derived_id, shard_of
from sojourn.domain.progress import Progress, Status
from sojourn.runtime.application import InMemory

PARKED, QUICK_PARKED = (10_000, 100_000, 1_000_000), (1_000, 10_000)
DUE = 1_000
TARGET_RATIO = 1.5


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """The same members are due for every sweep: at first sight nothing is written."""
    seconds: dict[int, list[float]] = {}
    for parked in QUICK_PARKED if quick else PARKED:
        cloud = _filled(parked)
        seconds[parked] = [_sweep(cloud) for _ in range(runs + 1)][1:]  # the first fills caches
        milliseconds = [1_000 * each for each in seconds[parked]]
        yield figure("sweep, memory", f"{DUE:,} due among {parked:,}", milliseconds, "ms")
    least, *_, most = map(median, seconds.values())
    yield figure("sweep, memory", "the most parked to the fewest", [most / least], "", most=TARGET_RATIO)


def _filled(parked: int) -> InMemory:
    cloud = on_memory()
    waiting = replace(entered(journey()), status=Status.WAITING, node_id="wait", schedule_at=START + timedelta(days=1))
    for number in range(parked):
        cloud.store.commit_many([(Create(_member(waiting, number, cloud)),)])
    return cloud


def _member(waiting: Progress, number: int, cloud: InMemory) -> Progress:
    identifier = derived_id(number)
    at = START if number < DUE else START + timedelta(days=1)
    return replace(waiting, id=identifier, sweep_at=at, shard=shard_of(identifier, cloud.shop.limits.shards))


def _sweep(cloud: InMemory) -> float:
    cloud.store.forget_counts()
    begin = time.perf_counter()
    (outcome,) = sweep(cloud.shop, [SweepMessage(shards=tuple(range(cloud.shop.limits.shards)))])
    seconds = time.perf_counter() - begin
    assert outcome.notes.count("requeued") == DUE, outcome.code
    assert not cloud.store.writes
    return seconds
