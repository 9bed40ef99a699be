"""History: everything that is kept about a member, as one line of time; and passages, listed.

It joins the trails of the member's passages, the states of what was sent, and the events that did not start a journey. An event
that started a passage on a second delivery was no refusal, whatever the first was told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, assert_never

from pydantic import JsonValue

from sojourn.application.records import MAX_PAGE, Where
from sojourn.application.workshop import Workshop
from sojourn.domain.effect import CallWebhook, Effect, EmitEvent, EnrollJourney, SendMessage, UpdateMember
from sojourn.domain.errors import NotFound
from sojourn.domain.history import Refusal
from sojourn.domain.ids import member_key
from sojourn.domain.member import Member
from sojourn.domain.progress import MAX_TRAIL_STEPS, GoalReached, Progress, Status

What = Literal["entered", "refused", "step", "effect"]
_ORDER: tuple[What, ...] = ("entered", "refused", "step", "effect")


@dataclass(frozen=True, slots=True)
class Passage:
    """A progress as others see it: who, where, since when, and how it ended. `trail_is_cut`: older steps are gone.

    Every log line, message and delivery of the passage has its `trace_id`.
    """

    id: str
    journey_id: str
    version: int
    bot_id: str
    member_id: str
    entry_key: str
    status: Status
    node_id: str | None
    event: str
    event_id: str
    trace_id: str
    entered_at: datetime
    schedule_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    goal: GoalReached | None
    trail_is_cut: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. Of an effect, `at` is when it came to its present state."""

    at: datetime
    what: What
    journey_id: str
    outcome: str
    reason: str | None = None
    node_id: str | None = None
    progress_id: str | None = None
    effect_id: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A member's passages, the newest first, and all their lines, the oldest first."""

    bot_id: str
    member_id: str
    passages: tuple[Passage, ...]
    lines: tuple[Line, ...]


def timeline(shop: Workshop, bot_id: str, member_id: str, *, journey_id: str | None = None) -> Timeline:
    """The member's history, on one journey or on all; of each kind of thing the newest MAX_PAGE. Raises NotFound."""
    of_member: Where = {"member_key": member_key(bot_id, member_id)}
    progress = [stored.value for stored in shop.store.newest(Progress, of_member)]
    effects = [stored.value for stored in shop.store.newest(Effect, of_member)]
    refusals = [stored.value for stored in shop.store.newest(Refusal, of_member)]
    if not progress and not refusals and shop.store.get_many(Member, [member_key(bot_id, member_id)])[0] is None:
        raise NotFound(f"nothing is known of a member {member_id!r} of bot {bot_id!r}")
    entered = {(passage.journey_id, passage.trigger.id) for passage in progress}
    lines = [
        *(_refused(refusal) for refusal in refusals if (refusal.journey_id, refusal.event_id) not in entered),
        *(line for passage in progress for line in _way(passage)),
        *(_effect(effect) for effect in effects),
    ]
    kept = [line for line in lines if journey_id in (None, line.journey_id)]
    passages = tuple(passage_of(passage) for passage in progress if journey_id in (None, passage.journey_id))
    return Timeline(bot_id, member_id, passages, tuple(sorted(kept, key=_order)))


def list_passages(
    shop: Workshop,
    journey_id: str,
    *,
    status: Status | None = None,
    node_id: str | None = None,
    after: str | None = None,
    limit: int = MAX_PAGE,
) -> list[Passage]:
    """Passages of a journey by id beyond `after`, those with that status and at that node where given."""
    where: dict[str, str | int | bool | tuple[str, ...]] = {"journey_id": journey_id, "status": status or tuple(Status)}
    if node_id is not None:
        where["node_id"] = node_id
    return [passage_of(stored.value) for stored in shop.store.find(Progress, where, after=after, limit=limit)]


def passage_of(progress: Progress) -> Passage:
    """What others see of a progress."""
    return Passage(
        id=progress.id,
        journey_id=progress.journey_id,
        version=progress.version,
        bot_id=progress.bot_id,
        member_id=progress.member_id,
        entry_key=progress.entry_key,
        status=progress.status,
        node_id=progress.node_id,
        event=progress.trigger.name,
        event_id=progress.trigger.id,
        trace_id=progress.trace_id,
        entered_at=progress.created_at,
        schedule_at=progress.schedule_at,
        ended_at=progress.ended_at,
        end_reason=progress.end_reason,
        goal=progress.goal,
        trail_is_cut=len(progress.trail) >= MAX_TRAIL_STEPS,
    )


def describe_effect(effect: Effect) -> str:
    """What it is about, in a few words."""
    match effect.payload:
        case SendMessage(channel=channel):
            return f"message over {channel}"
        case CallWebhook(url=url):
            return f"webhook {url}"
        case UpdateMember(attributes=attributes):
            return f"set {', '.join(attributes)}"
        case EmitEvent(name=name):
            return f"emit {name}"
        case EnrollJourney(journey_id=journey_id):
            return f"start {journey_id}"
        case _:
            assert_never(effect.payload)


def _order(line: Line) -> tuple[datetime, int]:
    """Steps of the same moment stay in the order of their trail: sorting is stable."""
    return line.at, _ORDER.index(line.what)


def _refused(refusal: Refusal) -> Line:
    return Line(
        at=refusal.created_at,
        what="refused",
        journey_id=refusal.journey_id,
        outcome=refusal.reason,
        reason=f"event {refusal.event_name} of {refusal.occurred_at:%Y-%m-%d %H:%M:%S} UTC",
        event_id=refusal.event_id,
    )


def _way(progress: Progress) -> Iterator[Line]:
    """The entry, and the trail but for its own line about that."""
    event = progress.trigger
    yield Line(
        at=progress.created_at,
        what="entered",
        journey_id=progress.journey_id,
        outcome="entered",
        reason=f"event {event.name} of {event.occurred_at:%Y-%m-%d %H:%M:%S} UTC, version {progress.version}",
        progress_id=progress.id,
        event_id=event.id,
    )
    for step in progress.trail:
        if step.outcome != "entered":
            yield Line(
                step.at, "step", progress.journey_id, step.outcome, step.reason, step.node_id or None, progress_id=progress.id
            )


def _effect(effect: Effect) -> Line:
    return Line(
        at=effect.updated_at,
        what="effect",
        journey_id=effect.journey_id,
        outcome=effect.status.lower(),
        reason=": ".join(filter(None, [describe_effect(effect), effect.reason or _result(effect.result)])),
        node_id=effect.node_id,
        progress_id=effect.progress_id,
        effect_id=effect.id,
    )


def _result(result: JsonValue) -> str | None:
    return None if result is None else f"{result!s:.80}"
