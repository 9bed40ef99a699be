"""The script of a rehearsal: who the member is, what happens to them and when, and what channels answer. From JSON or YAML.

A moment is RFC 3339; without a time zone it is read on the member's own clock.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from sojourn.application.members import MemberFields
from sojourn.domain.errors import InputError
from sojourn.domain.event import EARLIEST_YEAR, EventData, EventName, Identifier, faults_of
from sojourn.domain.fields import NodeId
from sojourn.domain.moment import Duration, at_local, parse_duration

MAX_EVENTS = 100
MAX_MEMBERS = 200
LATEST_YEAR = 2100
"""Waits of ten years and what is kept after them still have dates then."""


def parse_moment(value: object) -> datetime:
    """A moment, with or without a zone. ValueError says what would be right."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime):
        raise ValueError("a moment is written 2026-03-02T21:30, or with a time zone 2026-03-02T20:30:00Z")
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise ValueError(f"the year must be between {EARLIEST_YEAR} and {LATEST_YEAR}")
    return moment


def _moment_or_duration(value: object) -> datetime | timedelta:
    with suppress(ValueError):
        return parse_duration(value)
    try:
        return parse_moment(value)
    except ValueError as error:
        raise ValueError(f"{error}; a duration 30m, 1d or 1d 12h") from None


LocalMoment = Annotated[
    datetime,
    BeforeValidator(parse_moment),
    WithJsonSchema({"type": "string", "description": "RFC 3339; without a time zone on the member's clock"}),
]
WrittenDuration = Annotated[Duration, WithJsonSchema({"type": "string", "description": "such as 2h or 1d 12h"})]
MomentOrDuration = Annotated[
    datetime | timedelta,
    BeforeValidator(_moment_or_duration),
    WithJsonSchema({"type": "string", "description": "a moment, or a duration since the start"}),
]


class Part(BaseModel):
    """A closed part of a script. JSON has types of its own: 0 is not false."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StartingEvent(Part):
    """What starts the passage. Without a name the trigger's own; another name is logged as it is, and may start nothing."""

    name: EventName | None = None
    data: EventData = {}


class ScriptedEvent(Part):
    """What a service logs about the member later: `after` the start, or `at` a moment."""

    name: EventName
    data: EventData = {}
    after: WrittenDuration | None = None
    at: LocalMoment | None = None

    @model_validator(mode="after")
    def _one(self) -> ScriptedEvent:
        if (self.after is None) == (self.at is None):
            raise ValueError("give exactly one of after, at")
        return self


class ScriptedResult(Part):
    """What the channel answers to a node's effect, at every attempt: `retryable` makes it DEAD after the last."""

    outcome: Literal["delivered", "permanent", "retryable"] = "delivered"
    reason: str | None = Field(default=None, max_length=500)
    result: JsonValue = None


class Script(Part):
    """Everything has a default: somebody of whom nothing is known comes through the first trigger, now, and nothing follows.

    A `member_id` alone is the bot's real member, who is only read; with `member` it is somebody made up. `until` is by default
    365 days after the start. With `members` above 1 others like the member go the same way, to see how branches divide them.
    """

    version: Annotated[int, Field(ge=1, le=1_000_000_000)] | Literal["draft"] | None = None
    trigger: NodeId | None = None
    member_id: Identifier | None = None
    member: MemberFields | None = None
    at: LocalMoment | None = None
    event: StartingEvent = StartingEvent()
    events: Annotated[tuple[ScriptedEvent, ...], Field(max_length=MAX_EVENTS, strict=False)] = ()
    results: dict[NodeId, ScriptedResult] = {}
    until: MomentOrDuration | None = None
    members: Annotated[int, Field(ge=1, le=MAX_MEMBERS)] = 1


def read_script(raw: object) -> Script:
    """The script in what a file or an option holds. Raises InputError with every fault."""
    try:
        return Script.model_validate(raw)
    except ValidationError as error:
        raise InputError("\n".join(faults_of(error))) from error


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """A moment without a zone of its own, on the wall clock in `zone`; UTC."""
    return moment.astimezone(UTC) if moment.tzinfo else at_local(moment.date(), moment.time(), zone)
