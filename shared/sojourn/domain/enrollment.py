"""An enrollment: one firing of a schedule trigger, and how far through its audience it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sojourn.domain.event import Event
from sojourn.domain.ids import derived_id
from sojourn.domain.member import Member

SCHEDULED_EVENT = "journey.scheduled"
"""The name of the event by which members enter through a schedule."""
PAGE_PATIENCE = timedelta(minutes=2)
"""A page that is not through within this time has lost its message: the minute tick publishes it again."""
PAUSE_PATIENCE = timedelta(minutes=10)
"""How often a firing that a pause interrupted looks whether it may go on."""
ENROLLMENT_RETENTION = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class Enrollment:
    """`enrollments/{id}`. `after` is the last member of the page before, `members` how many were looked at.

    At `look_at` the minute tick asks for the page again, in case its message was lost. Only who moves `after` forward, by
    compare-and-set, publishes the next page: pages delivered twice do not become two chains.
    """

    id: str
    journey_id: str
    node_id: str
    fired_at: datetime
    created_at: datetime
    updated_at: datetime
    look_at: datetime
    after: str | None = None
    members: int = 0
    done: bool = False
    expire_at: datetime | None = None
    rev: int = 1
    token: str = ""

    def turned(self, page: list[Member], *, last: bool, now: datetime) -> Enrollment:
        """With one page more behind it; after the last one it is over."""
        after = page[-1].id if page else self.after
        turned = replace(self, after=after, members=self.members + len(page))
        return turned.over(now) if last else turned.waiting(PAGE_PATIENCE, now=now)

    def waiting(self, patience: timedelta, *, now: datetime) -> Enrollment:
        """Left alone for so long."""
        return replace(self, look_at=now + patience, updated_at=now)

    def over(self, now: datetime) -> Enrollment:
        """Done, for whatever reason."""
        return replace(self, done=True, updated_at=now, expire_at=now + ENROLLMENT_RETENTION)


def new_enrollment(journey_id: str, node_id: str, fired_at: datetime, *, now: datetime) -> Enrollment:
    """The enrollment of a firing, before its first page."""
    identifier = derived_id("enrollment", journey_id, node_id, fired_at.isoformat())
    return Enrollment(identifier, journey_id, node_id, fired_at, now, now, look_at=now + PAGE_PATIENCE)


def scheduled_event(enrollment: Enrollment, member: Member) -> Event:
    """What happened to the member: the same event however often the firing reaches them."""
    identifier = derived_id("scheduled", enrollment.id, member.id)
    data = {"bot_id": member.bot_id, "member_id": member.member_id, "node_id": enrollment.node_id}
    return Event(identifier, SCHEDULED_EVENT, member.bot_id, member.member_id, enrollment.fired_at, data)
