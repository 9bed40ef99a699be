"""What the API answers. Closed, frozen models, read off the attributes of records; OpenAPI is generated from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, JsonValue, RootModel

from sojourn.application.report import JourneyReport
from sojourn.domain.definition import NodePath
from sojourn.domain.effect import EffectStatus, Failure
from sojourn.domain.journey import JourneyStatus, RejectedStatus
from sojourn.domain.journey_settings import Settings
from sojourn.domain.node import KeyedNode
from sojourn.domain.progress import Status
from sojourn.runtime.api.questions import Wire

ETAG: dict[str, Any] = {
    "headers": {"ETag": {"description": "the revision, for If-Match", "schema": {"type": "string"}, "required": True}}
}


class View(Wire):
    """A closed document that may be read off a record."""

    model_config = ConfigDict(from_attributes=True)


class SettlingView(View):
    """Work on members that a change left to do; `done` of them are through."""

    started_at: datetime
    done: int


class JourneySummary(View):
    id: str
    bot_id: str
    name: str
    status: JourneyStatus
    version: int | None
    rev: int
    created_at: datetime
    updated_at: datetime
    paused_at: datetime | None
    pause_reason: str | None
    end_reason: str | None
    settling: SettlingView | None


class JourneyView(JourneySummary):
    """The head and a definition: the draft where there is one (`draft`), else the published version."""

    model_config = ConfigDict(openapi_extra=ETAG)  # type: ignore[typeddict-unknown-key]  # flask-openapi3's

    DEFINED: ClassVar = ("id", "bot_id", "name", "settings", "nodes", "node_paths")

    draft: bool
    settings: Settings
    nodes: tuple[KeyedNode, ...]
    node_paths: tuple[NodePath, ...]


class VersionView(View):
    journey_id: str
    version: int
    published_at: datetime
    name: str
    settings: Settings
    nodes: tuple[KeyedNode, ...]
    node_paths: tuple[NodePath, ...]


class JourneyPage(View):
    items: tuple[JourneySummary, ...]
    next_page_token: str | None


class JourneyCount(View):
    bot_id: str
    total: int
    by_status: dict[JourneyStatus, int]


class StandingView(View):
    """Members at a node of a version, and what publishing would do to them."""

    version: int
    node_id: str
    members: int
    fate: str


class PublishPlan(View):
    standing: tuple[StandingView, ...]


class Published(RootModel[JourneyView | PublishPlan]):
    """The journey; of a dry run, the plan."""


class ReportView(RootModel[JourneyReport]):
    """The seed's journey_report, by version, day and node."""


class OutcomeView(View):
    """What became of it, in the word that is counted: entered, duplicate, repeat_limit, paused …"""

    outcome: str


class StepView(View):
    node_id: str
    at: datetime
    outcome: str
    reason: str | None


class PassageView(View):
    """A progress with its trail, the last 50 steps. Every log line, message and delivery of it has its `trace_id`."""

    id: str
    trace_id: str
    version: int
    status: Status
    node_id: str | None
    entered_at: Annotated[datetime, Field(validation_alias="created_at")]
    schedule_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    rev: int
    trail: tuple[StepView, ...]


class PassagesView(View):
    """A member's passages through a journey, the newest first."""

    journey_id: str
    member_id: str
    passages: tuple[PassageView, ...]


class MemberView(View):
    model_config = ConfigDict(openapi_extra=ETAG)  # type: ignore[typeddict-unknown-key]  # flask-openapi3's

    bot_id: str
    member_id: str
    attributes: dict[str, JsonValue]
    timezone: str | None
    locale: str | None
    addresses: dict[str, JsonValue]
    rev: int
    updated_at: datetime


class EffectView(View):
    """`about` says in a few words what it does."""

    id: str
    journey_id: str
    bot_id: str
    member_id: str
    node_id: str
    progress_id: str
    about: str
    status: EffectStatus
    reason: str | None
    failure: Failure | None
    attempts: int
    created_at: datetime
    updated_at: datetime


class WholeEffect(EffectView):
    """And what it says to whom, what came back, and when it goes on or is forgotten."""

    rev: int
    payload: dict[str, JsonValue]
    result: JsonValue
    not_before: datetime | None
    expire_at: datetime | None


class EffectPage(View):
    items: tuple[EffectView, ...]
    next_page_token: str | None


class ProgressView(View):
    """A member who waits for an operator: where they stand, and why they cannot go on. `trace_id` finds them in the log."""

    id: str
    trace_id: str
    journey_id: str
    version: int
    bot_id: str
    member_id: str
    status: Status
    node_id: str | None
    end_reason: str | None
    entered_at: Annotated[datetime, Field(validation_alias="created_at")]
    updated_at: datetime
    rev: int


class WholeProgress(ProgressView):
    """And the event that started the passage, what nodes put out, and the last 50 steps."""

    entry_key: str
    event: str
    event_id: str
    data: dict[str, JsonValue]
    context: dict[str, dict[str, JsonValue]]
    trail: tuple[StepView, ...]


class ProgressPage(View):
    items: tuple[ProgressView, ...]
    next_page_token: str | None


class RefusedView(View):
    id: str
    why: str


class BulkView(View):
    """What became of a page; of a dry run, `done` would be.

    `overtaken`: somebody else changed them meanwhile. `other`: not of the reason or bot that was asked for. `left` have not
    been looked at.
    """

    dry_run: bool
    done: int
    overtaken: int
    refused: tuple[RefusedView, ...]
    other: int
    left: int
    next_page_token: str | None


class RejectedView(View):
    """`data` is the entry as it came, what is no UTF-8 in it replaced; `topic` where it belongs, empty: nobody knows."""

    id: str
    status: RejectedStatus
    topic: str
    reason: str
    detail: str
    data: str
    created_at: datetime
    replayed_at: datetime | None
    abandoned_at: datetime | None
    expire_at: datetime


class RejectedPage(View):
    items: tuple[RejectedView, ...]
    next_page_token: str | None


class AuditView(View):
    """One change: `before` and `after` are JSON text."""

    id: str
    at: Annotated[datetime, Field(validation_alias="created_at")]
    principal: str
    action: str
    subject: str
    before: str | None
    after: str | None


class AuditPage(View):
    items: tuple[AuditView, ...]
    next_page_token: str | None


class Health(View):
    status: Literal["ok"] = "ok"
