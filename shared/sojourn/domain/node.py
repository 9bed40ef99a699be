"""The nodes of a journey, a closed union told apart by `key`; keys are unique over the categories.

A node's paths are ordered by `index`: `branch` and `wait_for_event` have one for each branch and one more, the last, for *else*
or *timeout*; `split` one for each branch; every other node but `exit` exactly one.
"""

from __future__ import annotations

from datetime import time, timedelta
from typing import Annotated, Literal, TypeAlias, assert_never

from pydantic import Field, JsonValue, StringConstraints, ValidationInfo, model_validator

from sojourn.domain.event import EventName, Identifier
from sojourn.domain.expression import Condition, Expression, Template, check_template, compile_expression, placeholders
from sojourn.domain.fields import MAX_BRANCHES, EventMatch, Frozen, LocalTime, Name, NodeId, Url
from sojourn.domain.moment import Duration, Offset, Weekday
from sojourn.domain.retry import RetryPolicy
from sojourn.domain.schedule import ScheduleTriggerSettings


class EventTriggerSettings(Frozen):
    name: EventName
    filter: Condition | None = None


class NoSettings(Frozen):
    """Nothing to set."""


class LocalTimeWait(Frozen):
    """Until the wall clock shows `time`, on one of `weekdays` (none: any day)."""

    time: LocalTime
    weekdays: tuple[Weekday, ...] = ()


class DateWait(Frozen):
    """Until a date that an expression gives (`YYYY-MM-DD`, at `time` of day, or RFC 3339), plus or minus `offset`."""

    date: Condition
    offset: Offset = timedelta(0)
    time: LocalTime = time(0)


class WaitSettings(Frozen):
    """Exactly one of the three."""

    duration: Duration | None = None
    until_time: LocalTimeWait | None = None
    until_date: DateWait | None = None

    @model_validator(mode="after")
    def _one(self) -> WaitSettings:
        if sum(value is not None for value in (self.duration, self.until_time, self.until_date)) != 1:
            raise ValueError("give exactly one of duration, until_time, until_date")
        return self


class EventBranch(EventMatch):
    name: Name


class WaitForEventSettings(Frozen):
    """The first branch whose event comes is taken; `restart` begins the timeout anew."""

    branches: Annotated[tuple[EventBranch, ...], Field(min_length=1, max_length=MAX_BRANCHES)]
    timeout: Duration
    restart: EventMatch | None = None


class ConditionBranch(Frozen):
    name: Name
    condition: Condition


class BranchSettings(Frozen):
    branches: Annotated[tuple[ConditionBranch, ...], Field(min_length=1, max_length=MAX_BRANCHES)]


class WeightedBranch(Frozen):
    name: Name
    weight: Annotated[int, Field(ge=0, le=1_000_000)]


class SplitSettings(Frozen):
    """`sticky`: a member takes the same branch on every passage; otherwise every visit throws the dice anew."""

    branches: Annotated[tuple[WeightedBranch, ...], Field(min_length=2, max_length=MAX_BRANCHES)]
    sticky: bool = True

    @model_validator(mode="after")
    def _weighted(self) -> SplitSettings:
        if not any(branch.weight for branch in self.branches):
            raise ValueError("at least one branch needs a weight above 0")
        return self


class SendMessageSettings(Frozen):
    """`retry` stands in for the channel's own policy."""

    channel: Identifier = "mailbox"
    message: Annotated[dict[str, JsonValue], Field(min_length=1)] | Annotated[str, StringConstraints(min_length=1)]
    await_result: bool = False
    retry: RetryPolicy | None = None

    @model_validator(mode="after")
    def _renders(self, info: ValidationInfo) -> SendMessageSettings:
        check_template(self.message, info)
        return self


class WebhookSettings(Frozen):
    """`retry` stands in for the policy of the channel `webhook`."""

    url: Url
    body: Template = None
    await_result: bool = False
    retry: RetryPolicy | None = None


class UpdateMemberSettings(Frozen):
    """Attributes to set; null removes one."""

    attributes: Annotated[dict[Name, Template], Field(min_length=1)]


class EmitEventSettings(Frozen):
    name: EventName
    data: dict[str, Template] = Field(default_factory=dict)


class EnrollJourneySettings(Frozen):
    journey_id: Identifier
    data: dict[str, Template] = Field(default_factory=dict)


class NodeFields(Frozen):
    id: NodeId
    name: Name | None = None


