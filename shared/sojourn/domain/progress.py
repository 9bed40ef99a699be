"""Progress: one member's one passage through one journey. One document; a hop replaces it by compare-and-set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sojourn.domain.event import Cause, Event, JsonObject
from sojourn.domain.ids import jitter
from sojourn.domain.moment import period_of

MAX_TRAIL_STEPS = 50
MAX_CONSUMED_EVENTS = 50
READY_GRACE_SECONDS = 60
"""How long a published message is given before the sweep publishes it again; up to half as much jitter comes on top."""
RUNNING_GRACE_SECONDS = 300
AWAIT_CHECK_SECONDS = 600
"""How often the sweep looks at a member whose node awaits an effect's result."""
TERMINAL_RETENTION = timedelta(days=90)
STUCK_AFTER = 10
"""Sweeps in a row that changed nothing, nine hours or so: then somebody must look."""


class Status(StrEnum):
    """Where a passage is; the last three are terminal."""

    READY = "READY"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    ENDED = "ENDED"
    CANCELED = "CANCELED"
    ERROR = "ERROR"

    @property
    def terminal(self) -> bool:
        """Nothing moves it any more by itself."""
        return self in _TERMINAL


_TERMINAL = (Status.ENDED, Status.CANCELED, Status.ERROR)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the trail: what happened at a node, when by the engine's clock, and why."""

    node_id: str
    at: datetime
    outcome: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class GoalReached:
    """The goal event that counted, and its revenue where the goal names a field."""

    event_id: str
    at: datetime
    revenue: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """`progress/{id}` (design, section 4).

    `since` is the logical time of what put the member where they are: the entry's event, the event that was waited for, the
    moment a wait was due. Events count for a wait from `since` on, by their own time, however late anything was processed.

    `moved_by` is the last event that moved the member on; None: the trigger, or none that counts for `cause`.
    """

    id: str
    journey_id: str
    version: int
    bot_id: str
    member_id: str
    member_key: str
    entry_key: str
    status: Status
    node_id: str | None
    trigger: Event
    since: datetime
    rev: int
    token: str
    created_at: datetime
    updated_at: datetime
    schedule_at: datetime | None = None
    end_reason: str | None = None
    context: Mapping[str, JsonObject] = field(default_factory=dict)
    listens: tuple[str, ...] = ()
    visits: Mapping[str, int] = field(default_factory=dict)
    trail: tuple[Step, ...] = ()
    consumed: tuple[str, ...] = ()
    awaits: str | None = None
    goal: GoalReached | None = None
    moved_by: Cause | None = None
    parked: bool = False
    extended: int = 0
    shard: int | None = None
    sweep_at: datetime | None = None
    sweep_count: int = 0
    ended_at: datetime | None = None
    expire_at: datetime | None = None

    @property
    def trace_id(self) -> str:
        """The passage's trace. A member consumes several events over time: it is that of the one that started the passage."""
        return self.trigger.trace_id

    @property
    def cause(self) -> Cause:
        """From what the events are counted that the passage emits now (decision 014)."""
        return self.moved_by or self.trigger.cause

    @property
    def guards_its_key(self) -> bool:
        """Whether its entry key may come again (once per member, once per order) and must find it here, however late.

        An event id does not come again: Pub/Sub forgets sooner than `TERMINAL_RETENTION`.
        """
        return self.entry_key != self.trigger.id

    # What reports count and operators look by; stored beside, never read back.

    @property
    def in_error(self) -> bool:
        """Whether the member waits for an operator."""
        return self.status is Status.ERROR

    @property
    def reached(self) -> tuple[str, ...]:
        """Every node that the member came to, each once: visited, or standing there."""
        return tuple(sorted({*self.visits, *((self.node_id,) if self.node_id else ())}))

    @property
    def left_at(self) -> str | None:
        """The node at which the member left before the end; None for everybody else."""
        if self.status is not Status.CANCELED:
            return None
        return next((step.node_id for step in reversed(self.trail) if step.outcome == "canceled"), None)

    @property
    def moved_in(self) -> str:
        """The five minutes in which it last changed, which the limit on a journey's failures counts by."""
        return period_of(self.updated_at)

    @property
    def failed_in(self) -> str | None:
        """The same of who is in ERROR."""
        return period_of(self.updated_at) if self.status is Status.ERROR else None

    @property
    def entered_on(self) -> str:
        """The day of the entry, UTC."""
        return self.created_at.date().isoformat()

    @property
    def goal_reached(self) -> bool:
        """Whether the goal event came in its window."""
        return self.goal is not None

    @property
    def goal_revenue(self) -> float | None:
        """What the goal brought, 0 where it names no field: Firestore adds up only documents that have a number."""
        return (self.goal.revenue or 0.0) if self.goal is not None else None


def expiry(progress: Progress, status: Status, *, now: datetime) -> datetime | None:
    """When a passage that is over since `now` may leave the store; None: never. ERROR waits for an operator."""
    return None if progress.guards_its_key or status is Status.ERROR else now + TERMINAL_RETENTION


def due_for_sweep(progress: Progress, *, now: datetime) -> datetime | None:
    """When the sweep must look at a progress that was just written; None: never (design, section 7)."""
    return sweep_moment(progress.id, progress.status, progress.schedule_at, awaits=progress.awaits, now=now)


def sweep_moment(
    identifier: str, status: Status, schedule_at: datetime | None, *, awaits: str | None, now: datetime
) -> datetime | None:
    """The same from the fields that it depends on."""
    match status:
        case Status.READY if schedule_at is None:
            return now + grace(identifier, READY_GRACE_SECONDS)
        case Status.RUNNING:
            return now + grace(identifier, RUNNING_GRACE_SECONDS)
        case Status.WAITING if awaits is not None:
            check = now + timedelta(seconds=AWAIT_CHECK_SECONDS)
            return check if schedule_at is None else min(check, schedule_at)
        case Status.READY | Status.WAITING:
            return schedule_at
        case _:
            return None


def grace(identifier: str, seconds: int) -> timedelta:
    """`seconds` plus up to half as much jitter, so that what was written together is not swept together."""
    return timedelta(seconds=seconds * (1 + jitter(identifier) / 2))
