"""What callers send: paths, queries, headers, bodies. Closed, frozen models; the OpenAPI document is generated from them."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    PlainValidator,
    RootModel,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from sojourn.application.desk import BULK_PAGE
from sojourn.application.records import Moment
from sojourn.domain.definition import NodePath
from sojourn.domain.effect import EffectStatus
from sojourn.domain.event import EventData, Identifier
from sojourn.domain.fields import Name, NodeId
from sojourn.domain.journey import JourneyStatus, RejectedStatus
from sojourn.runtime.api.call import read_moment_token, read_page_token

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 50, 200
MAX_REASON_CHARACTERS = 500

JourneyId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/]+$")]
PageToken = Annotated[str, AfterValidator(read_page_token)]
MomentToken = Annotated[Moment, PlainValidator(read_moment_token, json_schema_input_type=str)]
Reason = Annotated[str, Field(max_length=MAX_REASON_CHARACTERS)]


class Wire(BaseModel):
    """A closed document. Its schema, which flask-openapi3 asks for at every request, is made once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        return _schema_of(cls, *args, **options)


class Body(Wire):
    """JSON has types of its own: 0 is not false."""

    model_config = ConfigDict(strict=True)


class OptionalBody(Body):
    """A body that may be left out."""

    model_config = ConfigDict(openapi_extra={"required": False})  # type: ignore[typeddict-unknown-key]  # flask-openapi3's

    @model_validator(mode="before")
    @classmethod
    def _left_out(cls, body: object) -> object:
        return {} if body is None else body


class IfMatch(Wire):
    """The one header that is read here; there are always others."""

    model_config = ConfigDict(extra="ignore")

    if_match: str | None = Field(None, alias="If-Match", description='the ETag that was read, such as "3"; another is 412')


@cache
def _schema_of(model: type[Wire], *args: Any, **options: Any) -> dict[str, Any]:
    return super(Wire, model).model_json_schema(*args, **options)


class JourneyPath(Wire):
    journey_id: JourneyId


class VersionPath(JourneyPath):
    version: Annotated[int, Field(ge=1, le=1_000_000_000)]


class PassagePath(JourneyPath):
    member_id: Identifier


class MemberPath(Wire):
    bot_id: Identifier
    member_id: Identifier


class EffectPath(Wire):
    effect_id: Identifier


class ProgressPath(Wire):
    progress_id: Identifier


class RejectedPath(Wire):
    rejected_id: Identifier


class BotQuery(Wire):
    bot_id: Identifier


class PageQuery(Wire):
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE
    page_token: PageToken | None = None


class JourneysQuery(PageQuery):
    bot_id: Identifier
    status: JourneyStatus | None = None


class EffectsQuery(PageQuery):
    """`reason`: any part of what went wrong, whatever the case of letters. A page may be empty and yet not the last."""

    status: EffectStatus = EffectStatus.DEAD
    journey_id: JourneyId | None = None
    bot_id: Identifier | None = None
    reason: Reason = ""


class ErrorsQuery(PageQuery):
    journey_id: JourneyId | None = None
    bot_id: Identifier | None = None
    reason: Reason = ""


class RejectedQuery(PageQuery):
    status: RejectedStatus = RejectedStatus.OPEN
    reason: Reason = ""


class AuditQuery(Wire):
    subject: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE
    page_token: MomentToken | None = None


class _NodeShape(BaseModel):
    """A node, with the settings of its key; instead of node_paths it may say `next`, `branches` and `else` itself."""

    id: NodeId
    key: str
    settings: dict[str, JsonValue] = {}


class _DefinitionShape(BaseModel):
    """A definition: `settings` as in the answer, `node_paths` or the nodes' own `next`."""

    id: JourneyId
    bot_id: Identifier
    name: Name
    settings: dict[str, JsonValue] = {}
    nodes: Annotated[list[_NodeShape], Field(min_length=1)]
    node_paths: list[NodePath] = []


class DefinitionBody(RootModel[dict[str, JsonValue]]):
    """Any object: the loader of definitions names every fault at once, which a model would do in two steps."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(_DefinitionShape.__pydantic_core_schema__)


class MigrationBody(Body):
    mode: Literal["pin", "migrate", "cancel"] = "pin"
    nodes: dict[NodeId, NodeId] = {}
    gone: Literal["refuse", "cancel"] = "refuse"


class PublishBody(OptionalBody):
    """`dry_run`: only say how many stand where, and what would become of them."""

    migration: MigrationBody = MigrationBody()
    dry_run: bool = False


class ResumeBody(OptionalBody):
    """`extend_waits`: waits last longer by the time paused."""

    extend_waits: bool = False


class ReasonBody(OptionalBody):
    reason: Reason = ""


class BulkBody(Body):
    """One page of a bulk repair: what the filter finds among the next `page_size` documents. `dry_run` only counts.

    Ask again with `next_page_token` until there is none. After a break begin without one: what is done is not found again.
    """

    dry_run: bool = False
    page_size: Annotated[int, Field(ge=1, le=BULK_PAGE)] = BULK_PAGE
    page_token: PageToken | None = None


class ErrorsFilter(Body):
    """All of it holds; `reason` is any part of what went wrong."""

    journey_id: JourneyId | None = None
    bot_id: Identifier | None = None
    reason: Reason = ""


class EffectsFilter(ErrorsFilter):
    status: Literal["DEAD", "FAILED"] = "DEAD"


class RejectedFilter(Body):
    reason: Reason = ""


class RetryEffectsBody(BulkBody):
    filter: EffectsFilter


class AbandonEffectsBody(RetryEffectsBody):
    reason: Reason = ""


class RetryErrorsBody(BulkBody):
    filter: ErrorsFilter


class AbandonErrorsBody(RetryErrorsBody):
    reason: Reason = ""


class RejectedBody(BulkBody):
    filter: RejectedFilter


class EnrollBody(Body):
    """The same `event_id` enters once; without one every request is another event."""

    member_id: Identifier
    data: EventData = {}
    event_id: Identifier | None = None