class EventTrigger(NodeFields):
    category: Literal["trigger"] = "trigger"
    key: Literal["event"]
    settings: EventTriggerSettings


class ScheduleTrigger(NodeFields):
    category: Literal["trigger"] = "trigger"
    key: Literal["schedule"]
    settings: ScheduleTriggerSettings


class ApiTrigger(NodeFields):
    category: Literal["trigger"] = "trigger"
    key: Literal["api"]
    settings: NoSettings = NoSettings()


class Wait(NodeFields):
    category: Literal["rule"] = "rule"
    key: Literal["wait"]
    settings: WaitSettings


class WaitForEvent(NodeFields):
    category: Literal["rule"] = "rule"
    key: Literal["wait_for_event"]
    settings: WaitForEventSettings


class Branch(NodeFields):
    category: Literal["rule"] = "rule"
    key: Literal["branch"]
    settings: BranchSettings


class Split(NodeFields):
    category: Literal["rule"] = "rule"
    key: Literal["split"]
    settings: SplitSettings


class SendMessageNode(NodeFields):
    category: Literal["action"] = "action"
    key: Literal["send_message"]
    settings: SendMessageSettings


class WebhookNode(NodeFields):
    category: Literal["action"] = "action"
    key: Literal["webhook"]
    settings: WebhookSettings


class UpdateMemberNode(NodeFields):
    category: Literal["action"] = "action"
    key: Literal["update_member"]
    settings: UpdateMemberSettings


class EmitEventNode(NodeFields):
    category: Literal["action"] = "action"
    key: Literal["emit_event"]
    settings: EmitEventSettings


class EnrollJourneyNode(NodeFields):
    category: Literal["action"] = "action"
    key: Literal["enroll_journey"]
    settings: EnrollJourneySettings


class Exit(NodeFields):
    category: Literal["exit"] = "exit"
    key: Literal["exit"]
    settings: NoSettings = NoSettings()


Trigger: TypeAlias = EventTrigger | ScheduleTrigger | ApiTrigger
Action: TypeAlias = SendMessageNode | WebhookNode | UpdateMemberNode | EmitEventNode | EnrollJourneyNode
Node: TypeAlias = Trigger | Wait | WaitForEvent | Branch | Split | Action | Exit
KeyedNode = Annotated[Node, Field(discriminator="key")]


def listened_by(node: Node) -> tuple[str, ...]:
    """The events that a member who waits at `node` reacts to."""
    if not isinstance(node, WaitForEvent):
        return ()
    restart = (node.settings.restart.event,) if node.settings.restart else ()
    return tuple(dict.fromkeys((*(branch.event for branch in node.settings.branches), *restart)))


def branch_names(node: Node) -> tuple[str, ...]:
    """The name of each path that leaves `node`, in order; one empty name for a single path, none for an exit."""
    match node:
        case Exit():
            return ()
        case Branch():
            return (*(branch.name for branch in node.settings.branches), "else")
        case WaitForEvent():
            return (*(branch.name for branch in node.settings.branches), "timeout")
        case Split():
            return tuple(branch.name for branch in node.settings.branches)
        case _:
            return ("",)


def entry_filter(trigger: Trigger) -> str | None:
    """The condition on who may enter through `trigger`."""
    match trigger:
        case EventTrigger(settings=settings):
            return settings.filter
        case ScheduleTrigger(settings=settings):
            return settings.audience.filter
        case ApiTrigger():
            return None
        case _:
            assert_never(trigger)


def expressions_of(node: Node) -> list[Expression]:
    """Every expression that a hop may evaluate at `node`; the filter of a trigger is not a hop's."""
    match node:
        case EventTrigger() | ScheduleTrigger() | ApiTrigger() | Split() | Exit():
            return []
        case Wait():
            sources = [node.settings.until_date.date] if node.settings.until_date else []
            return [compile_expression(source) for source in sources]
        case WaitForEvent():
            filters = [match.filter for match in (*node.settings.branches, node.settings.restart) if match]
            return [compile_expression(source) for source in filters if source]
        case Branch():
            return [compile_expression(branch.condition) for branch in node.settings.branches]
        case SendMessageNode():
            return placeholders(node.settings.message)
        case WebhookNode():
            return placeholders(node.settings.body)
        case UpdateMemberNode():
            return placeholders(node.settings.attributes)
        case EmitEventNode() | EnrollJourneyNode():
            return placeholders(node.settings.data)
        case _:
            assert_never(node)
