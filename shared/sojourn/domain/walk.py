"""The walk of one hop: a mutable scratch copy of where the member is, which becomes the progress to commit."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect
from sojourn.domain.event import Event, JsonObject
from sojourn.domain.expression import Scope, compile_expression, decided_by, scope
from sojourn.domain.member import Member
from sojourn.domain.node import Node
from sojourn.domain.progress import (
    MAX_CONSUMED_EVENTS,
    MAX_TRAIL_STEPS,
    GoalReached,
    Progress,
    Status,
    Step,
    expiry,
    sweep_moment,
)

MAX_NODES_PER_HOP = 32
MAX_CONTEXT_BYTES = 65_536
MAX_REASON_CHARACTERS = 1_000
"""Of one line of the trail: fifty of them must fit a document."""


class Walk:
    """Where a member is while a hop runs. `before` is the progress as it was read; `progress()` is what to commit."""

    def __init__(self, definition: Definition, before: Progress, member: Member | None, now: datetime, max_nodes: int) -> None:
        self.definition, self.before, self.member, self.now = definition, before, member, now
        self.nodes_left = max_nodes
        self.changed = False
        self.status, self.node_id, self.end_reason = before.status, before.node_id, before.end_reason
        self.schedule_at, self.since, self.awaits = before.schedule_at, before.since, before.awaits
        self.context, self.visits = before.context, dict(before.visits)
        self.consumed, self.goal, self.moved_by = before.consumed, before.goal, before.moved_by
        self.steps: list[Step] = []
        self.effects: list[Effect] = []
        self._scope: Scope | None = None

    @property
    def node(self) -> Node | None:
        """The node that the member is at; None at the end, or where the version has no such node."""
        return self.definition.by_id.get(self.node_id) if self.node_id is not None else None

    @property
    def cause(self) -> datetime | None:
        """When that happened to which this hop is the reaction; None where an operator let the member go on."""
        trail = self.before.trail
        return None if trail and trail[-1].outcome == "retried" else self.since

    # Moving on

    def step(self, outcome: str, reason: str | None = None) -> None:
        """Add a line to the trail."""
        self.changed = True
        self.steps.append(Step(self.node_id or "", self.now, outcome, reason and reason[:MAX_REASON_CHARACTERS]))

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

    def move_by(self, event: Event) -> None:
        """What the member was waiting for has come. Where neither it nor the trigger was emitted, there is no row to count."""
        self.consume(event)
        self.since = event.occurred_at
        self.moved_by = event.cause if event.depth or self.before.trigger.depth else None

    @property
    def depth(self) -> int | None:
        """The place of an event that is emitted now in the row of those that led to it; None: the first, as nearly all are."""
        depth = (self.moved_by or self.before.trigger.cause).next_depth(self.now)
        return depth if depth > 1 else None

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

    def because(self, text: str, sources: Collection[str | None], event: Event) -> str:
        """`text`, and in parentheses the values that decided conditions."""
        values = decided_by([source for source in sources if source], self.scope(event)) if any(sources) else ""
        return f"{text} ({values})" if values else text

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
            goal=self.goal,
            moved_by=self.moved_by,
            since=self.since,
            parked=False,
            sweep_at=sweep_moment(self.before.id, self.status, self.schedule_at, awaits=self.awaits, now=self.now),
            sweep_count=0,
            updated_at=self.now,
            ended_at=(self.before.ended_at or self.now) if terminal else None,
            expire_at=(self.before.expire_at or expiry(self.before, self.status, now=self.now)) if terminal else None,
        )

    def _listens(self) -> tuple[str, ...]:
        """Exit events and the goal everywhere, the node's own while waiting; after the end the goal, in its window."""
        goal = self.definition.settings.goal
        if self.status.terminal:
            open_goal = goal is not None and self.goal is None and self.now < self.before.trigger.occurred_at + goal.window
            return (goal.event,) if goal is not None and open_goal and self.status is not Status.ERROR else ()
        return self.definition.listens_at(self.node_id, waiting=self.status is Status.WAITING)
