"""Records to and from Firestore documents: their collections, ids, and what is not a field of the attribute's own name.

A renamed attribute is a renamed field: whoever does that writes a migration.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeAlias, cast

from sojourn.adapters.firestore_values import BROKEN, JSON, Fields, Form, Shape, Special, Value, form_of, one_of
from sojourn.application.records import R, Record
from sojourn.domain.audit import AuditEntry
from sojourn.domain.breaker import Breaker
from sojourn.domain.checkup import Checkup
from sojourn.domain.effect import CallWebhook, Effect, EmitEvent, EnrollJourney, SendMessage, UpdateMember
from sojourn.domain.enrollment import Enrollment
from sojourn.domain.history import Refusal
from sojourn.domain.journey import (
    Entries,
    Journey,
    JourneyVersion,
    MemberEvent,
    QuotaShare,
    RejectedEvent,
    RejectedStatus,
    version_id,
)
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress, Step

MAX_ID_BYTES = 1_500
"""Firestore's limit on a document id (https://cloud.google.com/firestore/quotas)."""

Document: TypeAlias = Any
"""A bare protobuf `google.firestore.v1.Document`."""

COLLECTIONS: dict[type, str] = {
    Progress: "progress",
    Effect: "effects",
    Journey: "journeys",
    JourneyVersion: "versions",
    Entries: "entries",
    Member: "members",
    MemberEvent: "member_events",
    QuotaShare: "quotas",
    RejectedEvent: "rejected_events",
    Refusal: "refusals",
    Enrollment: "enrollments",
    AuditEntry: "audit",
    Breaker: "breakers",
    Checkup: "checkups",
}


def _write_trail(target: Value, trail: Sequence[Step]) -> None:
    JSON.write(target, [(step.node_id, step.at.isoformat(), step.outcome, step.reason) for step in trail])


def _read_trail(value: Value) -> tuple[Step, ...]:
    return tuple(Step(node_id, datetime.fromisoformat(at), *rest) for node_id, at, *rest in JSON.read(value))


# Read and written at every hop and never searched: as maps, ten steps would cost as much time as all the other fields.
_TRAIL = Form(_write_trail, _read_trail)
_SHARD = Special(form_of(int), lambda record: record.shard if record.sweep_at is not None else None)
"""Never without `sweep_at`: the sweep's index is sparse."""
# Only looked for where it is set, so that its index stays small.
_PARKED = Special(form_of(bool), lambda effect: effect.parked or None)
_SETTLES = Special(form_of(bool), lambda head: head.settling is not None or None, derived=True)
_IN_ERROR = Special(form_of(bool), lambda progress: progress.in_error or None, derived=True)
_COUNTED_BY: dict[str, Form | Special] = {
    "reached": Special(form_of(tuple[str, ...]), attrgetter("reached"), derived=True),
    "left_at": Special(form_of(str), attrgetter("left_at"), derived=True),
    "entered_on": Special(form_of(str), attrgetter("entered_on"), derived=True),
    "moved_in": Special(form_of(str), attrgetter("moved_in"), derived=True),
    "failed_in": Special(form_of(str), attrgetter("failed_in"), derived=True),
    "goal_reached": Special(form_of(bool), lambda progress: progress.goal_reached or None, derived=True),
    "goal_revenue": Special(form_of(float), attrgetter("goal_revenue"), derived=True),
}
_REJECTED_STATUS = Special(form_of(RejectedStatus), attrgetter("status"), derived=True)
_EFFECTS_COUNTED_BY: dict[str, Form | Special] = {
    name: Special(form_of(str), attrgetter(name), derived=True) for name in ("skipped_for", "finished_in", "failed_in")
}
_MEMBER_KEY = Special(form_of(str), lambda kept: kept.event.member_key, derived=True)
_PAYLOAD = one_of(
    send_message=Shape(SendMessage),
    webhook=Shape(CallWebhook),
    update_member=Shape(UpdateMember),
    emit_event=Shape(EmitEvent),
    enroll_journey=Shape(EnrollJourney),
)
_SHAPES = {
    Progress: Shape(Progress, known=["id"], shard=_SHARD, trail=_TRAIL, in_error=_IN_ERROR, **_COUNTED_BY),
    Effect: Shape(Effect, known=["id"], shard=_SHARD, payload=_PAYLOAD, parked=_PARKED, **_EFFECTS_COUNTED_BY),
    Journey: Shape(Journey, known=["id"], settles=_SETTLES),
    JourneyVersion: Shape(JourneyVersion, known=["journey_id", "version"]),
    Entries: Shape(Entries, known=["id"]),
    Member: Shape(Member),
    MemberEvent: Shape(MemberEvent, member_key=_MEMBER_KEY),
    QuotaShare: Shape(QuotaShare, known=["id"]),
    RejectedEvent: Shape(RejectedEvent, known=["id"], status=_REJECTED_STATUS),
    Refusal: Shape(Refusal, known=["id"]),
    Enrollment: Shape(Enrollment, known=["id"]),
    AuditEntry: Shape(AuditEntry, known=["id"]),
    Breaker: Shape(Breaker, known=["id"]),
    Checkup: Shape(Checkup, known=["id"]),
}


