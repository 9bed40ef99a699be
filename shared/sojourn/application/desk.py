"""The operator's desk: what waits for a person, found by filters, and one repair for all that a filter finds.

::

    selection ─▶ page by id ─▶ each: make, one commit with its audit entry ─▶ messages ─▶ beyond that page … ─▶ nothing left

A page is one bounded request. Whatever it has done no longer satisfies the filter, and each item is a compare-and-set: a run
that was killed is begun again and continues, and of two runs at once each does what the other has not. Every item has an audit
entry of its own: one for the whole could only be written before or after, and a kill in between would make it lie.

Lists go by id. Ids are hashes, so new ones come in anywhere, and no index grows at one end where a bad day writes fastest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, assert_never

from sojourn.application.audit import Change, commit_changes, stamped
from sojourn.application.operations import Page
from sojourn.application.ports import Outgoing
from sojourn.application.records import CommitResult, Question, Stored, Where
from sojourn.application.repair import B, Repair
from sojourn.application.workshop import Workshop
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.errors import NotAllowed
from sojourn.domain.journey import RejectedEvent, RejectedStatus
from sojourn.domain.progress import Progress

BULK_PAGE = 200
"""Documents that one request of a bulk repair looks at: each takes a commit of its own, which 60 s must be enough for."""
UNCLEAR = "the store gave no clear answer; look again"


@dataclass(frozen=True, slots=True)
class Selection(Generic[B]):
    """A filter: `where` is asked of the store; `reason`, any part of what went wrong, and the bot beside a journey are not."""

    kind: type[B]
    where: Where
    reason: str = ""
    bot_id: str | None = None

    def holds(self, record: Effect | Progress | RejectedEvent) -> bool:
        """What the store was not asked for."""
        other = self.bot_id is not None and not isinstance(record, RejectedEvent) and record.bot_id != self.bot_id
        return not other and self.reason.casefold() in _what_went_wrong(record).casefold()


def effects(
    status: EffectStatus, *, journey_id: str | None = None, bot_id: str | None = None, reason: str = ""
) -> Selection[Effect]:
    """Effects of a status."""
    return Selection(Effect, {"status": status, **_scope(journey_id, bot_id)}, reason, bot_id)


def members_in_error(*, journey_id: str | None = None, bot_id: str | None = None, reason: str = "") -> Selection[Progress]:
    """Members who cannot go on."""
    return Selection(Progress, {"in_error": True, **_scope(journey_id, bot_id)}, reason, bot_id)


def rejected_events(status: RejectedStatus = RejectedStatus.OPEN, *, reason: str = "") -> Selection[RejectedEvent]:
    """Log entries of ours that could not be taken."""
    return Selection(RejectedEvent, {"status": status}, reason)


def _scope(journey_id: str | None, bot_id: str | None) -> dict[str, str]:
    """A journey is of one bot, so one index for each is enough."""
    if journey_id is not None:
        return {"journey_id": journey_id}
    return {"bot_id": bot_id} if bot_id is not None else {}


def _what_went_wrong(record: Effect | Progress | RejectedEvent) -> str:
    match record:
        case Effect():
            return ": ".join(filter(None, [record.failure, record.reason]))
        case Progress():
            return record.end_reason or ""
        case RejectedEvent():
            return f"{record.reason}: {record.detail}"
        case _:
            assert_never(record)


def select(shop: Workshop, selection: Selection[B], *, after: str | None, limit: int) -> Page[B]:
    """Those that are among the next `limit` documents, by id; a page may be empty and yet not the last."""
    found = [stored.value for stored in shop.store.find(selection.kind, selection.where, after=after, limit=limit + 1)]
    kept = [record for record in found[:limit] if selection.holds(record)]
    return Page(kept, found[limit - 1].id if len(found) > limit else None)


@dataclass(frozen=True, slots=True)
class Refused:
    """One that was selected and could not be repaired."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of a page; of a dry run, `done` would be.

    `overtaken`: somebody else changed them meanwhile. `other`: not of the reason or bot that was asked for. `left` have not
    been looked at; the next page begins `after` that id, None: there is none.
    """

    done: int
    overtaken: int
    refused: tuple[Refused, ...]
    other: int
    left: int
    after: str | None

    @property
    def looked(self) -> int:
        """At so many documents."""
        return self.done + self.overtaken + len(self.refused) + self.other


def repair_page(
    shop: Workshop,
    repair: Repair[B],
    selection: Selection[B],
    *,
    after: str | None = None,
    limit: int = BULK_PAGE,
    dry_run: bool = False,
) -> Repaired:
    """Repair those that are among the next `limit` documents. Raises Unavailable; what was done by then is done."""
    found = shop.store.find(selection.kind, selection.where, after=after, limit=limit)
    wanted = [stored for stored in found if selection.holds(stored.value)]
    overtaken, refused = (0, ()) if dry_run else _repair_all(shop, repair, wanted)
    last = found[-1].value.id if len(found) == limit else None
    left = shop.store.tally_many([Question(selection.kind, selection.where, after=last)])[0].count if last is not None else 0
    done = len(wanted) - overtaken - len(refused)
    return Repaired(done, overtaken, refused, len(found) - len(wanted), left, last if left else None)


def _repair_all(shop: Workshop, repair: Repair[B], found: Sequence[Stored[B]]) -> tuple[int, tuple[Refused, ...]]:
    """How many somebody else was faster with, and those that could not be repaired."""
    made: list[tuple[Stored[B], B]] = []
    refused: list[Refused] = []
    for stored in found:
        try:
            made.append((stored, stamped(shop, repair.make(shop, stored.value))))
        except NotAllowed as error:
            refused.append(Refused(stored.value.id, str(error)))
    results = commit_changes(shop, [Change(repair.action, stored, after) for stored, after in made])
    messages: list[Outgoing] = []
    for (_, after), result in zip(made, results, strict=True):
        if result is CommitResult.APPLIED:
            messages += repair.tell(after)
        elif result is not CommitResult.CONFLICT:
            refused.append(Refused(after.id, UNCLEAR))
    shop.publish_many(messages)
    return results.count(CommitResult.CONFLICT), tuple(refused)
