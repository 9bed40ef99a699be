"""The event: what a log entry of ours says happened to a member. Parsing keeps what Google adds and refuses what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails

from sojourn.domain.errors import EventRejected
from sojourn.domain.ids import derived_id, member_key
from sojourn.domain.strict_json import read_json
from sojourn.domain.trace import derived_trace_id, read_trace_id

JsonObject: TypeAlias = Mapping[str, JsonValue]

SCHEMA_VERSION = 1
MAX_ENTRY_BYTES = 256 * 1024
"""The size limit of a LogEntry (https://cloud.google.com/logging/quotas)."""
MAX_DATA_DEPTH = 16
"""Levels of nesting in `data`; Firestore itself takes 20 in a document."""
EARLIEST_YEAR = 2000
"""A producer that forgot to set a time writes year 1 or 1970."""
MAX_FUTURE = timedelta(minutes=10)
"""How far a producer's clock may be ahead."""
MAX_EMIT_DEPTH = 8
"""Events that a journey emits may move members whose journeys emit events; after this many in a row it is a loop."""
LOOP_PAUSE = timedelta(hours=12)
"""What is emitted so long after its cause begins a new row: a journey that starts itself again every day is no loop."""


def _in_utc(moment: datetime) -> datetime:
    if not EARLIEST_YEAR <= moment.year < MAXYEAR:  # the last day of all does not exist in every zone
        raise ValueError(f"must be between {EARLIEST_YEAR} and {MAXYEAR - 1}")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, Field(strict=False), AfterValidator(_in_utc)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200)]
EventName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:\-]*$")]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a member, at `occurred_at` by the producer's clock. `data` is what the producer logged.

    `trace`: the id of the trace in which the producer logged it; None where there was none.
    """

    id: str
    name: str
    bot_id: str
    member_id: str
    occurred_at: datetime
    data: JsonObject
    depth: int = 0
    trace: str | None = None

    @property
    def member_key(self) -> str:
        """The id of the member's document."""
        return member_key(self.bot_id, self.member_id)

    @property
    def cause(self) -> Cause:
        """It as the cause of other events."""
        return Cause(self.depth, self.occurred_at)

    @property
    def trace_id(self) -> str:
        """The producer's trace, else one that follows from the event."""
        return self.trace or derived_trace_id(self.bot_id, self.member_id, self.id)

    def variables(self) -> dict[str, object]:
        """What expressions see as `event` and `trigger`."""
        return {"id": self.id, "name": self.name, "occurred_at": self.occurred_at, "data": self.data}


@dataclass(frozen=True, slots=True)
class Cause:
    """What of an event counts for those that it brings about: its place in the row of emitted ones, and when it occurred."""

    depth: int
    occurred_at: datetime

    def next_depth(self, now: datetime) -> int:
        """The place of an event that it brings about now."""
        return 1 if now - self.occurred_at >= LOOP_PAUSE else self.depth + 1


class _Metadata(BaseModel):
    """`support_journey` decides, the rest describes; producers may add keys of their own."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    support_journey: Literal[True]
    event_id: Identifier | None = None
    schema_version: Literal[1] = 1
    occurred_at: Moment | None = None
    depth: Annotated[int, Field(ge=0)] = 0


class _Subject(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    bot_id: Identifier
    member_id: Identifier


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    event: EventName
    metadata: _Metadata
    data: _Subject


class _LogEntry(BaseModel):
    """The fields of Cloud Logging's LogEntry that the engine reads (https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    logName: str = ""
    insertId: str = ""
    timestamp: Moment
    trace: Annotated[str | None, BeforeValidator(read_trace_id)] = None
    jsonPayload: _Payload


def read_log_entry(data: bytes, *, now: datetime) -> Event | None:
    """The event of a LogEntry as the sink published it; None where the entry is none of ours. Raises EventRejected.

    Only `support_journey: true` makes an entry ours (design, section 9). An entry that cannot be read far enough to tell is
    treated as ours, so that nothing of ours is ever dropped unseen.
    """
    if len(data) > MAX_ENTRY_BYTES:
        raise EventRejected("oversized", f"entry: {len(data):,} bytes; at most {MAX_ENTRY_BYTES:,}")
    entry = _load(data)
    payload = entry.get("jsonPayload")
    metadata = payload.get("metadata") if isinstance(payload, dict) else None
    if not isinstance(metadata, dict) or metadata.get("support_journey") is not True:
        return None
    version = metadata.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION or isinstance(version, bool):
        found = f"{version!r:.40}; this engine reads {SCHEMA_VERSION}"
        raise EventRejected("unknown_version", f"jsonPayload.metadata.schema_version: {found}")
    try:
        parsed = _LogEntry.model_validate(entry)
    except ValidationError as error:
        raise EventRejected("malformed", first_fault(error)) from error
    assert isinstance(payload, dict)
    body = payload["data"]
    assert isinstance(body, dict)
    return _event(parsed, body, now=now)