def encode(record: Record, fields: Fields) -> None:
    """Write a record into a document's empty fields."""
    _SHAPES[type(record)].write(fields, record)


def encode_changes(record: Record, before: Record, fields: Fields) -> list[str]:
    """Write into empty fields what differs from `before`, a record of the same kind; the names of the fields that do."""
    return _SHAPES[type(record)].write_changes(fields, record, before)


class Unreadable(ValueError):
    """A document that holds no record of its kind: a field is absent, or holds what no release up to this one writes.

    It names the fields and quotes none: what they hold may be a member's.
    """


def decode(kind: type[R], document: Document) -> R:
    """The record of a document. Raises Unreadable."""
    identifier, shape = identifier_of(document.name), _SHAPES[kind]
    try:
        return cast(R, shape.read(document.fields, **_named(kind, identifier)))
    except BROKEN:
        fields = ", ".join(shape.broken(document.fields)) or "its id"
        raise Unreadable(f"{COLLECTIONS[kind]} {identifier}: no {kind.__name__} can be read from it: {fields}") from None


def moment_of(document: Document, name: str) -> datetime:
    """A moment that stands in a field."""
    return cast(datetime, form_of(datetime).read(document.fields[name]))


def _named(kind: type, identifier: str) -> dict[str, object]:
    """What the id alone says; the ids of members and their events are hashes of their fields."""
    if kind is JourneyVersion:
        journey_id, _, version = identifier.rpartition("/")
        return {"journey_id": journey_id, "version": int(version)}
    return {} if kind in (Member, MemberEvent) else {"id": identifier}


def path_of(kind: type, identifier: str) -> str | None:
    """Where a record lies below `documents`; None where no document can have that id, such as an endless one."""
    if kind is JourneyVersion:
        journey_id, _, version = identifier.rpartition("/")
        steps = [(COLLECTIONS[Journey], journey_id), (COLLECTIONS[JourneyVersion], version)]
    else:
        steps = [(COLLECTIONS[kind], identifier)]
    escaped = [(collection, _ESCAPED.sub(_escape, each)) for collection, each in steps]
    if any(not 0 < len(each.encode()) <= MAX_ID_BYTES for _, each in escaped):
        return None
    return "/".join(part for step in escaped for part in step)


def identifier_of(name: str) -> str:
    """The id of the record that lies at a document's full name."""
    steps = name.split("/documents/", 1)[1].split("/")
    *parents, identifier = (_ESCAPE.sub(_unescape, each) for each in steps[1::2])
    return version_id(parents[0], int(identifier)) if parents else identifier


# A journey's id is the author's own; Firestore takes neither a slash, nor ".", "..", "__x__", nor half of a surrogate pair.
_ESCAPED = re.compile(r"[%/\ud800-\udfff]|^[._]")
_ESCAPE = re.compile(r"%([0-9A-F]{4})")


def _escape(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):04X}"


def _unescape(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))
