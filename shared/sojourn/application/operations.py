"""What somebody asks of a journey from outside: let a member in, take one out, let a wait be over; and lists, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic

from pydantic import JsonValue

from sojourn.application.audit import change, write_entry
from sojourn.application.entry import ENROLLED_EVENT, Candidate, enter_many
from sojourn.application.lifecycle import get_journey
from sojourn.application.messages import message_about
from sojourn.application.outcome import Outcome
from sojourn.application.records import Question, R, Where
from sojourn.application.refusals import record_refusals
from sojourn.application.repair import retry_progress
from sojourn.application.workshop import Workshop
from sojourn.domain.engine import advance
from sojourn.domain.errors import NotAllowed, NotFound, Unavailable
from sojourn.domain.event import Event
from sojourn.domain.ids import member_key
from sojourn.domain.journey import Journey, JourneyStatus, JourneyVersion, version_id
from sojourn.domain.node import ApiTrigger
from sojourn.domain.progress import MAX_TRAIL_STEPS, Progress, Status, Step
from sojourn.domain.stimulus import Cancel

BY_OPERATOR = "by an operator"


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some documents of a list; the next page begins `after` that id, None: there is none."""

    items: Sequence[R]
    after: str | None


def list_page(shop: Workshop, kind: type[R], where: Where, *, after: str | None, limit: int) -> Page[R]:
    """The first `limit` documents `where`, by id beyond `after`."""
    found = [stored.value for stored in shop.store.find(kind, where, after=after, limit=limit + 1)]
    return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)


def count_journeys(shop: Workshop, bot_id: str) -> dict[JourneyStatus, int]:
    """How many journeys a bot has in each status."""
    statuses = list(JourneyStatus)
    tallies = shop.store.tally_many([Question(Journey, {"bot_id": bot_id, "status": status}) for status in statuses])
    return {status: tally.count for status, tally in zip(statuses, tallies, strict=True)}


def get_version(shop: Workshop, journey_id: str, version: int) -> JourneyVersion:
    """A published version. Raises NotFound."""
    stored = shop.store.get_many(JourneyVersion, [version_id(journey_id, version)])[0]
    if stored is None:
        raise NotFound(f"no version {version} of journey {journey_id!r}")
    return stored.value


def enroll_member(
    shop: Workshop, journey_id: str, member_id: str, *, data: Mapping[str, JsonValue], event_id: str | None = None
) -> Outcome:
    """Let a member in through the journey's `api` trigger; the same `event_id` enters once. Raises NotAllowed without one.

    The audit names the event; what became of it the member's history tells.
    """
    head = get_journey(shop, journey_id)
    definition = shop.catalog.definition(head.id, head.version) if head.version is not None else None
    if definition is None:
        raise NotAllowed(f"journey {journey_id!r} is {head.status}: publish it first")
    trigger = next((node for node in definition.nodes if isinstance(node, ApiTrigger)), None)
    if trigger is None:
        raise NotAllowed(f"journey {journey_id!r} has no trigger of key 'api': nobody enters it by hand")
    subject = {**data, "bot_id": head.bot_id, "member_id": member_id}
    event = Event(event_id or f"api-{shop.tokens.token()}", ENROLLED_EVENT, head.bot_id, member_id, shop.now(), subject)
    candidates = [Candidate(head, definition, trigger, event)]
    asked = {"event_id": event.id, "data": dict(data)}
    write_entry(shop, "member.enroll", f"journeys/{journey_id}/members/{member_id}", after=asked)
    entries = enter_many(shop, candidates)
    record_refusals(shop, candidates, entries)
    if entries[0].outcome.retry:
        raise Unavailable(f"member {member_id!r} could not enter just now")
    if entries[0].message is not None:
        shop.publish_many([entries[0].message])
    return entries[0].outcome


def passages(shop: Workshop, journey_id: str, member_id: str) -> list[Progress]:
    """The member's passages through a journey, the newest first, at least one. Raises NotFound."""
    key = member_key(get_journey(shop, journey_id).bot_id, member_id)
    found = [stored.value for stored in shop.store.newest(Progress, {"member_key": key})]
    of_journey = [progress for progress in found if progress.journey_id == journey_id]
    if not of_journey:
        raise NotFound(f"member {member_id!r} never entered journey {journey_id!r}")
    return of_journey


def cancel_member(shop: Workshop, journey_id: str, member_id: str, *, reason: str = "") -> list[Progress]:
    """Take the member off the journey, every passage that is on the way. Raises NotAllowed where none is."""
    live = [progress for progress in passages(shop, journey_id, member_id) if not progress.status.terminal]
    if not live:
        raise NotAllowed(f"member {member_id!r} is not on journey {journey_id!r} any more")
    why = f"canceled {BY_OPERATOR}{': ' if reason else ''}{reason}"
    return [_cancel(shop, progress.id, why) for progress in live]


def advance_member(shop: Workshop, journey_id: str, member_id: str) -> list[Progress]:
    """The member's waits are due now; the next hops are published. Raises NotAllowed where nothing waits for a moment."""
    head = get_journey(shop, journey_id)
    if head.status is not JourneyStatus.ONGOING:
        raise NotAllowed(f"journey {journey_id!r} is {head.status}: nobody moves")
    waiting = [progress for progress in passages(shop, journey_id, member_id) if _waits(progress)]
    if not waiting:
        raise NotAllowed(f"member {member_id!r} waits for no moment on journey {journey_id!r}")
    advanced = [_due_now(shop, progress.id) for progress in waiting]
    shop.publish_many([message_about(progress) for progress in advanced])
    return advanced


def retry_member(shop: Workshop, journey_id: str, member_id: str) -> list[Progress]:
    """The member's passages in ERROR go on from where they went wrong. Raises NotAllowed where none is."""
    broken = [progress for progress in passages(shop, journey_id, member_id) if progress.in_error]
    if not broken:
        raise NotAllowed(f"member {member_id!r} is not in {Status.ERROR} on journey {journey_id!r}")
    return [retry_progress(shop, progress.id) for progress in broken]


def _waits(progress: Progress) -> bool:
    return progress.status is Status.WAITING and progress.schedule_at is not None and progress.awaits is None


def _cancel(shop: Workshop, progress_id: str, reason: str) -> Progress:
    def canceled(progress: Progress) -> Progress:
        definition = shop.catalog.definition(progress.journey_id, progress.version)
        if definition is None:
            raise NotFound(f"no version {progress.version} of journey {progress.journey_id!r}")
        return advance(definition, progress, Cancel(reason), member=None, now=shop.now()).progress

    return change(shop, Progress, progress_id, "member.cancel", canceled)


def _due_now(shop: Workshop, progress_id: str) -> Progress:
    def due(progress: Progress) -> Progress:
        if not _waits(progress):
            return progress
        now = shop.now()
        trail = (*progress.trail, Step(progress.node_id or "", now, "advanced", BY_OPERATOR))[-MAX_TRAIL_STEPS:]
        return replace(progress, schedule_at=now, sweep_at=now, sweep_count=0, trail=trail, updated_at=now)

    return change(shop, Progress, progress_id, "member.advance", due)
