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

from sojourn.application.checkup import check_page, checkup_messages
from sojourn.application.dead_letters import drain_all
from sojourn.application.enroll import lost_pages
from sojourn.application.failing import pause_failing
from sojourn.application.lifecycle import end_due
from sojourn.application.messages import SWEEPS_TOPIC, SweepMessage, message_about
from sojourn.application.outcome import UNAVAILABLE, Measure, Outcome
from sojourn.application.records import CommitResult, Page, S, Stored, Update
from sojourn.application.settling import settle, settle_message
from sojourn.application.workshop import Workshop
from sojourn.domain.effect import Effect
from sojourn.domain.errors import Unavailable
from sojourn.domain.progress import STUCK_AFTER as STUCK_AFTER
from sojourn.domain.progress import Progress

SHARDS_PER_GROUP = 16
LOOK_BACK = timedelta(minutes=15)
"""An ordinary sweep looks no further back: the index is full of what was deleted there (Google's best practices on queries)."""
DEEP_EVERY_MINUTES = 10
FIRST_SIGHT = timedelta(seconds=90)
"""Overdue by less: its message may be on its way, publish without a write. By more: bump first."""
MAX_BACKOFF_MINUTES = 60


def sweep(shop: Workshop, messages: Sequence[SweepMessage]) -> list[Outcome]:
    """Sweep the shards of each message, settle its journey, or check a page; a message that names none of them is the tick."""
    return [_handle(shop, message) for message in messages]


def _handle(shop: Workshop, message: SweepMessage) -> Outcome:
    if message.settle is not None:
        return settle(shop, message.settle)
    if message.checkup:
        return check_page(shop)
    return _tick(shop) if message.shards is None else _sweep(shop, message.shards, message.deep)


def _tick(shop: Workshop) -> Outcome:
    """End the journeys whose time is over, publish again what was lost, sweep, pause what fails, drain the dead letters."""
    now = shop.now()
    ended = ("journey_ended",) * end_due(shop, now)
    shop.publish_many([settle_message(head.id) for head in shop.store.journeys_to_settle()])
    shop.publish_many(lost_pages(shop, now))
    shop.publish_many(checkup_messages(shop, now))
    swept = _sweep_all(shop, deep=now.minute % DEEP_EVERY_MINUTES == 0)
    return replace(swept, notes=(*ended, *swept.notes, *_paused(shop, now), *_drained(shop)))


def _paused(shop: Workshop, now: datetime) -> tuple[str, ...]:
    """What cannot be counted now is counted a minute later."""
    try:
        return ("journey_paused",) * pause_failing(shop, now)
    except Unavailable:
        return ("failures_unavailable",)


def _drained(shop: Workshop) -> tuple[str, ...]:
    """Letters wait for days; a tick that came again for their sake would sweep again."""
    try:
        counts = drain_all(shop)
    except Unavailable:
        return ("letters_unavailable",)
    return (*["dead_lettered"] * counts.total(), *counts.elements())


def _sweep_all(shop: Workshop, *, deep: bool) -> Outcome:
    """Fan out over groups of shards. A single group is swept at once, without a message."""
    shards = range(shop.limits.shards)
    if len(shards) <= SHARDS_PER_GROUP:
        return _sweep(shop, tuple(shards), deep)
    groups = [tuple(shards[start : start + SHARDS_PER_GROUP]) for start in range(0, len(shards), SHARDS_PER_GROUP)]
    sent = shop.publish_many([SweepMessage(shards=group, deep=deep).to(SWEEPS_TOPIC) for group in groups])
    return Outcome("fanned_out") if all(sent) else UNAVAILABLE


def _sweep(shop: Workshop, shards: Sequence[int], deep: bool) -> Outcome:
    now = shop.now()
    since = None if deep else now - LOOK_BACK
    counts: Counter[str] = Counter()
    moments: list[datetime] = []
    for shard in shards:
        for progress in due_pages(shop, Progress, shard, since=since, until=now):
            counts += _requeue(shop, progress, now)
            moments += _oldest(progress)
        for effects in due_pages(shop, Effect, shard, since=since, until=now):
            counts += _requeue(shop, effects, now)
            moments += _oldest(effects)
    lag: dict[Measure, float] = {"sweep_lag_seconds": (now - min(moments)).total_seconds()} if moments else {}
    outcome = UNAVAILABLE if counts["not_published"] else Outcome("swept")
    return replace(outcome, notes=tuple(counts.elements()), measures=lag)


def due_pages(shop: Workshop, kind: type[S], shard: int, *, since: datetime | None, until: datetime) -> Iterator[Page[S]]:
    """What is due in a shard, page by page, the oldest first."""
    page = shop.store.due(kind, shard, since=since, until=until)
    yield page
    while page.after is not None:
        page = shop.store.due(kind, shard, since=since, until=until, after=page.after)
        yield page


def _oldest(page: Page[S]) -> list[datetime]:
    return [stored.value.sweep_at for stored in page.found[:1] if stored.value.sweep_at is not None]


def _requeue(shop: Workshop, page: Page[S], now: datetime) -> Counter[str]:
    """Publish a page: at first sight as it is, otherwise what could be bumped. What cannot be read is counted, and left."""
    first: list[S] = [stored.value for stored in page.found if _first_sight(stored, now)]
    seen = [stored for stored in page.found if not _first_sight(stored, now)]
    bumped = [(_bumped(shop, stored, now), stored) for stored in seen]
    results = shop.commit_many([(Update(record, stored.version, stored.value),) for record, stored in bumped])
    again: list[S] = [record for (record, _), result in zip(bumped, results, strict=True) if result is CommitResult.APPLIED]
    sent = shop.publish_many([message_about(record) for record in (*first, *again)])
    stuck = sum(record.sweep_count >= STUCK_AFTER for record in again)
    unreadable = len(page.unreadable)
    return Counter(requeued=sum(sent), stuck=stuck, unreadable=unreadable, not_published=len(sent) - sum(sent))


def _first_sight(stored: Stored[S], now: datetime) -> bool:
    record = stored.value
    return record.sweep_count == 0 and record.sweep_at is not None and now - record.sweep_at < FIRST_SIGHT


def _bumped(shop: Workshop, stored: Stored[S], now: datetime) -> S:
    """Only when to look again changes, and the token; `rev` stays, so the member's own message still counts."""
    record = stored.value
    pause = timedelta(minutes=min(2**record.sweep_count, MAX_BACKOFF_MINUTES))
    return replace(record, sweep_at=now + pause, sweep_count=record.sweep_count + 1, token=shop.tokens.token())
