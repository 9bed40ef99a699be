"""The jobs of schedule triggers: one for each, in step with its journey. ONGOING: it runs; PAUSED: it is paused; else: none.

A job's name, line and message follow from the definition alone, so making it so twice changes nothing, and what is there can be
compared with what should be. The journey's head is written first: a job that is behind it is repaired, and enrolls nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sojourn.application.audit import write_entry
from sojourn.application.messages import ENROLLMENTS_TOPIC, EnrollMessage
from sojourn.application.ports import Job
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.errors import Unavailable
from sojourn.domain.ids import derived_id
from sojourn.domain.journey import Journey, JourneyStatus
from sojourn.domain.node import ScheduleTrigger

PREFIX = "journey-schedule-"
"""What the names of these jobs begin with, and of no other."""
MAX_DESCRIPTION_CHARACTERS = 500
"""Cloud Scheduler's limit (https://cloud.google.com/scheduler/quotas)."""

GRACE = timedelta(minutes=5)
"""So long after its only moment a job may still be about to strike."""

_ACTIVE = (JourneyStatus.ONGOING, JourneyStatus.PAUSED)


@dataclass(frozen=True, slots=True)
class Repair:
    """A job that was not as it should be, and what was done about it."""

    name: str
    change: Literal["created", "changed", "deleted"]
    description: str


def job_name(journey_id: str, node_id: str) -> str:
    """A journey's id may be any text; its jobs stand side by side in a list."""
    return f"{PREFIX}{derived_id('job', journey_id)}-{node_id}"


def jobs_of(head: Journey, definition: Definition, *, now: datetime) -> list[Job]:
    """The jobs that a journey should have. A moment that is over needs none."""
    if head.status not in _ACTIVE:
        return []
    return [_job(head, trigger) for trigger in definition.schedule_triggers if _may_strike(trigger, now)]


def _may_strike(trigger: ScheduleTrigger, now: datetime) -> bool:
    return trigger.settings.at is None or trigger.settings.at + GRACE >= now


def _job(head: Journey, trigger: ScheduleTrigger) -> Job:
    return Job(
        name=job_name(head.id, trigger.id),
        schedule=trigger.settings.line,
        timezone=trigger.settings.timezone,
        message=EnrollMessage(journey_id=head.id, node_id=trigger.id).to(ENROLLMENTS_TOPIC),
        description=f"journey {head.id}, node {trigger.id}"[:MAX_DESCRIPTION_CHARACTERS],
        paused=head.status is JourneyStatus.PAUSED,
    )


def sync_jobs(shop: Workshop, head: Journey) -> None:
    """Bring a journey's jobs in step with its head, which was just written. Cloud Scheduler is asked only if there are any.

    Two changes at once may come here in either order: who finds the head changed meanwhile does it again with the newer one.
    Raises Unavailable, and says that the change itself holds.
    """
    for _ in range(MAX_ROUNDS):
        try:
            if not _sync(shop, head):
                return
        except Unavailable as error:
            raise Unavailable(
                f"journey {head.id!r} is {head.status}, but its jobs are not in step yet: {error}; "
                "`sojourn journeys reconcile` makes up for it"
            ) from error
        newer = shop.catalog.head(head.id, fresh=True)
        if newer is None or newer.rev == head.rev:
            return
        head = newer


def _sync(shop: Workshop, head: Journey) -> bool:
    """Whether there was anything to do. A version may have lost a trigger that the one before had."""
    definition, before = (_version(shop, head, back=back) for back in (0, 1))
    wanted = jobs_of(head, definition, now=shop.now()) if definition else []
    for job in wanted:
        shop.jobs.put(job)
    stale = (_names(definition) | _names(before)) - {job.name for job in wanted}
    for name in sorted(stale):
        shop.jobs.delete(name)
    return bool(wanted or stale)


def _names(definition: Definition | None) -> set[str]:
    return {job_name(definition.id, trigger.id) for trigger in definition.schedule_triggers} if definition else set()


def _version(shop: Workshop, head: Journey, *, back: int = 0) -> Definition | None:
    """The published definition, or one before it."""
    number = (head.version or 0) - back
    return shop.catalog.definition(head.id, number) if number > 0 else None


def reconcile_jobs(shop: Workshop, *, repair: bool = True) -> list[Repair]:
    """Compare all jobs with what the journeys say, and make it so: what was repaired. Nothing: they were in step.

    Without `repair`: what would be.
    """
    found = {job.name: job for job in shop.jobs.jobs(PREFIX)}
    heads = [(head, _version(shop, head)) for head in shop.store.journeys(_ACTIVE)]
    wanted = {job.name: job for head, one in heads if one for job in jobs_of(head, one, now=shop.now())}
    names = [name for name in sorted(found.keys() | wanted.keys()) if found.get(name) != wanted.get(name)]
    repairs = [_repair_of(name, found.get(name), wanted.get(name)) for name in names]
    for one in repairs if repair else ():
        before, after = found.get(one.name), wanted.get(one.name)
        write_entry(shop, f"job.{one.change}", f"jobs/{one.name}", before=_told(before), after=_told(after))
        if after is not None:
            shop.jobs.put(after)
        else:
            shop.jobs.delete(one.name)
    return repairs


def _repair_of(name: str, before: Job | None, after: Job | None) -> Repair:
    if after is None:
        return Repair(name, "deleted", before.description if before is not None else "")
    return Repair(name, "created" if before is None else "changed", after.description)


def _told(job: Job | None) -> dict[str, object] | None:
    """What the audit tells of a job; its message follows from the name."""
    return {field: getattr(job, field) for field in ("schedule", "timezone", "description", "paused")} if job else None
