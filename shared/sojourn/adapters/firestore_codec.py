"""Records to and from Firestore documents: collections, document ids and field names, which only this and the queries know.

What producers and authors fill freely (`data`, `context`, messages, results) is JSON text; see `firestore_values`.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias, cast

from sojourn.adapters.firestore_values import (
    FLAG,
    JSON,
    MOMENT,
    REAL,
    TEXT,
    WHOLE,
    ZLIB,
    Fields,
    Form,
    Shape,
    Special,
    many,
    nested,
    one_of,
    word,
)
from sojourn.application.ports import R, Record
from sojourn.domain.effect import CallWebhook, Effect, EffectStatus, EmitEvent, EnrollJourney, SendMessage, UpdateMember
from sojourn.domain.event import Event
from sojourn.domain.journey import Entries, Journey, JourneyStatus, JourneyVersion, MemberEvent, RejectedEvent, version_id
from sojourn.domain.member import Member
from sojourn.domain.progress import GoalReached, Progress, Status, Step

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
    RejectedEvent: "rejected_events",
}


def _each(names: str, form: Form) -> dict[str, Form]:
    return dict.fromkeys(names.split(), form)


_SHARD = Special(WHOLE, lambda record: record.shard if record.sweep_at is not None else None)
"""Never without `sweep_at`: the sweep's index is sparse."""
_WRITE = {"rev": WHOLE, "token": TEXT}

_EVENT = Shape(Event, _each("id name bot_id member_id", TEXT) | {"occurred_at": MOMENT, "data": JSON, "depth": WHOLE})
_STEP = Shape(Step, _each("node_id outcome reason", TEXT) | {"at": MOMENT})
_GOAL = Shape(GoalReached, {"event_id": TEXT, "at": MOMENT, "revenue": REAL})
_PAYLOAD = one_of(
    send_message=Shape(SendMessage, {"channel": TEXT, "message": JSON}, optional=("message",)),
    webhook=Shape(CallWebhook, {"url": TEXT, "body": JSON}, optional=("body",)),
    update_member=Shape(UpdateMember, {"attributes": JSON}),
    emit_event=Shape(EmitEvent, {"name": TEXT, "data": JSON}),
    enroll_journey=Shape(EnrollJourney, {"journey_id": TEXT, "data": JSON}),
)
_SHAPES = {
    Progress: Shape(
        Progress,
        {
            **_WRITE,
            **_each("journey_id bot_id member_id member_key entry_key node_id end_reason awaits", TEXT),
            **_each("version messages sweep_count", WHOLE),
            **_each("since created_at updated_at schedule_at sweep_at ended_at expire_at", MOMENT),
            **_each("listens consumed", many(TEXT)),
            **_each("context visits", JSON),
            "status": word(Status),
            "trigger": nested(_EVENT),
            "trail": many(nested(_STEP)),
            "goal": nested(_GOAL),
            "parked": FLAG,
            "shard": _SHARD,
        },
        optional=("node_id",),
    ),
    Effect: Shape(
        Effect,
        {
            **_WRITE,
            **_each("progress_id journey_id bot_id member_id member_key node_id reason", TEXT),
            **_each("version attempts sweep_count", WHOLE),
            **_each("created_at updated_at sweep_at expire_at", MOMENT),
            "status": word(EffectStatus),
            "payload": _PAYLOAD,
            "result": JSON,
            # Only looked for where it is set, so that its index stays small.
            "parked": Special(FLAG, lambda effect: effect.parked or None),
            "shard": _SHARD,
        },
    ),
    Journey: Shape(
        Journey,
        {
            **_WRITE,
            **_each("bot_id name end_reason", TEXT),
            **_each("created_at updated_at schedule_end_at", MOMENT),
            "status": word(JourneyStatus),
            "version": WHOLE,
            "listens": many(TEXT),
        },
        optional=("version",),
    ),
    JourneyVersion: Shape(JourneyVersion, _WRITE | {"definition": TEXT, "published_at": MOMENT}),
    Entries: Shape(
        Entries,
        {
            **_WRITE,
            **_each("journey_id member_key last_progress_id", TEXT),
            "count": WHOLE,
            "event_ids": many(TEXT),
            "updated_at": MOMENT,
        },
    ),
    Member: Shape(
        Member,
        {
            **_WRITE,
            **_each("bot_id member_id timezone locale", TEXT),
            **_each("attributes addresses", JSON),
            "updated_at": MOMENT,
        },
        optional=("timezone", "locale"),
    ),
    MemberEvent: Shape(
        MemberEvent,
        {
            **_WRITE,
            **_each("created_at expire_at", MOMENT),
            "event": nested(_EVENT),
            "member_key": Special(TEXT, lambda kept: kept.event.member_key, derived=True),
        },
    ),
    RejectedEvent: Shape(
        RejectedEvent, _WRITE | _each("reason detail", TEXT) | _each("created_at expire_at", MOMENT) | {"data": ZLIB}
    ),
}


def encode(record: Record, fields: Fields) -> None:
    """Write a record into a document's empty fields."""
    _SHAPES[type(record)].write(fields, record)


def decode(kind: type[R], document: Document) -> R:
    """The record of a document. Raises TypeError where a field that must be there is absent."""
    return cast(R, _SHAPES[kind].read(document.fields, **_named(kind, identifier_of(document.name))))


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
