"""Audit: who changed what. A change of a document and the entry about it are one commit: both are there, or neither is.

::

    before ─┐                  ┌─▶ the document                      (create, replace, delete)
            ├─▶ commit_changes ┼─▶ what belongs to it                (a version)
    after ──┘   shop.principal └─▶ audit/{id}: who, what, when, before, after

A use case says what a document was and what it becomes; the write and the entry are both made of that, so no use case and no
door can forget the entry, and none tells of a change that was not made. What is more than one document (a member who enters, a
file of members, a replay) is recorded before it is done: then nothing is done that was not recorded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar, assert_never, cast

from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from sojourn.application.records import CommitResult, Create, Delete, Moment, Stored, Update, Write
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.audit import AuditEntry, bounded_state
from sojourn.domain.breaker import Breaker
from sojourn.domain.effect import Effect
from sojourn.domain.errors import NotFound, Unavailable
from sojourn.domain.ids import derived_id
from sojourn.domain.journey import Journey, RejectedEvent
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress

Subject: TypeAlias = Journey | Member | Progress | Effect | RejectedEvent | Breaker
"""What people change."""
A = TypeVar("A", Journey, Member, Progress, Effect, RejectedEvent, Breaker)
T = TypeVar("T", bound=Subject)

NOT_TOLD = {
    *("token", "shard", "sweep_at", "sweep_count", "member_key"),
    *("payload", "result", "rest", "trigger", "context", "visits", "trail", "consumed", "data"),
}
"""The engine's own fields; and what members said and were sent, which no change here touches: entries never expire."""


@dataclass(frozen=True, slots=True)
class Change(Generic[A]):
    """What a document was (None: it is new) and what it becomes (None: it goes); `also` is written together with it."""

    action: str
    before: Stored[A] | None
    after: A | None
    also: tuple[Write, ...] = ()


def commit_changes(shop: Workshop, changes: Sequence[Change[Any]]) -> list[CommitResult]:
    """Commit each change with its entry, atomically; results as those of `Workshop.commit_many`."""
    return shop.commit_many([(_write(change), *change.also, Create(_entry_of(shop, change))) for change in changes])


def change(shop: Workshop, kind: type[A], identifier: str, action: str, make: Callable[[A], A]) -> A:
    """Read, change, compare-and-set; again where somebody else was faster. The same object back: nothing is to be changed.

    Raises NotFound, Unavailable, and what `make` raises.
    """
    for _ in range(MAX_ROUNDS):
        stored = read(shop, kind, identifier)
        made = make(stored.value)
        if made is stored.value:
            return made
        after = stamped(shop, made)
        if commit_changes(shop, [Change(action, stored, after)])[0] is CommitResult.APPLIED:
            return after
    raise Unavailable(f"{_WORDS[kind]} {identifier!r} is being written by others")


def read(shop: Workshop, kind: type[A], identifier: str) -> Stored[A]:
    """The document. Raises NotFound."""
    stored = shop.store.get_many(kind, [identifier])[0]
    if stored is None:
        raise NotFound(f"no {_WORDS[kind]} {identifier!r}")
    return stored


def stamped(shop: Workshop, record: T) -> T:
    """Ready to write: one revision on, with a token of its own."""
    rev = record.rev + 1
    match record:
        case Progress():
            return cast(T, shop.stamp_progress(record, rev=rev))
        case Effect():
            return cast(T, shop.stamp_effect(record, rev=rev))
        case _:
            return replace(record, rev=rev, token=shop.tokens.token())


def write_entry(shop: Workshop, action: str, subject: str, *, before: object = None, after: object = None) -> None:
    """Write down what is about to be done. Raises Unavailable: then it must not be done."""
    entry = _entry(shop, action, subject, _text(before), _text(after))
    if shop.commit_many([(Create(entry),)])[0] is not CommitResult.APPLIED:
        raise Unavailable(f"{action} of {subject} could not be recorded, so it was not done")


def subject_of(record: Subject) -> str:
    """What an entry is about, as a path."""
    match record:
        case Journey():
            return f"journeys/{record.id}"
        case Member():
            return f"bots/{record.bot_id}/members/{record.member_id}"
        case Progress():
            return f"journeys/{record.journey_id}/members/{record.member_id}"
        case Effect():
            return f"effects/{record.id}"
        case RejectedEvent():
            return f"rejected-events/{record.id}"
        case Breaker():
            return f"channels/{record.channel}"
        case _:
            assert_never(record)


def list_entries(shop: Workshop, *, subject: str | None, after: Moment | None, limit: int) -> list[AuditEntry]:
    """Entries, the newest first, beyond `after`; with `subject`, those about one thing."""
    where = {"subject": subject} if subject is not None else {}
    return [stored.value for stored in shop.store.newest(AuditEntry, where, after=after, limit=limit)]


def differences(entry: AuditEntry) -> Mapping[str, tuple[JsonValue, JsonValue]]:
    """The fields that a change changed, each as it was and as it became; None where there was or is none."""
    before, after = (_fields(text) for text in (entry.before, entry.after))
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: (before.get(name), after.get(name)) for name in names}


def _fields(text: str | None) -> dict[str, JsonValue]:
    value = json.loads(text) if text is not None else {}
    return value if isinstance(value, dict) else {"": value}


def _write(change: Change[Any]) -> Write:
    if change.after is None:
        assert change.before is not None, "from nothing to nothing is no change"
        return Delete(change.before.value, change.before.version)
    return Update(change.after, change.before.version) if change.before is not None else Create(change.after)


def _entry_of(shop: Workshop, change: Change[Any]) -> AuditEntry:
    before: Subject | None = change.before.value if change.before is not None else None
    about = change.after if change.after is not None else before
    assert about is not None, "from nothing to nothing is no change"
    return _entry(shop, change.action, subject_of(about), _state(before), _state(change.after))


def _entry(shop: Workshop, action: str, subject: str, before: str | None, after: str | None) -> AuditEntry:
    token = shop.tokens.token()
    return AuditEntry(derived_id("audit", token), shop.now(), shop.principal, action, subject, before, after, token)


def _state(record: Subject | None) -> str | None:
    """A document as entries show it; a draft is read, not quoted."""
    if record is None:
        return None
    fields = cast(dict[str, JsonValue], to_jsonable_python(record, exclude=NOT_TOLD))
    if isinstance(record, Journey) and record.draft is not None:
        fields["draft"] = json.loads(record.draft)
    return bounded_state(json.dumps(fields, ensure_ascii=False))


def _text(value: object) -> str | None:
    return bounded_state(json.dumps(to_jsonable_python(value), ensure_ascii=False)) if value is not None else None


_WORDS: dict[type, str] = {
    Journey: "journey",
    Member: "member",
    Progress: "progress",
    Effect: "effect",
    RejectedEvent: "rejected event",
    Breaker: "channel",
}
