"""What is kept beside progress and effects so that a member's history can be told: why an event did not start a journey."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sojourn.domain.event import Event
from sojourn.domain.ids import derived_id

REFUSAL_RETENTION = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Refusal:
    """`refusals/{id}`: an event that a trigger heard and that did not let the member in; `reason` is the outcome's word.

    One for each event and journey, the first that was given: a redelivery may find another reason, or none.
    """

    id: str
    journey_id: str
    bot_id: str
    member_id: str
    member_key: str
    event_id: str
    event_name: str
    occurred_at: datetime
    reason: str
    created_at: datetime
    expire_at: datetime
    token: str = ""
    rev: int = 1


def refusal_of(event: Event, journey_id: str, *, reason: str, now: datetime, token: str) -> Refusal:
    """The refusal of an event by a journey; delivered again, it is the same document."""
    return Refusal(
        id=derived_id("refusal", journey_id, event.member_key, event.id),
        journey_id=journey_id,
        bot_id=event.bot_id,
        member_id=event.member_id,
        member_key=event.member_key,
        event_id=event.id,
        event_name=event.name,
        occurred_at=event.occurred_at,
        reason=reason,
        created_at=now,
        expire_at=now + REFUSAL_RETENTION,
        token=token,
    )
