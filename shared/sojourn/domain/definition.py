"""A journey definition: nodes, the paths between them, settings. Frozen pydantic models; what cannot be right does not load.

Keys are unique over the categories, so a file may leave `category` out. A node's paths are ordered by `index`: `branch` and
`wait_for_event` have one for each branch and one more, the last, for *else* or *timeout*; `split` one for each branch; every
other node but `exit` exactly one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta
from functools import cached_property
from typing import Annotated, Literal, TypeAlias, assert_never
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from sojourn.domain.event import EventName, Identifier
from sojourn.domain.expression import Condition, Expression, Template, compile_expression, placeholders
from sojourn.domain.moment import Duration, Offset, Weekday, ZoneName, zone

MAX_NODES = 500
MAX_BRANCHES = 20

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
NodeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+\S*$", max_length=2_000)]


def _clock(value: object) -> object:
    """YAML 1.1 reads an unquoted 22:00 as the number 1320, minutes in base 60."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    return value


LocalTime = Annotated[time, BeforeValidator(_clock)]


class Frozen(BaseModel):
    """A closed, immutable part of a definition."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EventMatch(Frozen):
    """An event by name, and optionally a condition on it."""

    event: EventName
    filter: Condition | None = None


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
    channel: Identifier = "mailbox"
    message: Annotated[dict[str, JsonValue], Field(min_length=1)] | Annotated[str, StringConstraints(min_length=1)]
    await_result: bool = False

    @model_validator(mode="after")
    def _renders(self) -> SendMessageSettings:
        placeholders(self.message)
        return self


class WebhookSettings(Frozen):
    url: Url
    body: Template = None
    await_result: bool = False


class UpdateMemberSettings(Frozen):
    """Attributes to set; null removes one."""

    attributes: Annotated[dict[Name, Template], Field(min_length=1)]


class EmitEventSettings(Frozen):
    name: EventName
    data: dict[str, Template] = {}


class EnrollJourneySettings(Frozen):
    journey_id: Identifier
    data: dict[str, Template] = {}


class NodeFields(Frozen):
    id: NodeId
    name: Name | None = None


class EventTrigger(NodeFields):
    category: Literal["trigger"] = "trigger"
    key: Literal["event"]
    settings: EventTriggerSettings


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


Trigger: TypeAlias = EventTrigger | ApiTrigger
Action: TypeAlias = SendMessageNode | WebhookNode | UpdateMemberNode | EmitEventNode | EnrollJourneyNode
Node: TypeAlias = Trigger | Wait | WaitForEvent | Branch | Split | Action | Exit
KeyedNode = Annotated[Node, Field(discriminator="key")]


class NodePath(Frozen):
    """A directed edge; `index` is its place in the order of the source's branches."""

    source: NodeId
    target: NodeId
    index: Annotated[int, Field(ge=0, le=MAX_BRANCHES)] = 0


class Goal(EventMatch):
    """What the journey is for. Reached at most once a passage, within `window` of the entry, also after the passage is over."""

    window: Duration = timedelta(days=30)
    revenue: Condition | None = None
    exit: bool = False


class Settings(Frozen):
    """How members enter, leave and are spoken to. Times of day are local: the journey's zone, or the member's where known."""

    schedule_start_at: AwareDatetime | None = None
    schedule_end_at: AwareDatetime | None = None
    repeat_journey_times: Annotated[int, Field(ge=1, le=1_000_000)] | None = 1
    while_active: Literal["skip", "allow"] | None = None
    entry_key: Condition | None = None
    message_quota: Annotated[int, Field(ge=1)] | None = None
    sleep_start_time: LocalTime | None = None
    sleep_end_time: LocalTime | None = None
    timezone: ZoneName = "UTC"
    timezone_of: Literal["journey", "member"] = "journey"
    exit_events: Annotated[tuple[EventMatch, ...], Field(max_length=MAX_BRANCHES)] = ()
    goal: Goal | None = None

    @model_validator(mode="after")
    def _pairs(self) -> Settings:
        if (self.sleep_start_time is None) != (self.sleep_end_time is None):
            raise ValueError("give both of sleep_start_time and sleep_end_time, or neither")
        if self.sleep_start_time is not None and self.sleep_start_time == self.sleep_end_time:
            raise ValueError("sleep_start_time and sleep_end_time are the same: nobody would ever be spoken to")
        if self.schedule_start_at and self.schedule_end_at and self.schedule_start_at >= self.schedule_end_at:
            raise ValueError("schedule_start_at must be before schedule_end_at")
        return self

    @property
    def skips_while_active(self) -> bool:
        """Without a setting: one passage at a time, except where `entry_key` tells passages apart."""
        return self.while_active == "skip" if self.while_active else self.entry_key is None

    @property
    def zone(self) -> ZoneInfo:
        """The journey's own time zone."""
        found = zone(self.timezone)
        assert found is not None, "ZoneName was validated"
        return found


class Definition(Frozen):
    """One version of a journey. Look-ups are made once, on first use."""

    id: Identifier
    bot_id: Identifier
    name: Name
    settings: Settings = Settings()
    nodes: Annotated[tuple[KeyedNode, ...], Field(min_length=1, max_length=MAX_NODES)]
    node_paths: tuple[NodePath, ...] = ()

    @cached_property
    def by_id(self) -> dict[str, Node]:
        """Nodes by id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def targets(self) -> dict[str, tuple[str, ...]]:
        """The ids of the nodes that follow each node, in the order of `index`."""
        paths = sorted(self.node_paths, key=lambda path: path.index)
        return {node.id: tuple(path.target for path in paths if path.source == node.id) for node in self.nodes}

    @cached_property
    def event_triggers(self) -> tuple[EventTrigger, ...]:
        """The triggers that log lines can match."""
        return tuple(node for node in self.nodes if isinstance(node, EventTrigger))

    @cached_property
    def always_listens(self) -> frozenset[str]:
        """The events that count wherever a member is: exit events and the goal."""
        goal = {self.settings.goal.event} if self.settings.goal else set()
        return frozenset({match.event for match in self.settings.exit_events} | goal)

    @cached_property
    def listens(self) -> frozenset[str]:
        """Every event that may matter to a member on this journey; what ingest keeps in `member_events`."""
        return self.always_listens | {name for node in self.nodes for name in listened_by(node)}

    @cached_property
    def variables(self) -> frozenset[str]:
        """The variables that a hop's expressions name."""
        return frozenset(name for used in self._variables() for name in used)

    @property
    def reads_member(self) -> bool:
        """Whether a hop needs the member's document: an expression names `member`, or local times are the member's."""
        return self.settings.timezone_of == "member" or "member" in self.variables

    def _variables(self) -> Iterator[frozenset[str]]:
        goal = self.settings.goal
        matches: tuple[EventMatch, ...] = (*self.settings.exit_events, *((goal,) if goal else ()))
        sources = [*(match.filter for match in matches), goal.revenue if goal else None]
        yield from (compile_expression(source).variables for source in sources if source)
        for node in self.nodes:
            yield from (expression.variables for expression in expressions_of(node))


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


def expressions_of(node: Node) -> list[Expression]:
    """Every expression that a hop may evaluate at `node`; the filter of a trigger is ingest's, not a hop's."""
    match node:
        case EventTrigger() | ApiTrigger() | Split() | Exit():
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
