"""A journey that fails for too many pauses itself and says why; the minute tick looks.

::

    which journeys failed lately ─▶ how often, within the limit's window ─▶ of how many ─▶ pause, reason, audit entry
     2 queries where none did         2 counts for each that did              2 more where it could be too many

Effects and progress keep the five minutes in which they were over or moved (`domain.moment.period_of`), so a count is an exact
answer of the store, and while all is well the tick asks two queries that find nothing, however many journeys there are. The
window begins after the last resume: what failed before it was looked at by whoever resumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sojourn.application.lifecycle import pause
from sojourn.application.records import MAX_PAGE, Question
from sojourn.application.workshop import Workshop
from sojourn.domain.audit import ENGINE
from sojourn.domain.effect import Effect
from sojourn.domain.errors import Changed, NotAllowed
from sojourn.domain.journey import Journey, JourneyStatus
from sojourn.domain.journey_settings import FailureLimit
from sojourn.domain.moment import PERIOD_SECONDS, period_of, periods
from sojourn.domain.progress import Progress

COUNTED = {Effect: "finished_in", Progress: "moved_in"}
"""What fails, and by which attribute all of it is counted; failures of both by `failed_in`."""
WORDS = {Effect: "messages and other effects", Progress: "members"}
MAX_EXAMPLE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class _Suspect:
    """An ongoing journey where something failed lately, its limit, and the periods that count."""

    head: Journey
    limit: FailureLimit
    periods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Failed:
    """So many of a kind failed."""

    suspect: _Suspect
    kind: type[Effect] | type[Progress]
    failed: int


def pause_failing(shop: Workshop, now: datetime) -> int:
    """Pause the journeys that exceed their limit; how many."""
    suspects = [suspect for head in _failed_lately(shop, now) if (suspect := _suspect(shop, head, now)) is not None]
    asked = [(suspect, kind) for suspect in suspects for kind in COUNTED]
    counts = _count(shop, [(suspect, kind, "failed_in") for suspect, kind in asked])
    grave = [
        _Failed(suspect, kind, failed)
        for (suspect, kind), failed in zip(asked, counts, strict=True)
        if failed >= suspect.limit.least
    ]
    totals = _count(shop, [(one.suspect, one.kind, COUNTED[one.kind]) for one in grave])
    broken: dict[str, tuple[_Failed, int]] = {}
    for one, total in zip(grave, totals, strict=True):
        if one.suspect.limit.exceeded(failed=one.failed, total=total):
            broken.setdefault(one.suspect.head.id, (one, total))
    return sum(_pause(shop, one, total) for one, total in broken.values())


def _failed_lately(shop: Workshop, now: datetime) -> list[Journey]:
    """Ongoing journeys with a failure in this period or the one before; where too many have one to list, all of them."""
    lately = periods(now - timedelta(seconds=PERIOD_SECONDS), now)
    effects = shop.store.distinct(Effect, "journey_id", {"failed_in": lately})
    members = shop.store.distinct(Progress, "journey_id", {"failed_in": lately})
    if max(len(effects), len(members)) >= MAX_PAGE:
        return shop.store.journeys((JourneyStatus.ONGOING,))
    heads = [shop.catalog.head(journey_id, fresh=True) for journey_id in sorted({*effects, *members})]
    return [head for head in heads if head is not None and head.status is JourneyStatus.ONGOING]


def _suspect(shop: Workshop, head: Journey, now: datetime) -> _Suspect | None:
    """None where the journey has no limit, or has only just gone on."""
    definition = shop.catalog.definition(head.id, head.version) if head.version is not None else None
    limit = definition.settings.pause_on_failures if definition is not None else None
    if limit is None:
        return None
    resumed = period_of(head.ongoing_since) if head.ongoing_since is not None else ""
    counted = tuple(period for period in periods(now - limit.window, now) if period > resumed)
    return _Suspect(head, limit, counted) if counted else None


def _count(shop: Workshop, asked: Sequence[tuple[_Suspect, type[Effect] | type[Progress], str]]) -> list[int]:
    questions = [
        Question(kind, {"journey_id": suspect.head.id, attribute: suspect.periods}) for suspect, kind, attribute in asked
    ]
    return [tally.count for tally in shop.store.tally_many(questions)]


def _pause(shop: Workshop, one: _Failed, total: int) -> bool:
    """Whether it was this call that did: a head that somebody else has changed is looked at by the next tick."""
    head = one.suspect.head
    with suppress(Changed, NotAllowed):
        pause(shop.by(ENGINE), head.id, reason=_reason(shop, one, total), rev=head.rev)
        return True
    return False


def _reason(shop: Workshop, one: _Failed, total: int) -> str:
    suspect = one.suspect
    since = suspect.periods[0].replace("T", " ")
    shares = f"{one.failed / total:.0%}; the limit is {suspect.limit.share:.0%}"
    text = f"{one.failed:,} of {total:,} {WORDS[one.kind]} failed since {since} UTC ({shares})"
    example = _example(shop, one)
    return f"{text}, for example: {example}" if example else text


def _example(shop: Workshop, one: _Failed) -> str:
    where: Mapping[str, str | tuple[str, ...]] = {"journey_id": one.suspect.head.id, "failed_in": one.suspect.periods}
    if one.kind is Effect:
        reason = next((stored.value.reason for stored in shop.store.find(Effect, where, limit=1)), None)
    else:
        reason = next((stored.value.end_reason for stored in shop.store.find(Progress, where, limit=1)), None)
    return (reason or "")[:MAX_EXAMPLE_CHARACTERS]
