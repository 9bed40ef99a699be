"""What a file may say for short: a node names its successors, and loading turns that into `node_paths`.

- `next` on a node with one path;
- `branches` on a `branch`, `wait_for_event` or `split`: the entries of `settings.branches`, each with its `next`;
- `else` on a `branch` or `wait_for_event`: the last path, taken where no branch is.

What is no sugar here stays where it is, so that validation reports it as an unknown field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sojourn.domain.errors import Fault

Location: TypeAlias = tuple[str | int, ...]

LAST_PATHS: Mapping[object, str | None] = {"branch": "else", "wait_for_event": "timeout", "split": None}
"""The kinds of node with branches, and the name of the path after the last branch where there is one."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """A definition without sugar. `origins` says where in the file each part stood that was moved."""

    raw: dict[str, object]
    faults: tuple[Fault, ...] = ()
    origins: Mapping[Location, Location] = field(default_factory=dict)

    def origin(self, location: Location) -> Location:
        """Where the author wrote what is now at `location`; a path is wholly where its target was named."""
        for length in range(len(location), 0, -1):
            found = self.origins.get(location[:length])
            if found is not None:
                return found if location[0] == "node_paths" else found + location[length:]
        return location


@dataclass(frozen=True, slots=True)
class _NamedPath:
    """A path that a node named itself, at `location`."""

    location: Location
    source: object
    target: object
    index: int = 0

    @property
    def canonical(self) -> dict[str, object]:
        return {"source": self.source, "target": self.target, "index": self.index}


@dataclass(frozen=True, slots=True)
class _Expansion:
    """One node without its sugar; the paths that it named; whether its branches moved into `settings`."""

    node: object
    paths: tuple[_NamedPath, ...] = ()
    moved: bool = False
    fault: Fault | None = None


def sugar_fields(kind: object) -> tuple[str, ...]:
    """The fields that a node of this kind may have beside the canonical ones."""
    if isinstance(kind, str) and kind in LAST_PATHS:
        return ("branches", "else") if LAST_PATHS[kind] else ("branches",)
    return () if kind == "exit" else ("next",)


def expand(raw: Mapping[str, object]) -> Expanded:
    """The same definition in canonical form. What has a wrong shape is left for validation to name."""
    nodes, written = raw.get("nodes"), raw.get("node_paths", [])
    if not isinstance(nodes, list | tuple):
        return Expanded(dict(raw))
    explicit = written if isinstance(written, list | tuple) else ()
    expansions = [_expand(node, at=("nodes", index)) for index, node in enumerate(nodes)]
    clashes = _clashes(explicit, expansions)
    named = [path for expansion in expansions for path in expansion.paths if path.source not in clashes]
    origins: dict[Location, Location] = {
        ("nodes", index, "settings", "branches"): ("nodes", index, "branches")
        for index, expansion in enumerate(expansions)
        if expansion.moved
    }
    origins |= {("node_paths", len(explicit) + index): path.location for index, path in enumerate(named)}
    paths = [*explicit, *(path.canonical for path in named)] if explicit is written else written
    faults = [*clashes.values(), *(expansion.fault for expansion in expansions if expansion.fault)]
    canonical = {**raw, "nodes": [expansion.node for expansion in expansions], "node_paths": paths}
    return Expanded(canonical, tuple(faults), origins)


def _clashes(explicit: Sequence[object], expansions: Sequence[_Expansion]) -> dict[object, Fault]:
    """The nodes that say in both ways where they lead; which of the two is meant cannot be told."""
    sugared = {path.source for expansion in expansions for path in expansion.paths}
    faults: dict[object, Fault] = {}
    for index, path in enumerate(explicit):
        source = path.get("source") if isinstance(path, dict) else None
        if isinstance(source, str) and source in sugared and source not in faults:
            message = "the node says where it leads here and on itself; keep node_paths or next, not both"
            faults[source] = Fault(("node_paths", index), message, source)
    return faults


def _expand(node: object, *, at: Location) -> _Expansion:
    if not isinstance(node, dict):
        return _Expansion(node)
    kind = node.get("key")
    if isinstance(kind, str) and kind in LAST_PATHS:
        return _expand_branches(node, at=at)
    if kind == "exit" or "next" not in node:
        return _Expansion(node)
    source = _text(node.get("id"))
    named = () if source is None else (_NamedPath((*at, "next"), source, node["next"]),)
    return _Expansion(_without(node, "next"), named)


def _expand_branches(node: dict[str, object], *, at: Location) -> _Expansion:
    settings, moved = node.get("settings", {}), "branches" in node
    if not isinstance(settings, dict):
        return _Expansion(_without(node, "branches", "else"))
    if moved and "branches" in settings:
        fault = Fault((*at, "branches"), "give the branches here or in settings, not both", _text(node.get("id")))
        return _Expansion(_without(node, "branches", "else"), fault=fault)
    branches = node["branches"] if moved else settings.get("branches")
    entries = branches if isinstance(branches, list | tuple) else ()
    named = _named(node, entries if moved else (), at=at)
    if "else" in node and LAST_PATHS[node["key"]]:
        named.append(_NamedPath((*at, "else"), node.get("id"), node["else"], len(entries)))
        node = _without(node, "else")
    if moved:
        kept = [_without(entry, "next") if isinstance(entry, dict) else entry for entry in entries] if entries else branches
        node = {**_without(node, "branches"), "settings": {**settings, "branches": kept}}
    return _Expansion(node, tuple(named) if isinstance(node.get("id"), str) else (), moved)


def _named(node: dict[str, object], entries: Sequence[object], *, at: Location) -> list[_NamedPath]:
    return [
        _NamedPath((*at, "branches", index, "next"), node.get("id"), entry["next"], index)
        for index, entry in enumerate(entries)
        if isinstance(entry, dict) and "next" in entry
    ]


def _without(entry: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in entry.items() if name not in names}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
