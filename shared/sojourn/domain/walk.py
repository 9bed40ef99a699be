"""The walk of one hop: a mutable scratch copy of the progress's position, and what running each kind of node does to it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import assert_never
from zoneinfo import ZoneInfo

from sojourn.domain.action import MAX_PAYLOAD_BYTES, payload_of, size_bytes
from sojourn.domain.definition import (
    Action,
    ApiTrigger,
    Branch,
    DateWait,
    Definition,
    EmitEventNode,
    EnrollJourneyNode,
    EventTrigger,
    Exit,
    Node,
    SendMessageNode,
    Split,
    UpdateMemberNode,
    Wait,
    WaitForEvent,
    WebhookNode,
    listened_by,
)
from sojourn.domain.effect import Effect, Payload, first_sweep
from sojourn.domain.event import Event, JsonObject
from sojourn.domain.expression import Scope, compile_expression, scope
from sojourn.domain.ids import effect_id, fraction
from sojourn.domain.member import Member
from sojourn.domain.moment import next_local, read_moment
from sojourn.domain.progress import (
    MAX_CONSUMED_EVENTS,
    MAX_TRAIL_STEPS,
    TERMINAL_RETENTION,
    GoalReached,
    Progress,
    Status,
    Step,
    sweep_moment,
)
from sojourn.domain.sleep import local_zone, sleeps_until

MAX_NODES_PER_HOP = 32
MAX_VISITS = 1_000
"""Visits of one node by one passage: a loop that nobody meant ends in ERROR, not in an endless bill."""
MAX_CONTEXT_BYTES = 65_536


class Walk:
    """Where a member is while a hop runs. `before` is the progress as it was read; `progress()` is what to commit."""

    def __init__(self, definition: Definition, before: Progress, member: Member | None, now: datetime, max_nodes: int) -> None:
        self.definition, self.before, self.member, self.now = definition, before, member, now
        self.nodes_left = max_nodes
        self.changed = False
        self.status, self.node_id, self.end_reason = before.status, before.node_id, before.end_reason
        self.schedule_at, self.since, self.awaits = before.schedule_at, before.since, before.awaits
        self.context, self.visits = before.context, dict(before.visits)
        self.consumed, self.goal, self.messages = before.consumed, before.goal, before.messages
        self.steps: list[Step] = []
        self.effects: list[Effect] = []
        self._scope: Scope | None = None

    @property
    def node(self) -> Node | None:
        """The node that the member is at; None at the end, or where the version has no such node."""
        return self.definition.by_id.get(self.node_id) if self.node_id is not None else None

    def run(self) -> None:
        """Run node after node until a wait, the end, or the limit of this hop (then RUNNING: another hop goes on)."""
        self.changed = True
        self.status, self.schedule_at, self.awaits = Status.RUNNING, None, None
        while self.status is Status.RUNNING:
            node = self.node
            if node is None:
                self.finish(Status.ERROR, f"version {self.before.version} has no node {self.node_id!r}")
            elif self.nodes_left <= 0:
                return
            elif self.visits.get(node.id, 0) >= MAX_VISITS:
                self.finish(Status.ERROR, f"node {node.id!r} was visited {MAX_VISITS:,} times")
            else:
                self.nodes_left -= 1
                self._run(node)

    def _run(self, node: Node) -> None:
        if isinstance(node, SendMessageNode) and self._sleeps():
            return
        self.visits[node.id] = self.visits.get(node.id, 0) + 1
        match node:
            case EventTrigger() | ApiTrigger():
                self.leave("entered")
            case Wait():
                self._wait(node)
            case WaitForEvent():
                self.wait_until(self.now + node.settings.timeout, "waiting", "for " + ", ".join(listened_by(node)))
            case Branch():
                self._branch(node)
            case Split():
                self._split(node)
            case SendMessageNode() | WebhookNode() | UpdateMemberNode() | EmitEventNode() | EnrollJourneyNode():
                self._act(node)
            case Exit():
                self.step("exited")
                self.finish(Status.ENDED, None)
            case _:
                assert_never(node)

    # Moving on

    def step(self, outcome: str, reason: str | None = None) -> None:
        """Add a line to the trail."""
        self.changed = True
        self.steps.append(Step(self.node_id or "", self.now, outcome, reason))

    def leave(self, outcome: str, *, index: int = 0, reason: str | None = None) -> None:
        """Follow the path `index` out of the node."""
        self.step(outcome, reason)
        targets = self.definition.targets.get(self.node_id or "", ())
        if index < len(targets):
            self.node_id = targets[index]
        else:
            self.finish(Status.ERROR, f"node {self.node_id!r} has no path {index}")
        self.awaits = None

    def finish(self, status: Status, reason: str | None) -> None:
        """Leave the journey for good."""
        if status is not Status.ENDED:
            self.step(status.lower(), reason)
        self.status, self.end_reason, self.schedule_at, self.awaits = status, reason, None, None
        if status is not Status.ERROR:  # an operator retries from the node where it went wrong
            self.node_id = None

    def wait_until(self, moment: datetime, outcome: str, reason: str | None = None) -> None:
        """Stay at the node until `moment`, or until an event that it listens for."""
        self.step(outcome, reason)
        self.status, self.schedule_at = Status.WAITING, moment

    def consume(self, event: Event) -> None:
        """An event counts once (design, section 5)."""
        self.changed = True
        self.consumed = (*self.consumed, event.id)[-MAX_CONSUMED_EVENTS:]

    def remember(self, output: JsonObject) -> None:
        """Put what the node gave into the context, unless the document would grow out of bounds: then only that it did."""
        context = {**self.context, (self.node_id or ""): output}
        if len(json.dumps(context)) > MAX_CONTEXT_BYTES:
            self.step("context_full", f"more than {MAX_CONTEXT_BYTES:,} bytes; what this node put out was dropped")
            return
        self.context, self._scope = context, None

    def reach(self, goal: GoalReached) -> None:
        """The goal counts once; from now on conditions see `journey.goal_reached`."""
        self.goal, self._scope = goal, None

    # Looking around

    def scope(self, event: Event) -> Scope:
        """What expressions see. `event` is the one that is looked at; in a walk, the one that started the passage."""
        if event is not self.before.trigger:
            return scope(self._values(event), self.definition.variables)
        if self._scope is None:
            self._scope = scope(self._values(event), self.definition.variables)
        return self._scope

    def _values(self, event: Event) -> dict[str, object]:
        before = self.before
        journey = {
            "id": before.journey_id,
            "name": self.definition.name,
            "version": before.version,
            "goal_reached": self.goal is not None,
        }
        member = self.member.variables() if self.member else {"id": before.member_id, "attributes": {}}
        return {
            "trigger": before.trigger.variables(),
            "event": event.variables(),
            "member": member,
            "journey": journey,
            "context": self.context,
            "now": self.now,
        }

    def condition(self, source: str, event: Event) -> bool:
        """Whether a condition holds; what is missing is false, and the trail says so."""
        result = compile_expression(source).holds(self.scope(event))
        if result.reason is not None and event is self.before.trigger:
            self.step("false", result.reason)
        return result.value is True

    def zone(self) -> ZoneInfo:
        """The zone of local times here."""
        return local_zone(self.definition.settings, self.member)

    def _sleeps(self) -> bool:
        window = sleeps_until(self.definition.settings, self.member, self.now)
        if window is None:
            return False
        end, tz = window
        self.wait_until(end, "asleep", f"until {end.astimezone(tz):%H:%M} {tz.key}")
        return True

    # Rules

    def _wait(self, node: Wait) -> None:
        settings, tz = node.settings, self.zone()
        if settings.duration is not None:
            self._wait_or_go(self.now + settings.duration, tz)
        elif settings.until_time is not None:
            self._wait_or_go(next_local(self.now, settings.until_time.time, tz, settings.until_time.weekdays), tz)
        elif settings.until_date is not None:
            moment = self._date(settings.until_date, tz)
            if isinstance(moment, str):
                self.leave("due", reason=moment)
            else:
                self._wait_or_go(moment, tz)

    def _wait_or_go(self, moment: datetime, tz: ZoneInfo) -> None:
        local = f"until {moment.astimezone(tz):%Y-%m-%d %H:%M} {tz.key}"
        if moment > self.now:
            self.wait_until(moment, "waiting", local)
        else:
            self.leave("due", reason=f"{local} is over")

    def _date(self, settings: DateWait, tz: ZoneInfo) -> datetime | str:
        """The moment, or why there is none: then the member goes on at once, and the trail says so."""
        result = compile_expression(settings.date).evaluate(self.scope(self.before.trigger))
        if result.reason is not None:
            return result.reason
        moment = read_moment(result.value, settings.time, settings.offset, tz)
        return f"{settings.date}: {result.value!r:.40} is no date" if moment is None else moment

    def _branch(self, node: Branch) -> None:
        for index, branch in enumerate(node.settings.branches):
            if self.condition(branch.condition, self.before.trigger):
                return self.leave(branch.name, index=index, reason=branch.condition)
        return self.leave("else", index=len(node.settings.branches))

    def _split(self, node: Split) -> None:
        """Sticky: hashed from member and node, the same on every passage. Otherwise from the passage and the visit."""
        before = self.before
        sticky = (before.member_key, before.journey_id, node.id)
        seed = sticky if node.settings.sticky else (before.id, node.id, self.visits[node.id])
        branches = node.settings.branches
        point = fraction("split", *seed) * sum(branch.weight for branch in branches)
        for index, branch in enumerate(branches):
            point -= branch.weight
            if point < 0:
                return self.leave(branch.name, index=index)
        raise AssertionError("the point is below the sum of the weights")

    # Actions

    def _act(self, node: Action) -> None:
        quota = self.definition.settings.message_quota
        if isinstance(node, SendMessageNode):
            if quota is not None and self.messages >= quota:
                return self.leave("skipped", reason=f"message_quota of {quota} is used up")
            self.messages += 1
        payload, reasons = payload_of(node, self.scope(self.before.trigger))
        size = size_bytes(payload)
        if size > MAX_PAYLOAD_BYTES:
            return self.finish(Status.ERROR, f"node {node.id!r} puts out {size:,} bytes; at most {MAX_PAYLOAD_BYTES:,}")
        effect = self._effect(node, payload)
        self.effects.append(effect)
        reason = "; ".join(reasons) or None
        if isinstance(node, SendMessageNode | WebhookNode) and node.settings.await_result:
            self.step("awaiting", reason)
            self.status, self.awaits = Status.WAITING, effect.id
            return None
        return self.leave("sent" if isinstance(node, SendMessageNode) else "done", reason=reason)

    def _effect(self, node: Action, payload: Payload) -> Effect:
        before = self.before
        identifier = effect_id(before.id, node.id, self.visits[node.id])
        return Effect(
            id=identifier,
            progress_id=before.id,
            journey_id=before.journey_id,
            version=before.version,
            bot_id=before.bot_id,
            member_id=before.member_id,
            member_key=before.member_key,
            node_id=node.id,
            payload=payload,
            created_at=self.now,
            updated_at=self.now,
            sweep_at=first_sweep(identifier, now=self.now),
        )

    # The result

    def progress(self) -> Progress:
        """The progress to commit."""
        terminal = self.status.terminal
        return replace(
            self.before,
            status=self.status,
            node_id=self.node_id,
            schedule_at=self.schedule_at,
            end_reason=self.end_reason,
            context=self.context,
            listens=self._listens(),
            visits=self.visits,
            trail=(*self.before.trail, *self.steps)[-MAX_TRAIL_STEPS:],
            consumed=self.consumed,
            awaits=self.awaits,
            messages=self.messages,
            goal=self.goal,
            since=self.since,
            parked=False,
            sweep_at=sweep_moment(self.before.id, self.status, self.schedule_at, awaits=self.awaits, now=self.now),
            sweep_count=0,
            updated_at=self.now,
            ended_at=(self.before.ended_at or self.now) if terminal else None,
            expire_at=(self.before.expire_at or self.now + TERMINAL_RETENTION) if terminal else None,
        )

    def _listens(self) -> tuple[str, ...]:
        """Exit events and the goal everywhere, the node's own while waiting; after the end the goal, in its window."""
        goal = self.definition.settings.goal
        if self.status.terminal:
            open_goal = goal is not None and self.goal is None and self.now < self.before.trigger.occurred_at + goal.window
            return (goal.event,) if goal is not None and open_goal and self.status is not Status.ERROR else ()
        node = self.node
        at_node = listened_by(node) if node is not None and self.status is Status.WAITING else ()
        return tuple(sorted({*self.definition.always_listens, *at_node}))
