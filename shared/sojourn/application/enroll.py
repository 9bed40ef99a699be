"""`enroll`: a schedule trigger fires; its audience enters, page by page, each member once per firing.

::

    job ─▶ {journey, node} ─▶ enrollments/{firing} ─▶ [page ─▶ enter ─▶ after := last ─▶ message for the next] ─▶ … ─▶ done

Cloud Scheduler publishes at least once and does not say which of its moments it means, so the schedule itself names the firing
(`ScheduleTriggerSettings.fired_at`), from the time at which Pub/Sub took the message: that never changes, however often it is
delivered. A page works wherever it is interrupted, for entering twice is entering once; the enrollment moves forward by
compare-and-set, and only who moved it asks for the next page. A message that is lost is sent again by the minute tick.

A firing that a pause interrupts goes on after it; one that falls into a pause enrolls nobody, as an event would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sojourn.application.entry import Candidate, enter_many, gate
from sojourn.application.messages import ENROLLMENTS_TOPIC, Delivered, EnrollMessage
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.records import CommitResult, Stored, Update
from sojourn.application.schedule_jobs import job_name
from sojourn.application.workshop import Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.enrollment import PAUSE_PATIENCE, Enrollment, new_enrollment, scheduled_event
from sojourn.domain.journey import Journey
from sojourn.domain.member import Member
from sojourn.domain.node import ScheduleTrigger

AUDIENCE_PAGE = 2_000
"""Members that one message lets in. Where a rule counts entries that is a commit for each, which 60 s must be enough for."""


@dataclass(frozen=True, slots=True)
class _Schedule:
    """A trigger that may fire: the journey as it stands, and the trigger in its published version."""

    head: Journey
    definition: Definition
    trigger: ScheduleTrigger


def enroll(shop: Workshop, deliveries: Sequence[Delivered[EnrollMessage]]) -> list[Outcome]:
    """Take each firing one page further."""
    return [_enroll(shop, delivery.message, delivery.published_at) for delivery in deliveries]


def lost_pages(shop: Workshop, now: datetime) -> list[Outgoing]:
    """The messages of enrollments that ought to be further by now."""
    waiting = (stored.value for stored in shop.store.find(Enrollment, {"done": False}))
    return [_next_page(enrollment) for enrollment in waiting if enrollment.look_at <= now]


def _enroll(shop: Workshop, message: EnrollMessage, published_at: datetime) -> Outcome:
    """A firing must not be lost to a cached head that is older than the journey."""
    schedule = _find(shop, message, fresh=message.fired_at is None)
    if message.fired_at is not None:
        return _go_on(shop, message, message.fired_at, schedule)
    if schedule is None:
        return Outcome("no_trigger")
    fired_at = schedule.trigger.settings.fired_at(message.struck_at or published_at)
    refusal = gate(schedule.head, schedule.definition, shop.now())
    if fired_at is None:
        return _of_another_year(shop, schedule)
    if refusal is not None:
        return Outcome(refusal)
    if not shop.create_many([_begun(shop, message, fired_at)])[0]:
        return UNAVAILABLE
    return _go_on(shop, message, fired_at, schedule)


def _of_another_year(shop: Workshop, schedule: _Schedule) -> Outcome:
    """The line of a single moment strikes every year. Before its year it is early; after it, the job should be gone."""
    at = schedule.trigger.settings.at
    if at is not None and at < shop.now():
        shop.jobs.delete(job_name(schedule.head.id, schedule.trigger.id))
    return Outcome("another_year")


def _begun(shop: Workshop, message: EnrollMessage, fired_at: datetime) -> Enrollment:
    return replace(new_enrollment(message.journey_id, message.node_id, fired_at, now=shop.now()), token=shop.tokens.token())


def _find(shop: Workshop, message: EnrollMessage, *, fresh: bool) -> _Schedule | None:
    head = shop.catalog.head(message.journey_id, fresh=fresh)
    definition = shop.catalog.definition(head.id, head.version) if head and head.version is not None else None
    node = definition.by_id.get(message.node_id) if definition else None
    return _Schedule(head, definition, node) if head and definition and isinstance(node, ScheduleTrigger) else None


def _go_on(shop: Workshop, message: EnrollMessage, fired_at: datetime, schedule: _Schedule | None) -> Outcome:
    identifier = new_enrollment(message.journey_id, message.node_id, fired_at, now=shop.now()).id
    stored = shop.store.get_many(Enrollment, [identifier])[0]
    if stored is None or stored.value.done or stored.value.after != message.after:
        return Outcome("duplicate")
    now = shop.now()
    refusal = gate(schedule.head, schedule.definition, now) if schedule else "no_trigger"
    if schedule is None or refusal is not None:
        waits = refusal in ("paused", "not_started")
        enrollment = stored.value.waiting(PAUSE_PATIENCE, now=now) if waits else stored.value.over(now)
        moved = _move(shop, stored, enrollment)
        return UNAVAILABLE if moved is CommitResult.UNKNOWN else Outcome(refusal or "no_trigger")
    return _turn_page(shop, stored, schedule)


def _turn_page(shop: Workshop, stored: Stored[Enrollment], schedule: _Schedule) -> Outcome:
    """Let a page of members in; then, and only then, move on."""
    page = shop.store.find(Member, {"bot_id": schedule.head.bot_id}, after=stored.value.after, limit=AUDIENCE_PAGE)
    members = [found.value for found in page]
    codes = _enter(shop, stored.value, schedule, members)
    if codes is None:
        return UNAVAILABLE
    last = len(members) < AUDIENCE_PAGE
    if last and schedule.trigger.settings.at is not None:
        shop.jobs.delete(job_name(schedule.head.id, schedule.trigger.id))
    enrollment = stored.value.turned(members, last=last, now=shop.now())
    moved = _move(shop, stored, enrollment)
    if moved is not CommitResult.APPLIED:
        return UNAVAILABLE if moved is CommitResult.UNKNOWN else Outcome("overtaken", notes=codes)
    sent = last or shop.publish_many([_next_page(enrollment)])[0]
    return Outcome("enrolled" if last else "enrolling", notes=codes if sent else (*codes, "not_published"))


def _enter(shop: Workshop, enrollment: Enrollment, schedule: _Schedule, members: Sequence[Member]) -> tuple[str, ...] | None:
    """What became of each member; None where a service did not answer, and the page must be taken again."""
    head, definition, trigger = schedule.head, schedule.definition, schedule.trigger
    events = [scheduled_event(enrollment, member) for member in members]
    candidates = [Candidate(head, definition, trigger, event, one) for event, one in zip(events, members, strict=True)]
    entries = enter_many(shop, candidates)
    sent = shop.publish_many([entry.message for entry in entries if entry.message is not None])
    if not all(sent) or any(entry.outcome.retry for entry in entries):
        return None
    return tuple(entry.outcome.code for entry in entries)


def _move(shop: Workshop, stored: Stored[Enrollment], enrollment: Enrollment) -> CommitResult:
    moved = replace(enrollment, rev=stored.value.rev + 1, token=shop.tokens.token())
    return shop.commit_many([(Update(moved, stored.version),)])[0]


def _next_page(enrollment: Enrollment) -> Outgoing:
    journey_id, node_id = enrollment.journey_id, enrollment.node_id
    message = EnrollMessage(journey_id=journey_id, node_id=node_id, fired_at=enrollment.fired_at, after=enrollment.after)
    return message.to(ENROLLMENTS_TOPIC)
