"""`sweep`: the minute tick. Whatever should have moved and did not is published again (design, section 7).

::

    tick ─▶ one message per group of shards ─▶ per shard: sweep_at <= now, oldest first
                                                 first sight: publish, write nothing
                                                 seen again:  bump sweep_at (1 min … 1 h), then publish

The bump keeps a slow consumer from being fed twice: without it an outage multiplies its own backlog every minute. It never
gives up; after `STUCK_AFTER` fruitless sweeps a member is counted as stuck, which alerts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sojourn.application.enroll import lost_pages
from sojourn.application.lifecycle import end_due
from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC, SWEEPS_TOPIC, EffectMessage, RunMessage, SweepMessage
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.records import MAX_PAGE, CommitResult, S, Stored, Update
from sojourn.application.settling import settle, settle_message
from sojourn.application.workshop import Workshop
from sojourn.domain.effect import Effect
from sojourn.domain.progress import Progress

SHARDS_PER_GROUP = 16
LOOK_BACK = timedelta(minutes=15)
"""An ordinary sweep looks no further back: the index is full of what was deleted there (Google's best practices on queries)."""
DEEP_EVERY_MINUTES = 10
FIRST_SIGHT = timedelta(seconds=90)
"""Overdue by less: its message may be on its way, publish without a write. By more: bump first."""
MAX_BACKOFF_MINUTES = 60
STUCK_AFTER = 10


def sweep(shop: Workshop, messages: Sequence[SweepMessage]) -> list[Outcome]:
    """Sweep the shards of each message, or settle its journey; a message that names neither is the tick."""
    return [_handle(shop, message) for message in messages]


def _handle(shop: Workshop, message: SweepMessage) -> Outcome:
    if message.settle is not None:
        return settle(shop, message.settle)
    return _tick(shop) if message.shards is None else _sweep(shop, message.shards, message.deep)


def _tick(shop: Workshop) -> Outcome:
    """End the journeys whose time is over, then fan out. A single group is swept at once, without a message."""
    now = shop.now()
    ended = end_due(shop, now)
    shop.publish_many([settle_message(head.id) for head in shop.store.journeys_to_settle()])
    shop.publish_many(lost_pages(shop, now))
    deep = now.minute % DEEP_EVERY_MINUTES == 0
    shards = range(shop.limits.shards)
    if len(shards) <= SHARDS_PER_GROUP:
        return replace(swept := _sweep(shop, tuple(shards), deep), notes=(*["journey_ended"] * ended, *swept.notes))
    groups = [tuple(shards[start : start + SHARDS_PER_GROUP]) for start in range(0, len(shards), SHARDS_PER_GROUP)]
    sent = shop.publish_many([SweepMessage(shards=group, deep=deep).to(SWEEPS_TOPIC) for group in groups])
    return Outcome("fanned_out", notes=("journey_ended",) * ended) if all(sent) else UNAVAILABLE


def _sweep(shop: Workshop, shards: Sequence[int], deep: bool) -> Outcome:
    now = shop.now()
    since = None if deep else now - LOOK_BACK
    counts: Counter[str] = Counter()
    for shard in shards:
        for progress in _pages(shop, Progress, shard, since=since, until=now):
            counts += _requeue(shop, progress, now)
        for effects in _pages(shop, Effect, shard, since=since, until=now):
            counts += _requeue(shop, effects, now)
    notes = tuple(counts.elements())
    return replace(UNAVAILABLE, notes=notes) if counts["not_published"] else Outcome("swept", notes=notes)


def _pages(shop: Workshop, kind: type[S], shard: int, *, since: datetime | None, until: datetime) -> Iterator[list[Stored[S]]]:
    after: Stored[S] | None = None
    while True:
        page = shop.store.due(kind, shard, since=since, until=until, after=after)
        if page:
            yield page
        if len(page) < MAX_PAGE:
            return
        after = page[-1]


def _requeue(shop: Workshop, page: Sequence[Stored[S]], now: datetime) -> Counter[str]:
    """Publish a page: at first sight as it is, otherwise what could be bumped."""
    first: list[S] = [stored.value for stored in page if _first_sight(stored, now)]
    seen = [stored for stored in page if not _first_sight(stored, now)]
    bumped = [(_bumped(shop, stored, now), stored) for stored in seen]
    results = shop.commit_many([(Update(record, stored.version),) for record, stored in bumped])
    again: list[S] = [record for (record, _), result in zip(bumped, results, strict=True) if result is CommitResult.APPLIED]
    sent = shop.publish_many([_message(record) for record in (*first, *again)])
    stuck = sum(record.sweep_count >= STUCK_AFTER for record in again)
    return Counter(requeued=sum(sent), stuck=stuck, not_published=len(sent) - sum(sent))


def _first_sight(stored: Stored[S], now: datetime) -> bool:
    record = stored.value
    return record.sweep_count == 0 and record.sweep_at is not None and now - record.sweep_at < FIRST_SIGHT


def _bumped(shop: Workshop, stored: Stored[S], now: datetime) -> S:
    """Only when to look again changes, and the token; `rev` stays, so the member's own message still counts."""
    record = stored.value
    pause = timedelta(minutes=min(2**record.sweep_count, MAX_BACKOFF_MINUTES))
    return replace(record, sweep_at=now + pause, sweep_count=record.sweep_count + 1, token=shop.tokens.token())


def _message(record: Progress | Effect) -> Outgoing:
    if isinstance(record, Progress):
        return RunMessage(progress_id=record.id, rev=record.rev).to(RUNS_TOPIC)
    return EffectMessage(effect_id=record.id).to(EFFECTS_TOPIC)
