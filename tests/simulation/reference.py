"""The reference interpreter: what a member who stands somewhere must do next, plain and one thing after the other.

It is not built on the engine: of the product it uses the definition model, compiled expressions, the event's and the member's
variables, and the derivation of ids and split fractions. It is asked at every commit of a passage, with the facts of that
moment, and says the one place at which the member must now stand. `witness` compares.

What that proves, commit by commit and therefore for a whole passage: the node that follows, the branch taken, when a wait is
over and which event ended it, that no event known by then was passed over (exit events, the goal, the awaited), that none
counted twice or before its time, which effects exist with which ids and words, what is listened for, the trail. What it does
not say is when somebody acts: that is taken from the history; that somebody does act is for `rest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

from pydantic import JsonValue

from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect
from sojourn.domain.event import Event
from sojourn.domain.expression import compile_expression, render, scope
from sojourn.domain.fields import EventMatch
from sojourn.domain.ids import effect_id, fraction
from sojourn.domain.journey import Journey, JourneyStatus
from sojourn.domain.member import Member
from sojourn.domain.node import (
    Branch,
    EmitEventNode,
    EnrollJourneyNode,
    Exit,
    Node,
    SendMessageNode,
    Split,
    UpdateMemberNode,
    Wait,
    WaitForEvent,
    WebhookNode,
)
from sojourn.domain.progress import Progress

LIVE = ("READY", "RUNNING", "WAITING")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a hop goes by: the engine's time, the journey's head, events known, the member, the awaited effect's result."""

    now: datetime
    head: Journey
    versions: dict[int, Definition]
    events: Sequence[Event]
    member: Member | None
    result: Effect | None
    goes_on: bool
    """A member who does not wait walks on; otherwise this hop only looks at events."""
    max_nodes: int


@dataclass(slots=True)
class Demand:
    """An effect that must exist."""

    id: str
    node_id: str
    kind: str
    content: JsonValue
    depth: int | None
    """Of an emitted event: the how many-th in a row."""


