"""A journey as a tree, with counts on its nodes: who came by, who is there now, who left there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from pydantic import JsonValue
from rich.text import Text
from rich.tree import Tree

from sojourn.domain.definition import Definition
from sojourn.domain.moment import format_duration
from sojourn.domain.node import (
    ApiTrigger,
    Branch,
    EmitEventNode,
    EnrollJourneyNode,
    EventTrigger,
    Exit,
    Node,
    ScheduleTrigger,
    SendMessageNode,
    Split,
    UpdateMemberNode,
    Wait,
    WaitForEvent,
    WebhookNode,
    branch_names,
)
from sojourn.domain.progress import Progress, Status


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """By node id, over any number of bots' copies of a journey; `taken` by node id and the branch's name.

    `notes` are shown beside a node; without `taken` branches have no count.
    """

    reached: Counter[str]
    waiting: Counter[str]
    left: Counter[str]
    taken: Counter[tuple[str, str]]
    notes: Mapping[str, str] = field(default_factory=dict)


def count_nodes(passages: Iterable[Progress]) -> NodeCounts:
    """Count what the trails say. A node that a passage visits twice counts once."""
    counts = NodeCounts(Counter(), Counter(), Counter(), Counter())
    for progress in passages:
        here = {progress.node_id} if progress.node_id else set()
        counts.reached.update({step.node_id for step in progress.trail} | here)
        counts.taken.update({(step.node_id, step.outcome) for step in progress.trail})
        counts.waiting.update(here if not progress.status.terminal else ())
        if progress.status in (Status.CANCELED, Status.ERROR):
            counts.left.update({progress.trail[-1].node_id} if progress.trail else ())
    return counts


def journey_tree(definition: Definition, passages: Sequence[Progress]) -> Tree:
    """The tree from the triggers down. A way that leads to a node shown above ends with a reference to it."""
    return draw_tree(definition, _head(definition, passages), count_nodes(passages))


def draw_tree(definition: Definition, head: Text, counts: NodeCounts) -> Tree:
    """The same from counts, under a head line."""
    root = Tree(head, guide_style="dim")
    planter = _Planter(definition, counts)
    for node in definition.nodes:
        if node.category == "trigger":
            planter.grow(root, node.id)
    return root


def _head(definition: Definition, passages: Sequence[Progress]) -> Text:
    statuses = Counter("waiting" if not progress.status.terminal else progress.status.lower() for progress in passages)
    head = Text(f"{definition.name}  ", style="bold", no_wrap=True, overflow="ellipsis")
    described = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    return head.append(f"{len(passages)} entered: {described}" if passages else "nobody entered", style="not bold")


class _Planter:
    def __init__(self, definition: Definition, counts: NodeCounts) -> None:
        self._definition, self._counts = definition, counts
        self._shown: set[str] = set()
        self._width = max(len(node.id) for node in definition.nodes)

    def grow(self, parent: Tree, node_id: str) -> None:
        """Nodes in a row are siblings, so that only branches indent."""
        while node_id not in self._shown:
            node = self._definition.by_id[node_id]
            self._shown.add(node_id)
            added = parent.add(self._label(node))
            targets = self._definition.targets[node_id]
            if len(targets) > 1:
                for name, target in zip(branch_names(node), targets, strict=True):
                    taken = f": {self._counts.taken[node_id, name]}" if self._counts.taken else ""
                    self.grow(added.add(_line((f"{name}{taken}", "cyan"))), target)
                return
            if not targets:
                return
            node_id = targets[0]
        parent.add(_line((f"↪ {node_id}", "dim")))

    def _label(self, node: Node) -> Text:
        reached, waiting, left = (kind[node.id] for kind in (self._counts.reached, self._counts.waiting, self._counts.left))
        parts = [(f"{node.id:<{self._width}}", ""), (f"{reached:>6,}", "bold")]
        parts += [(f"  {waiting:,} waiting", "yellow")] if waiting else []
        parts += [(f"  {left:,} left", "red")] if left else []
        parts += [(f"  {self._counts.notes[node.id]}", "green")] if node.id in self._counts.notes else []
        return _line(*parts, (f"  {describe(node)}", "dim"))


def _line(*parts: tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def describe(node: Node) -> str:
    """What a node does, in a few words."""
    match node:
        case EventTrigger(settings=settings):
            return f"on {settings.name}" + (f" if {settings.filter}" if settings.filter else "")
        case ScheduleTrigger(settings=settings):
            when = f"at {settings.at:%Y-%m-%d %H:%M}" if settings.at else f"at {settings.cron}"
            return f"{when} {settings.timezone}" + (f" if {settings.audience.filter}" if settings.audience.filter else "")
        case ApiTrigger():
            return "by the API"
        case Wait():
            return _describe_wait(node)
        case WaitForEvent(settings=settings):
            return f"wait {format_duration(settings.timeout)} for {', '.join(branch.event for branch in settings.branches)}"
        case Branch(settings=settings):
            return " | ".join(branch.condition for branch in settings.branches)
        case Split(settings=settings):
            return "split " + " : ".join(str(branch.weight) for branch in settings.branches)
        case SendMessageNode(settings=settings):
            return f"“{first_text(settings.message)}”"
        case WebhookNode(settings=settings):
            return f"POST {settings.url}"
        case UpdateMemberNode(settings=settings):
            return "set " + ", ".join(settings.attributes)
        case EmitEventNode(settings=settings):
            return f"emit {settings.name}"
        case EnrollJourneyNode(settings=settings):
            return f"start {settings.journey_id}"
        case Exit():
            return "the end"
        case _:
            assert_never(node)


def _describe_wait(node: Wait) -> str:
    settings = node.settings
    if settings.duration is not None:
        return f"wait {format_duration(settings.duration)}"
    if settings.until_time is not None:
        return f"until {settings.until_time.time:%H:%M} {' '.join(settings.until_time.weekdays)}".rstrip()
    return f"until {settings.until_date.date}" if settings.until_date else "wait"


def first_text(message: JsonValue) -> str:
    """The first words of a message, whatever its form."""
    match message:
        case str():
            return message
        case dict():
            return next((text for value in message.values() if (text := first_text(value))), "")
        case list():
            return next((text for value in message if (text := first_text(value))), "")
    return ""