def _load(data: bytes) -> dict[str, JsonValue]:
    try:
        entry = read_json(data)
    except ValueError as error:
        raise EventRejected("malformed", f"entry: not JSON ({error})") from error
    if not isinstance(entry, dict):
        raise EventRejected("malformed", f"entry: not a JSON object but {entry!r:.80}")
    return entry


def _event(entry: _LogEntry, body: dict[str, JsonValue], *, now: datetime) -> Event:
    payload, metadata = entry.jsonPayload, entry.jsonPayload.metadata
    if depth_of(body) > MAX_DATA_DEPTH:
        raise EventRejected("too_deep", f"jsonPayload.data: nested deeper than {MAX_DATA_DEPTH} levels")
    if metadata.depth > MAX_EMIT_DEPTH:
        emitted = f"{metadata.depth!r:.40}; journeys emitted {MAX_EMIT_DEPTH} events in a row"
        raise EventRejected("loop", f"jsonPayload.metadata.depth: {emitted}")
    occurred_at = metadata.occurred_at or entry.timestamp
    if occurred_at > now + MAX_FUTURE:
        field = "jsonPayload.metadata.occurred_at" if metadata.occurred_at else "timestamp"
        late = f"{occurred_at.isoformat()} is more than {MAX_FUTURE} ahead of {now.isoformat()}"
        raise EventRejected("future", f"{field}: {late}")
    if metadata.event_id is None and not entry.insertId:
        raise EventRejected("malformed", "jsonPayload.metadata.event_id: missing, and there is no insertId to take its place")
    return Event(
        id=metadata.event_id or derived_id("event", entry.logName, entry.timestamp.isoformat(), entry.insertId),
        name=payload.event,
        bot_id=payload.data.bot_id,
        member_id=payload.data.member_id,
        occurred_at=occurred_at,
        data=body,
        depth=metadata.depth,
        trace=entry.trace,
    )


def depth_of(value: JsonValue) -> int:
    """Levels of nesting: 0 for a scalar. Walks with a list, so that no depth can exhaust the stack."""
    deepest, open_values = 0, [(value, 0)]
    while open_values:
        item, depth = open_values.pop()
        deepest = max(deepest, depth)
        children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        open_values.extend((child, depth + 1) for child in children)
    return deepest


def _shallow(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if depth_of(dict(data)) > MAX_DATA_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DATA_DEPTH} levels")
    return data


EventData = Annotated[dict[str, JsonValue], AfterValidator(_shallow)]
"""The `data` of an event that a person writes."""


def first_fault(error: ValidationError) -> str:
    """The first fault of a pydantic error as one line: the field, what is wrong, the value."""
    return faults_of(error)[0]


def faults_of(error: ValidationError) -> list[str]:
    """Every fault, one line each."""
    return [_fault(fault) for fault in error.errors(include_url=False)]


def _fault(fault: ErrorDetails) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    wanted = fault["msg"].removeprefix("Value error, ").partition(" or instance of ")[0]
    value = "" if fault["type"] == "missing" else f", not {fault['input']!r:.80}"
    return f"{place + ': ' if place else '':.100}{wanted:.200}{value}"


def write_log_entry(event: Event) -> bytes:
    """The LogEntry that `read_log_entry` reads back: how the engine itself publishes an event that a journey emits."""
    metadata = {"support_journey": True, "event_id": event.id, "schema_version": SCHEMA_VERSION, "depth": event.depth}
    data = {**event.data, "bot_id": event.bot_id, "member_id": event.member_id}
    payload = {"message": f"{event.name} emitted", "event": event.name, "metadata": metadata, "data": data}
    entry = {"timestamp": event.occurred_at.isoformat(), "jsonPayload": payload}
    return json.dumps(entry | ({"trace": event.trace} if event.trace else {})).encode()
