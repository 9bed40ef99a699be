"""The life of a journey (design, section 3).

::

    create ─▶ DRAFT ──publish──▶ ONGOING ◀──resume── PAUSED       edit: in DRAFT and PAUSED; publishing makes it a version
                │                   │ ────pause────▶   │ publish ─▶ ONGOING
              delete                └──────end─────────┴─────▶ ENDED

Each change writes the head first and then lets `settling` tend to the members, page by page. Whoever parks or moves a member
meanwhile looks at the head again, so one of the two sees the other. `rev` is what the caller read; another one is Changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from sojourn.application.audit import Change, commit_changes, read, stamped
from sojourn.application.records import MAX_PAGE, CommitResult, Create
from sojourn.application.schedule_jobs import sync_jobs
from sojourn.application.settling import settle_message
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.errors import Changed, NotAllowed, Unavailable
from sojourn.domain.journey import Extension, Journey, JourneyStatus, JourneyVersion, Migration, Settling
from sojourn.domain.loading import dump_definition, load_stored
from sojourn.domain.progress import Progress

ALLOWED = {
    JourneyStatus.DRAFT: ("edit", "publish", "delete"),
    JourneyStatus.ONGOING: ("pause", "end"),
    JourneyStatus.PAUSED: ("edit", "publish", "resume", "end"),
    JourneyStatus.ENDED: (),
}
MAX_EXTENSIONS = 50
"""Pauses whose length is remembered for waits that they interrupted."""


def get_journey(shop: Workshop, journey_id: str) -> Journey:
    """The head, read now. Raises NotFound."""
    return read(shop, Journey, journey_id).value


def create_journey(shop: Workshop, definition: Definition) -> Journey:
    """A DRAFT. Raises NotAllowed where the id is taken."""
    now = shop.now()
    head = Journey(
        definition.id,
        definition.bot_id,
        definition.name,
        JourneyStatus.DRAFT,
        None,
        now,
        now,
        draft=dump_definition(definition),
        token=shop.tokens.token(),
    )
    result = commit_changes(shop, [Change("journey.create", None, head)])[0]
    if result is CommitResult.CONFLICT:
        raise NotAllowed(f"journey {definition.id!r} is there already; edit it, or choose another id")
    if result is not CommitResult.APPLIED:
        raise Unavailable(f"journey {definition.id!r} could not be written")
    return head


def edit_journey(shop: Workshop, definition: Definition, *, rev: int | None = None) -> Journey:
    """Change the draft; nobody on the way notices before it is published. A journey stays with its bot."""

    def edited(head: Journey) -> Journey:
        if head.bot_id != definition.bot_id:
            raise NotAllowed(f"journey {head.id!r} belongs to bot {head.bot_id!r}, not {definition.bot_id!r}")
        return replace(head, name=definition.name, draft=dump_definition(definition))

    return _change(shop, definition.id, "edit", edited, rev=rev)


def publish(shop: Workshop, journey_id: str, *, migration: Migration = Migration(), rev: int | None = None) -> Journey:
    """Make the draft the next version, ONGOING; `migration` says what becomes of members on older ones."""

    def published(head: Journey) -> tuple[Journey, JourneyVersion]:
        definition = _draft(head)
        _check_nodes(shop, head, definition, migration)
        now = shop.now()
        version = (head.version or 0) + 1
        settling = Settling(parked=migration.mode == "pin", started_at=now) if head.version else None
        after = replace(
            _resumed(head, now, extend_waits=False),
            version=version,
            listens=tuple(sorted(definition.listens.union(head.listens))),
            schedule_end_at=definition.settings.schedule_end_at,
            draft=None,
            migration=migration,
            settling=settling,
        )
        if head.version is not None:
            before = shop.catalog.definition(head.id, head.version)
            if before is None or before.settings.entry_rules != definition.settings.entry_rules:
                after = replace(after, entry_rules_since=version, entry_rules_at=now)
        assert head.draft is not None
        return after, JourneyVersion(head.id, version, head.draft, now, token=shop.tokens.token())

    return _change(shop, journey_id, "publish", published, rev=rev)


def publish_journey(shop: Workshop, definition: Definition, *, migration: Migration = Migration()) -> Journey:
    """Create or edit, and publish: what a file on the command line asks for."""
    if shop.store.get_many(Journey, [definition.id])[0] is None:
        create_journey(shop, definition)
    else:
        edit_journey(shop, definition)
    return publish(shop, definition.id, migration=migration)


def delete_journey(shop: Workshop, journey_id: str, *, rev: int | None = None) -> None:
    """Take a DRAFT away. Journeys that were published stay, for they have a history."""
    stored = read(shop, Journey, journey_id)
    _check(stored.value, "delete", rev)
    if commit_changes(shop, [Change("journey.delete", stored, None)])[0] is not CommitResult.APPLIED:
        raise Changed(f"journey {journey_id!r} was changed meanwhile")


def pause(shop: Workshop, journey_id: str, *, reason: str | None = None, rev: int | None = None) -> Journey:
    """Nobody enters, nobody moves; what falls due is parked. Takes hold within the age of a cached head."""
    now = shop.now()

    def paused(head: Journey) -> Journey:
        return replace(head, status=JourneyStatus.PAUSED, paused_at=now, pause_reason=reason, settling=None)

    return _change(shop, journey_id, "pause", paused, rev=rev)


def resume(shop: Workshop, journey_id: str, *, extend_waits: bool = False, rev: int | None = None) -> Journey:
    """ONGOING first; then those whom the pause parked are taken up, spread out. `extend_waits`: by the time paused."""

    def resumed(head: Journey) -> Journey:
        now = shop.now()
        return replace(_resumed(head, now, extend_waits=extend_waits), settling=Settling(parked=True, started_at=now))

    return _change(shop, journey_id, "resume", resumed, rev=rev)


def end(shop: Workshop, journey_id: str, *, reason: str = "journey ended", rev: int | None = None) -> Journey:
    """ENDED for good; everybody on the way leaves."""

    def ended(head: Journey) -> Journey:
        settling = Settling(parked=False, started_at=shop.now())
        return replace(head, status=JourneyStatus.ENDED, end_reason=reason, settling=settling)

    return _change(shop, journey_id, "end", ended, rev=rev)


def end_due(shop: Workshop, now: datetime) -> int:
    """End the journeys whose schedule_end_at has passed; how many. Somebody else may end one at the same time."""
    ended = 0
    for stored in shop.store.journeys_to_end(now):
        with suppress(NotAllowed):
            end(shop, stored.value.id, reason="schedule_end_at reached")
            ended += 1
    return ended


@dataclass(frozen=True, slots=True)
class Standing:
    """How many members stand at a node of a version, and what a publication would do to them."""

    version: int
    node_id: str
    members: int
    fate: str


def plan_publish(shop: Workshop, journey_id: str, migration: Migration) -> list[Standing]:
    """What publishing the draft would do to everybody on the way; nothing is written."""
    head = get_journey(shop, journey_id)
    return _standing(shop, head, _draft(head), migration)


def _standing(shop: Workshop, head: Journey, definition: Definition, migration: Migration) -> list[Standing]:
    counts = Counter((one.version, one.node_id or "") for one in _live(shop, head.id))
    next_version = (head.version or 0) + 1
    return [
        Standing(version, node_id, members, _fate(definition, migration, node_id, version, next_version))
        for (version, node_id), members in sorted(counts.items())
    ]


def _fate(definition: Definition, migration: Migration, node_id: str, version: int, next_version: int) -> str:
    match migration.mode:
        case "pin":
            return f"finish on version {version}"
        case "cancel":
            return "leave"
        case _:
            target = migration.nodes.get(node_id, node_id)
            if target in definition.by_id:
                return f"continue at {target!r} of version {next_version}"
            return "leave" if migration.gone == "cancel" else GONE


GONE = "have no node: map it, or let them leave"


def _check_nodes(shop: Workshop, head: Journey, definition: Definition, migration: Migration) -> None:
    """Raises NotAllowed for a map to nowhere, and for members who would have no node without anybody having chosen that."""
    if unknown := sorted(set(migration.nodes.values()) - definition.by_id.keys()):
        raise NotAllowed(f"the map names {unknown[0]!r}, which the new version has not")
    if head.version is None or migration.mode != "migrate" or migration.gone == "cancel":
        return
    gone = [one for one in _standing(shop, head, definition, migration) if one.fate == GONE]
    if gone:
        listed = ", ".join(f"{one.members} at {one.node_id!r} of version {one.version}" for one in gone)
        raise NotAllowed(f"members {GONE}: {listed}")


def _draft(head: Journey) -> Definition:
    if head.draft is None:
        raise NotAllowed(f"journey {head.id!r} has no draft to publish; edit it first, or resume it")
    return load_stored(head.draft)


def _resumed(head: Journey, now: datetime, *, extend_waits: bool) -> Journey:
    resumes = head.resumes + (head.paused_at is not None)
    seconds = (now - head.paused_at).total_seconds() if head.paused_at else 0.0
    added = (Extension(resumes, seconds),) if extend_waits and head.paused_at else ()
    extensions = (*head.extensions, *added)[-MAX_EXTENSIONS:]
    after = replace(head, status=JourneyStatus.ONGOING, paused_at=None, pause_reason=None, ongoing_since=now)
    return replace(after, resumes=resumes, extensions=extensions)


def _change(
    shop: Workshop,
    journey_id: str,
    change: str,
    make: Callable[[Journey], Journey | tuple[Journey, JourneyVersion]],
    *,
    rev: int | None,
) -> Journey:
    """Apply a change by compare-and-set, let settling begin, bring its jobs in step. A lost race is looked at again."""
    for _ in range(MAX_ROUNDS):
        stored = read(shop, Journey, journey_id)
        _check(stored.value, change, rev)
        made = make(stored.value)
        head, *versions = made if isinstance(made, tuple) else (made,)
        head = stamped(shop, replace(head, updated_at=shop.now()))
        also = tuple(Create(version) for version in versions)
        if commit_changes(shop, [Change(f"journey.{change}", stored, head, also)])[0] is CommitResult.APPLIED:
            if head.settling is not None:
                shop.publish_many([settle_message(journey_id)])
            sync_jobs(shop, head)
            return head
    raise Unavailable(f"journey {journey_id!r} is being written by others")


def _check(head: Journey, change: str, rev: int | None) -> None:
    if rev is not None and rev != head.rev:
        raise Changed(f"journey {head.id!r} is at revision {head.rev}, not {rev}: read it again")
    allowed = ALLOWED[head.status]
    if change not in allowed:
        listed = ", ".join(allowed) or "nothing"
        raise NotAllowed(f"journey {head.id!r} is {head.status}: {change} is not allowed; allowed: {listed}")
    if change == "publish" and head.settling is not None:
        raise NotAllowed(f"journey {head.id!r} still settles the last change ({head.settling.done:,} members done): wait")


def _live(shop: Workshop, journey_id: str) -> Iterator[Progress]:
    """Everybody on the way, parked or not."""
    for parked in (False, True):
        after: str | None = None
        while page := shop.store.live_progress(journey_id, parked=parked, after=after):
            yield from (stored.value for stored in page)
            if len(page) < MAX_PAGE:
                break
            after = page[-1].value.id
