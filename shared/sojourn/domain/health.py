"""Health: whether everything that is on its way has exactly one future, and what ails what has not. Pure.

::

    a progress ── terminal ─▶ no sweep, an end of its time
               ├─ parked ───▶ its journey is PAUSED, or is being settled
               └─ live ─────▶ a moment at which the sweep looks, in a shard that is swept, and not long ago
                               waits ─▶ for a moment, or for an effect that is on its way itself

What is between two states for a moment is not ill: whoever parks, ends, or finishes is given `SETTLED`, a hop nothing, for it
is one write. The doctor reads what looks ill a second time before it says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect
from sojourn.domain.journey import Entries, Journey, JourneyStatus
from sojourn.domain.progress import MAX_TRAIL_STEPS, STUCK_AFTER, Progress, Status, due_for_sweep

SETTLED = timedelta(minutes=10)
"""How long after its last write a document may still be caught up with: cached heads, second looks, messages on their way."""
OVERDUE = timedelta(minutes=30)
"""The sweep looks at everything every ten minutes, and bumps what it has seen before."""
FAR_OFF = timedelta(days=1)
"""A sweep so long after the moment that a member waits for is none; resuming eight million members takes a day."""
TAKEN = timedelta(hours=1)
"""A member who awaits a result looks at it every ten minutes."""


class Ailment(StrEnum):
    """What can be wrong; a closed set, so that found and repaired are counted by kind."""

    NO_FUTURE = "no_future"
    WRONG_SHARD = "wrong_shard"
    OVERDUE = "overdue"
    FAR_OFF = "far_off"
    STUCK = "stuck"
    WAITS_FOR_NOTHING = "waits_for_nothing"
    PARKED_WITHOUT_PAUSE = "parked_without_pause"
    PARKED_AND_SWEPT = "parked_and_swept"
    EFFECT_MISSING = "effect_missing"
    RESULT_NOT_TAKEN = "result_not_taken"
    JOURNEY_MISSING = "journey_missing"
    JOURNEY_ENDED = "journey_ended"
    VERSION_MISSING = "version_missing"
    LISTENS_WRONG = "listens_wrong"
    LIVE_EXPIRES = "live_expires"
    TERMINAL_SWEPT = "terminal_swept"
    NEVER_EXPIRES = "never_expires"
    NOT_COUNTED = "not_counted"
    ORPHANED = "orphaned"
    SETTLING_STUCK = "settling_stuck"
    JOB_OUT_OF_STEP = "job_out_of_step"


@dataclass(frozen=True, slots=True)
class Symptom:
    """An ailment of one document, in a sentence for whoever reads about it."""

    ailment: Ailment
    sentence: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A symptom, and whose: `subject` is a path, such as `progress/…`. `remedy`: what people can do where no machine may."""

    ailment: Ailment
    subject: str
    journey_id: str
    member_id: str | None
    sentence: str
    remedy: str | None = None
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a document is judged by, read after it; None: there is none.

    `effect` is the one that a progress awaits, `entries` the member's count where the journey's rule needs one, `progress` the
    one that an effect belongs to.
    """

    now: datetime
    shards: int
    head: Journey | None = None
    definition: Definition | None = None
    effect: Effect | None = None
    entries: Entries | None = None
    progress: Progress | None = None


def examine_progress(progress: Progress, around: Surroundings) -> list[Symptom]:
    """What ails a member; nothing ails most."""
    return list(_terminal(progress) if progress.status.terminal else _live(progress, around))


def examine_effect(effect: Effect, around: Surroundings) -> list[Symptom]:
    """The same of an effect that is PENDING or PERFORMING."""
    return list(_pending(effect, around)) if not effect.status.terminal else []


def examine_journey(head: Journey, around: Surroundings) -> list[Symptom]:
    """The same of a journey: `around.definition` is that of its published version."""
    return list(_journey(head, around))


def counts_entry(progress: Progress, definition: Definition | None) -> bool:
    """Whether the entry count must know of this passage. Who was migrated entered by the rule of another version."""
    migrated = len(progress.trail) == MAX_TRAIL_STEPS or any(step.outcome == "migrated" for step in progress.trail)
    return definition is not None and definition.settings.counts_entries and not migrated and not progress.status.terminal


def _terminal(progress: Progress) -> Iterator[Symptom]:
    """Who is in ERROR waits for an operator, and may do so for ever."""
    if progress.sweep_at is not None:
        yield Symptom(Ailment.TERMINAL_SWEPT, f"{progress.status}, and still before the sweep")
    if progress.expire_at is None and not progress.guards_its_key and progress.status is not Status.ERROR:
        yield Symptom(Ailment.NEVER_EXPIRES, f"{progress.status}, and kept for ever")


def _live(progress: Progress, around: Surroundings) -> Iterator[Symptom]:
    yield from _belongs(progress, around)
    if progress.parked:
        yield from _parked(progress, around)
    elif progress.status is Status.WAITING and progress.schedule_at is None and progress.awaits is None:
        yield Symptom(Ailment.WAITS_FOR_NOTHING, f"WAITING at {progress.node_id!r}, neither until a moment nor for a result")
    else:
        yield from _swept(progress, due_for_sweep(progress, now=around.now), around)
        yield from _awaiting(progress, around)
    yield from _listening(progress, around)
    yield from _expiring(progress)


def _belongs(progress: Progress, around: Surroundings) -> Iterator[Symptom]:
    head = around.head
    if head is None:
        if around.now - progress.updated_at > SETTLED:
            yield Symptom(Ailment.JOURNEY_MISSING, f"there is no journey {progress.journey_id!r}")
    elif _over(head) and around.now - max(progress.updated_at, head.updated_at) > SETTLED:
        yield Symptom(Ailment.JOURNEY_ENDED, f"{progress.status}, though the journey ended {_ago(head.updated_at, around)}")
    if around.definition is None:
        yield Symptom(Ailment.VERSION_MISSING, f"there is no version {progress.version} of journey {progress.journey_id!r}")


def _over(head: Journey) -> bool:
    """Ended, and everybody was told."""
    return head.status is JourneyStatus.ENDED and head.settling is None


def _parked(record: Progress | Effect, around: Surroundings) -> Iterator[Symptom]:
    """Parked members of a journey that is being settled have their turn to come."""
    head = around.head
    waits = head is not None and (head.status is JourneyStatus.PAUSED or head.settling is not None)
    if not waits and around.now - record.updated_at > SETTLED:
        yield Symptom(Ailment.PARKED_WITHOUT_PAUSE, f"parked, though the journey is {head.status if head else 'gone'}")
    elif waits and record.sweep_at is not None:
        yield Symptom(Ailment.PARKED_AND_SWEPT, "parked, and before the sweep as well")


def _swept(record: Progress | Effect, due: datetime | None, around: Surroundings) -> Iterator[Symptom]:
    """The moment at which the sweep looks; the first thing that is wrong with it."""
    at = record.sweep_at
    if at is None:
        yield Symptom(Ailment.NO_FUTURE, f"{record.status}, and nothing will ever look at it again")
    elif record.shard not in range(around.shards):
        yield Symptom(Ailment.WRONG_SHARD, f"in shard {record.shard}, which is not among the {around.shards} that are swept")
    elif around.now - at > OVERDUE:
        yield Symptom(Ailment.OVERDUE, f"{record.status}, and the sweep should have looked at it {_ago(at, around)}")
    elif at - max(due or around.now, around.now) > FAR_OFF:
        yield Symptom(Ailment.FAR_OFF, f"{record.status}, and the sweep will look at it only on {at:%Y-%m-%d %H:%M} UTC")
    elif record.sweep_count >= STUCK_AFTER:
        yield Symptom(Ailment.STUCK, f"{record.status}, and {record.sweep_count} sweeps changed nothing")


def _awaiting(progress: Progress, around: Surroundings) -> Iterator[Symptom]:
    effect = around.effect
    if progress.awaits is None:
        return
    if effect is None:
        yield Symptom(Ailment.EFFECT_MISSING, f"awaits the result of effect {progress.awaits}, which is gone")
    elif effect.status.terminal and around.now - max(effect.updated_at, progress.updated_at) > TAKEN:
        since = f"{effect.status} since {_ago(effect.updated_at, around)}"
        yield Symptom(Ailment.RESULT_NOT_TAKEN, f"awaits a result that is there: {since}")


def _listening(progress: Progress, around: Surroundings) -> Iterator[Symptom]:
    if around.definition is None:
        return
    expected = around.definition.listens_at(progress.node_id, waiting=progress.status is Status.WAITING)
    if progress.listens != expected:
        yield Symptom(Ailment.LISTENS_WRONG, f"listens for {_list(progress.listens)}, not for {_list(expected)}")
    entries = around.entries
    if counts_entry(progress, around.definition) and (entries is None or entries.updated_at < progress.created_at - SETTLED):
        yield Symptom(Ailment.NOT_COUNTED, "the count of entries does not know of this one")


def _expiring(record: Progress | Effect) -> Iterator[Symptom]:
    if record.expire_at is not None:
        yield Symptom(Ailment.LIVE_EXPIRES, f"{record.status}, and to be deleted on {record.expire_at:%Y-%m-%d %H:%M} UTC")


def _pending(effect: Effect, around: Surroundings) -> Iterator[Symptom]:
    if around.progress is None:
        yield Symptom(Ailment.ORPHANED, f"{effect.status}, and the passage that asked for it is gone")
    if effect.parked:
        yield from _parked(effect, around)
    else:
        yield from _swept(effect, effect.not_before, around)
    yield from _expiring(effect)


def _journey(head: Journey, around: Surroundings) -> Iterator[Symptom]:
    if head.status in (JourneyStatus.ONGOING, JourneyStatus.PAUSED) and around.definition is None:
        yield Symptom(Ailment.VERSION_MISSING, f"{head.status}, and its version {head.version} is not there: nobody can enter")
    if head.settling is not None:
        moved = head.settling.moved_at or head.settling.started_at
        if around.now - moved > OVERDUE:
            yield Symptom(Ailment.SETTLING_STUCK, f"no page of its members was settled since {_ago(moved, around)}")


def _ago(moment: datetime, around: Surroundings) -> str:
    minutes = (around.now - moment) // timedelta(minutes=1)
    return f"{minutes:,} minutes ago" if minutes < 120 else f"{minutes // 60:,} hours ago"


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nothing"
