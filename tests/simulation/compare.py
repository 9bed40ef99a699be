"""Whether a progress stands where the reference says, field by field, and in words where it does not."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from sojourn.domain.effect import CallWebhook, Effect, EmitEvent, EnrollJourney, SendMessage, UpdateMember
from sojourn.domain.progress import MAX_CONSUMED_EVENTS, Progress, Step
from tests.simulation.reference import Traveller

PLACE = [
    "version",
    "status",
    "node_id",
    "trigger",
    "since",
    "schedule_at",
    "context",
    "listens",
    "visits",
    "trail",
    "consumed",
    "awaits",
    "goal",
    "moved_by",
    "extended",
    "end_reason",
]
"""What only a hop changes."""
UNTOLD = "false"
"""The trail also says which values were missing; the reference does not."""
KINDS = {
    SendMessage: "send_message",
    CallWebhook: "webhook",
    UpdateMember: "update_member",
    EmitEvent: "emit_event",
    EnrollJourney: "enroll_journey",
}


def same_place(before: Progress, after: Progress) -> bool:
    """Whether nothing but bookkeeping has changed: the sweep's fields, the token, whether it is parked."""
    return all(getattr(before, name) == getattr(after, name) for name in PLACE)


def differences(demanded: Traveller, before: Progress, after: Progress, effects: Sequence[Effect]) -> list[str]:
    """Each field in which the progress is not as demanded."""
    pairs = {
        "status": (demanded.status, str(after.status)),
        "node": (demanded.node_id, after.node_id),
        "version": (demanded.version, after.version),
        "due": (demanded.schedule_at, after.schedule_at),
        "since": (demanded.since, after.since),
        "awaits": (demanded.awaits, after.awaits),
        "visits": (demanded.visits, dict(after.visits)),
        "consumed": (tuple(demanded.consumed[-MAX_CONSUMED_EVENTS:]), after.consumed),
        "context": (demanded.context, dict(after.context)),
        "goal": (demanded.goal, after.goal.event_id if after.goal else None),
        "cause": (demanded.cause, (after.cause.depth, after.cause.occurred_at) if after.cause.depth else None),
        "extended": (demanded.extended, after.extended),
        "listens": (demanded.listens, after.listens),
        "trail": (_told(demanded.steps), _told([(step.node_id, step.outcome) for step in _new_steps(before, after)])),
        "effects": (
            [(one.id, one.node_id, one.kind, one.content, one.depth) for one in demanded.demands],
            [(one.id, one.node_id, KINDS[type(one.payload)], content_of(one), depth_of(one)) for one in effects],
        ),
    }
    return [f"{name} must be {wanted}, is {found}" for name, (wanted, found) in pairs.items() if wanted != found]


def _new_steps(before: Progress, after: Progress) -> list[Step]:
    """The steps beyond those of before; the trail keeps the last ones only."""
    kept = 0
    while kept < len(before.trail) and after.trail[: len(before.trail) - kept] != before.trail[kept:]:
        kept += 1
    return list(after.trail[len(before.trail) - kept :])


def _told(steps: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [step for step in steps if step[1] != UNTOLD]


def content_of(effect: Effect) -> JsonValue:
    """What the effect carries."""
    match effect.payload:
        case SendMessage(message=content) | CallWebhook(body=content):
            return content
        case UpdateMember(attributes=fields) | EmitEvent(data=fields) | EnrollJourney(data=fields):
            return dict(fields)


def depth_of(effect: Effect) -> int | None:
    """The place in the row of emitted events; None for what emits none."""
    return (effect.payload.depth or 1) if isinstance(effect.payload, EmitEvent | EnrollJourney) else None