@dataclass
class Traveller:
    """One member on the way, as the reference sees it. `travel` is one hop."""

    before: Progress
    facts: Facts
    steps: list[tuple[str, str]] = field(default_factory=list)
    demands: list[Demand] = field(default_factory=list)

    def __post_init__(self) -> None:
        start = self.before
        self.status, self.node_id, self.version = str(start.status), start.node_id, start.version
        self.schedule_at, self.since, self.awaits = start.schedule_at, start.since, start.awaits
        self.visits, self.consumed, self.context = dict(start.visits), list(start.consumed), dict(start.context)
        self.goal = start.goal.event_id if start.goal else None
        self.extended, self.nodes_left = start.extended, self.facts.max_nodes
        self.entered_at = start.trigger.occurred_at
        cause = start.moved_by or start.trigger
        self.cause = (cause.depth, cause.occurred_at) if cause.depth else None

    def travel(self) -> Traveller:
        """The hop: leave if the journey is over, follow its changes, hear events, take the result, wake, walk."""
        head = self.facts.head
        if head.status is JourneyStatus.ENDED and self.live:
            self.leave_journey("CANCELED")
        elif self.live:
            self.lengthen()
            self.change_version()
        status, due_at, awaited = self.status, self.schedule_at, self.awaits
        deaf = self.version != self.before.version and not self.live and not self.listens
        for event in sorted(() if deaf else self.facts.events, key=lambda one: (one.occurred_at, one.id)):
            self.hear(event)
        if self.live and awaited is not None and self.awaits == awaited:
            self.take_result()
        if status in ("READY", "RUNNING") and self.status == status and self.facts.goes_on:
            self.walk()
        elif status == self.status == "WAITING" and self.awaits is None and due_at == self.schedule_at:
            self.wake(due_at)
        return self

    # Where the member is

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def definition(self) -> Definition:
        return self.facts.versions[self.version]

    @property
    def node(self) -> Node | None:
        return self.definition.by_id.get(self.node_id or "")

    @property
    def listens(self) -> tuple[str, ...]:
        """What it must listen for."""
        settings = self.definition.settings
        if not self.live:
            goal = settings.goal
            still = goal and self.goal is None and self.status != "ERROR" and self.facts.now < self.entered_at + goal.window
            return (goal.event,) if goal and still else ()
        names = {match.event for match in settings.exit_events} | ({settings.goal.event} if settings.goal else set())
        if self.status == "WAITING" and isinstance(self.node, WaitForEvent):
            wanted = self.node.settings
            names |= {branch.event for branch in wanted.branches} | ({wanted.restart.event} if wanted.restart else set())
        return tuple(sorted(names))

    # What the journey's head changes

    def lengthen(self) -> None:
        """Each pause that was to extend waits lengthens the present one, once."""
        for extension in self.facts.head.extensions:
            if extension.resume > self.extended:
                self.extended = extension.resume
                if self.status == "WAITING" and self.awaits is None and self.schedule_at is not None:
                    self.schedule_at += timedelta(seconds=extension.seconds)

    def change_version(self) -> None:
        head = self.facts.head
        if head.version is None or head.version <= self.version or head.migration.mode == "pin":
            return
        if head.migration.mode == "cancel":
            self.leave_journey("CANCELED")
            return
        old, self.version = self.node, head.version
        self.node_id = head.migration.nodes.get(self.node_id or "", self.node_id)
        self.steps.append((self.node_id or "", "migrated"))
        if self.node is None:
            self.leave_journey("CANCELED")
        elif self.status == "WAITING" and type(self.node) is not type(old):
            self.status, self.schedule_at, self.awaits = "READY", None, None

    # What happens to the member

    def hear(self, event: Event) -> None:
        """The goal first, which counts beside; then exit events; then what the node waits for. Each event counts once."""
        if event.id in self.consumed or event.occurred_at < self.entered_at:
            return
        self.hear_goal(event)
        if not self.live:
            return
        if any(self.matches(match, event) for match in self.definition.settings.exit_events):
            self.consumed.append(event.id)
            self.leave_journey("CANCELED")
        elif self.status == "WAITING" and isinstance(self.node, WaitForEvent) and event.occurred_at >= self.since:
            self.hear_at(self.node, event)

    def hear_at(self, node: WaitForEvent, event: Event) -> None:
        for index, branch in enumerate(node.settings.branches):
            if self.matches(branch, event):
                self.consumed.append(event.id)
                self.since = event.occurred_at
                self.cause = (event.depth, event.occurred_at) if event.depth else None
                self.context[node.id] = {"branch": branch.name, "event": event.name, "data": dict(event.data)}
                self.follow(index, branch.name)
                self.walk()
                return
        if node.settings.restart is not None and self.matches(node.settings.restart, event):
            self.consumed.append(event.id)
            self.steps.append((node.id, "restarted"))
            self.schedule_at = self.facts.now + node.settings.timeout

    def hear_goal(self, event: Event) -> None:
        goal = self.definition.settings.goal
        if goal is None or self.goal is not None or event.occurred_at > self.entered_at + goal.window:
            return
        if self.matches(goal, event):
            self.consumed.append(event.id)
            self.goal = event.id
            self.steps.append((self.node_id or "", "goal"))
            if goal.exit and self.live:
                self.leave_journey("CANCELED")

    def matches(self, match: EventMatch, event: Event) -> bool:
        return match.event == event.name and (match.filter is None or self.value(match.filter, event) is True)

    def take_result(self) -> None:
        result = self.facts.result
        if result is None or result.id != self.awaits:
            return
        output = {"outcome": str(result.status), "failure": result.failure, "reason": result.reason, "result": result.result}
        self.context[self.node_id or ""] = output
        self.since = max(self.since, result.updated_at)
        self.follow(0, str(result.status).lower())
        self.walk()

    def wake(self, due_at: datetime | None) -> None:
        """A wait is left by its last way; whoever only slept acts now."""
        if due_at is None or due_at > self.facts.now:
            return
        self.since = max(self.since, due_at)
        node = self.node
        if isinstance(node, WaitForEvent):
            self.follow(len(node.settings.branches), "timeout")
        elif isinstance(node, Wait):
            self.follow(0, "due")
        self.walk()

    # Walking

    def walk(self) -> None:
        """Node after node, until something makes the member stay or leave, or the hop has gone far enough."""
        self.status, self.schedule_at, self.awaits = "RUNNING", None, None
        while self.status == "RUNNING" and self.nodes_left > 0:
            self.nodes_left -= 1
            node = self.node
            assert node is not None, f"{self.node_id} is a node"
            self.visit(node)

    def visit(self, node: Node) -> None:
        if isinstance(node, SendMessageNode) and (wakes := self.asleep_until()):
            self.stay(wakes, "asleep")
            return
        self.visits[node.id] = self.visits.get(node.id, 0) + 1
        match node:
            case Wait():
                self.begin_wait(node)
            case WaitForEvent():
                self.stay(self.facts.now + node.settings.timeout, "waiting")
            case Branch():
                self.choose(node)
            case Split():
                self.throw(node)
            case SendMessageNode() | WebhookNode() | UpdateMemberNode() | EmitEventNode() | EnrollJourneyNode():
                self.act(node)
            case Exit():
                self.steps.append((node.id, "exited"))
                self.status, self.node_id = "ENDED", None
            case _:
                self.follow(0, "entered")

    def begin_wait(self, node: Wait) -> None:
        until = self.moment_of(node)
        if until is not None and until > self.facts.now:
            self.stay(until, "waiting")
        else:
            self.follow(0, "due")

    def moment_of(self, node: Wait) -> datetime | None:
        """All journeys of the simulation are in UTC, on any weekday, with RFC 3339 dates."""
        settings, now = node.settings, self.facts.now
        if settings.duration is not None:
            return now + settings.duration
        if settings.until_time is not None:
            return next_at(now, settings.until_time.time)
        assert settings.until_date is not None
        found = self.value(settings.until_date.date, self.before.trigger)
        return datetime.fromisoformat(str(found)) + settings.until_date.offset if found is not None else None

    def asleep_until(self) -> datetime | None:
        """The end of the sleep window, if now is in it. It may pass midnight."""
        settings, clock = self.definition.settings, self.facts.now.time()
        start, end = settings.sleep_start_time, settings.sleep_end_time
        if start is None or end is None:
            return None
        inside = start <= clock < end if start < end else (clock >= start or clock < end)
        return next_at(self.facts.now, end) if inside else None

    def choose(self, node: Branch) -> None:
        for index, branch in enumerate(node.settings.branches):
            if self.value(branch.condition, self.before.trigger) is True:
                self.follow(index, branch.name)
                return
        self.follow(len(node.settings.branches), "else")

    def throw(self, node: Split) -> None:
        own = (self.before.member_key, self.before.journey_id, node.id)
        seed = own if node.settings.sticky else (self.before.id, node.id, self.visits[node.id])
        weights = [branch.weight for branch in node.settings.branches]
        point, below = fraction("split", *seed) * sum(weights), 0
        for index, weight in enumerate(weights):
            below += weight
            if point < below:
                self.follow(index, node.settings.branches[index].name)
                return

    def act(self, node: Node) -> None:
        identifier = effect_id(self.before.id, node.id, self.visits[node.id])
        depth = self.depth() if isinstance(node, EmitEventNode | EnrollJourneyNode) else None
        self.demands.append(Demand(identifier, node.id, node.key, self.content_of(node), depth))
        if isinstance(node, SendMessageNode | WebhookNode) and node.settings.await_result:
            self.steps.append((node.id, "awaiting"))
            self.status, self.awaits = "WAITING", identifier
        else:
            self.follow(0, "sent" if isinstance(node, SendMessageNode) else "done")

    def depth(self) -> int:
        """One more than the event that moved the member here, unless half a day lies between them."""
        if self.cause is None or self.facts.now - self.cause[1] >= timedelta(hours=12):
            return 1
        return self.cause[0] + 1

    def content_of(self, node: Node) -> JsonValue:
        template: JsonValue = None
        match node:
            case SendMessageNode():
                template = node.settings.message
            case WebhookNode():
                template = node.settings.body
            case UpdateMemberNode():
                template = dict(node.settings.attributes)
            case EmitEventNode() | EnrollJourneyNode():
                template = dict(node.settings.data)
        return render(template, scope(self.values(self.before.trigger))).value

    def stay(self, until: datetime, outcome: str) -> None:
        self.steps.append((self.node_id or "", outcome))
        self.status, self.schedule_at = "WAITING", until

    def follow(self, index: int, outcome: str) -> None:
        self.steps.append((self.node_id or "", outcome))
        paths = [path for path in self.definition.node_paths if path.source == self.node_id and path.index == index]
        self.node_id, self.awaits = paths[0].target, None

    def leave_journey(self, status: str) -> None:
        self.steps.append((self.node_id or "", status.lower()))
        self.status, self.node_id, self.schedule_at, self.awaits = status, None, None, None

    # Looking around

    def value(self, source: str, event: Event) -> object:
        return compile_expression(source).evaluate(scope(self.values(event))).value

    def values(self, event: Event) -> dict[str, object]:
        before, member = self.before, self.facts.member
        return {
            "trigger": before.trigger.variables(),
            "event": event.variables(),
            "member": member.variables() if member else {"id": before.member_id, "attributes": {}},
            "journey": {
                "id": before.journey_id,
                "name": self.definition.name,
                "version": self.version,
                "goal_reached": self.goal is not None,
            },
            "context": self.context,
            "now": self.facts.now,
        }


def next_at(now: datetime, clock: time) -> datetime:
    """The first moment after `now` at which clocks in UTC show that time."""
    today = datetime.combine(now.date(), clock, UTC)
    return today if today > now else today + timedelta(days=1)
