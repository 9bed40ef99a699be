"""A sweep of 1,000 due members among 10,000, 100,000 and 1,000,000 who are parked in a wait, on memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from statistics import median

from bench.counting import Ledger, counting_store
from bench.engine import entered, journey
from bench.figure import Figure, figure
from bench.reference import START, on_memory
from sojourn.application.messages import SweepMessage
from sojourn.application.records import Commit, Create
from sojourn.application.sweep import sweep
from sojourn.application.workshop import Workshop
from sojourn.domain.ids import derived_id, shard_of
from sojourn.domain.progress import Status
from sojourn.runtime.application import InMemory

PARKED, QUICK_PARKED = (10_000, 100_000, 1_000_000), (1_000, 10_000)
DUE = 1_000
TARGET_RATIO = 1.5


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """The same members are due for every sweep: at first sight nothing is written.

    Of the documents read, one for each shard and kind is what a query costs that finds nothing more.
    """
    seconds: dict[int, list[float]] = {}
    for parked in QUICK_PARKED if quick else PARKED:
        cloud = _filled(parked)
        ledger = Ledger()
        swept(replace(cloud.shop, store=counting_store(cloud.store, ledger)))  # fills caches, too
        seconds[parked] = [swept(cloud.shop) for _ in range(runs)]
        assert not cloud.store.writes
        milliseconds = [1_000 * each for each in seconds[parked]]
        yield figure("sweep, memory", f"{DUE:,} due among {parked:,}", milliseconds, "ms")
        yield figure("sweep, memory", f"documents read, {DUE:,} due among {parked:,}", [ledger.now.reads], "")
    least, *_, most = map(median, seconds.values())
    yield figure("sweep, memory", "the most parked to the fewest", [most / least], "", most=TARGET_RATIO)


def _filled(parked: int) -> InMemory:
    cloud = on_memory()
    for commit in members(parked, cloud.shop.limits.shards):
        cloud.store.commit_many([commit])
    cloud.store.forget_counts()
    return cloud


def members(parked: int, shards: int) -> Iterator[Commit]:
    """Creations of members in a wait, `DUE` of whom are due at `START`."""
    waiting = replace(entered(journey()), status=Status.WAITING, node_id="wait", schedule_at=START + timedelta(days=1))
    for number in range(parked):
        identifier = derived_id(number)
        at = START if number < DUE else START + timedelta(days=1)
        yield (Create(replace(waiting, id=identifier, sweep_at=at, shard=shard_of(identifier, shards))),)


def swept(shop: Workshop) -> float:
    """Seconds of a sweep of all shards; everybody who is due is published."""
    begin = time.perf_counter()
    (outcome,) = sweep(shop, [SweepMessage(shards=tuple(range(shop.limits.shards)))])
    seconds = time.perf_counter() - begin
    assert outcome.notes.count("requeued") == DUE, outcome.code
    return seconds
