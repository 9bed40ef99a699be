"""A journey definition: nodes, the paths between them, settings. Frozen pydantic models; what cannot be right does not load."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated

from pydantic import Field

from sojourn.domain.event import Identifier
from sojourn.domain.expression import compile_expression
from sojourn.domain.fields import MAX_BRANCHES, EventMatch, Frozen, Name, NodeId
from sojourn.domain.journey_settings import Settings
from sojourn.domain.node import EventTrigger, KeyedNode, Node, ScheduleTrigger, expressions_of, listened_by

MAX_NODES = 500


class NodePath(Frozen):
    """A directed edge; `index` is its place in the order of the source's branches."""

    source: NodeId
    target: NodeId
    index: Annotated[int, Field(ge=0, le=MAX_BRANCHES)] = 0


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
        found: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for path in sorted(self.node_paths, key=lambda path: path.index):
            found.setdefault(path.source, []).append(path.target)
        return {source: tuple(targets) for source, targets in found.items()}

    @cached_property
    def event_triggers(self) -> tuple[EventTrigger, ...]:
        """The triggers that log lines can match."""
        return tuple(node for node in self.nodes if isinstance(node, EventTrigger))

    @cached_property
    def schedule_triggers(self) -> tuple[ScheduleTrigger, ...]:
        """The triggers that fire by the clock."""
        return tuple(node for node in self.nodes if isinstance(node, ScheduleTrigger))

    @cached_property
    def always_listens(self) -> frozenset[str]:
        """The events that count wherever a member is: exit events and the goal."""
        goal = {self.settings.goal.event} if self.settings.goal else set()
        return frozenset({match.event for match in self.settings.exit_events} | goal)

    def listens_at(self, node_id: str | None, *, waiting: bool) -> tuple[str, ...]:
        """The events that a member on the way listens for: the node's own only while they wait there."""
        node = self.by_id.get(node_id) if node_id is not None and waiting else None
        return tuple(sorted({*self.always_listens, *(listened_by(node) if node is not None else ())}))

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
