"""What the graph checks look at: ids, paths and a few settings, read from raw JSON as far as it can be read.

A definition with one bad expression is no `Definition`, yet its author wants to hear of the unknown target in the same run. So
the checks work on an `Outline`, and whatever cannot be read is left out of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import Final, TypeVar, get_args

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from sojourn.domain.moment import Duration
from sojourn.domain.node import Node, NodeFields
from sojourn.domain.sugar import LAST_PATHS, Location

T = TypeVar("T")

KINDS: Final[Mapping[str, type[NodeFields]]] = {
    get_args(model.model_fields["key"].annotation)[0]: model for model in get_args(Node)
}
"""The model of each kind of node, by its key."""
MAX_SUGGESTIONS = 50
"""Unknown ends for which a like id is sought; that search is the slow one."""
MAX_NAME_CHARACTERS = 100
TRIGGERS = frozenset({"event", "schedule", "api"})
WAITS: Mapping[str | None, str] = {"wait": "duration", "wait_for_event": "timeout"}
"""The kinds of node that stop a member, and the setting that says for how long."""

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


@dataclass(frozen=True, slots=True)
class Vertex:
    """A node. `branches` are the names of its paths (as `branch_names` gives them), None where they cannot be told."""

    location: Location
    id: str
    key: str | None
    branches: tuple[str, ...] | None
    longest_wait: timedelta | None = None
    enrolls_in: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A path. Either end may name no node; target and index are None where they cannot be read."""

    location: Location
    source: str
    target: str | None
    index: int | None


@dataclass(frozen=True)
class Outline:
    """A graph. `all_nodes`, `all_paths`: each could be read, so that what is missing here is missing in the definition."""

    id: str | None
    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]
    all_nodes: bool = True
    all_paths: bool = True
    span: timedelta | None = None
    ends_by_itself: bool = False

    @property
    def complete(self) -> bool:
        """Whether what cannot be reached here cannot be reached at all."""
        return self.all_nodes and self.all_paths and all(edge.target is not None for edge in self.edges)

    @cached_property
    def by_id(self) -> dict[str, Vertex]:
        """Vertices in the order of the file; of two with the same id the first."""
        found: dict[str, Vertex] = {}
        for vertex in self.vertices:
            found.setdefault(vertex.id, vertex)
        return found

    @cached_property
    def meant(self) -> dict[str, str]:
        """The id that each unknown end of a path is most like, where it is like one."""
        ends = dict.fromkeys(end for edge in self.edges for end in (edge.source, edge.target) if end is not None)
        unknown = [end for end in ends if end not in self.by_id][:MAX_SUGGESTIONS]
        return {end: meant for end in unknown if (meant := closest(end, self.by_id)) is not None}

    @cached_property
    def links(self) -> tuple[tuple[str, str], ...]:
        """Source and target of each path between two nodes."""
        pairs = ((edge.source, edge.target) for edge in self.edges if edge.target is not None)
        return tuple((source, target) for source, target in pairs if source in self.by_id and target in self.by_id)

    @cached_property
    def likely_links(self) -> tuple[tuple[str, str], ...]:
        """Misspelt ends too, taken as meant: or else the node that was meant would be unreachable as well."""
        pairs = ((edge.source, edge.target) for edge in self.edges if edge.target is not None)
        return tuple((self.meant.get(source, source), self.meant.get(target, target)) for source, target in pairs)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that the author may have meant."""
    return next(iter(get_close_matches(name[:MAX_NAME_CHARACTERS], list(known), n=1)), None)


def read_outline(raw: Mapping[str, object]) -> Outline:
    """The outline of canonical raw JSON (`sugar.expand` first), whatever its shape."""
    nodes, paths, settings = _list(raw.get("nodes")), _list(raw.get("node_paths")), _mapping(raw.get("settings"))
    vertices = [_vertex(("nodes", index), _mapping(node)) for index, node in enumerate(nodes)]
    edges = [_edge(("node_paths", index), _mapping(path)) for index, path in enumerate(paths)]
    known = tuple(vertex for vertex in vertices if vertex)
    return Outline(
        id=_text(raw.get("id")),
        vertices=known,
        edges=tuple(edge for edge in edges if edge),
        all_nodes=all(vertices) and all(vertex.branches is not None for vertex in known),
        all_paths=all(edges),
        span=_span(settings),
        ends_by_itself=_ends_by_itself(settings),
    )


def _vertex(location: Location, node: Mapping[str, object]) -> Vertex | None:
    identifier, key, settings = _text(node.get("id")), _text(node.get("key")), _mapping(node.get("settings"))
    if identifier is None:
        return None
    return Vertex(
        location,
        identifier,
        key if key in KINDS else None,
        _branches(key, settings),
        longest_wait=_read(_DURATION, settings.get(WAITS[key])) if key in WAITS else None,
        enrolls_in=_text(settings.get("journey_id")) if key == "enroll_journey" else None,
    )


def _branches(key: str | None, settings: Mapping[str, object]) -> tuple[str, ...] | None:
    if key not in LAST_PATHS:
        return () if key == "exit" else ("",) if key in KINDS else None
    branches, last = settings.get("branches"), LAST_PATHS[key]
    if not isinstance(branches, list | tuple):
        return None
    names = [_text(_mapping(branch).get("name")) or "" for branch in branches]
    return (*names, last) if last else tuple(names)


def _edge(location: Location, path: Mapping[str, object]) -> Edge | None:
    source, index = _text(path.get("source")), path.get("index", 0)
    if source is None:
        return None
    return Edge(location, source, _text(path.get("target")), index if isinstance(index, int) else None)


def _span(settings: Mapping[str, object]) -> timedelta | None:
    """How long the journey runs, where its schedule says."""
    start, end = (_read(_MOMENT, settings.get(name)) for name in ("schedule_start_at", "schedule_end_at"))
    return end - start if start and end and start < end else None


def _ends_by_itself(settings: Mapping[str, object]) -> bool:
    """Whether members leave also where no path leads to an exit."""
    leaves = _mapping(settings.get("goal")).get("exit") is True
    return leaves or bool(settings.get("exit_events")) or settings.get("schedule_end_at") is not None


def _read(adapter: TypeAdapter[T], value: object) -> T | None:
    """The value, or None where validation finds fault with it, which is then reported from there."""
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object] | tuple[object, ...]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
