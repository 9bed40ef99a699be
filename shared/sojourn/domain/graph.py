"""Checks on a journey as a whole: does every path lead to a node, every node to an end, every cycle through a wait?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from sojourn.domain.definition import MAX_NODES, Definition
from sojourn.domain.errors import Fault
from sojourn.domain.moment import format_duration
from sojourn.domain.outline import TRIGGERS, WAITS, Edge, Outline, Vertex, read_outline
from sojourn.domain.sugar import LAST_PATHS

MAX_CYCLES = 20
"""Cycles without a wait that are named; a dense graph has more than anybody reads."""
_SHOWN_NODES = 10


def check(definition: Definition) -> list[Fault]:
    """Every fault of the graph. A definition that loaded may still have any number of them."""
    return check_outline(read_outline(definition.model_dump(mode="json")))


def check_outline(outline: Outline) -> list[Fault]:
    """Every fault of what could be read. A graph that is too big has that one fault, which validation names."""
    if len(outline.vertices) > MAX_NODES:
        return []
    return [fault for faults in _CHECKS for fault in faults(outline)]


def _duplicate_ids(outline: Outline) -> Iterator[Fault]:
    for vertex in outline.vertices:
        if outline.by_id[vertex.id] is not vertex:
            yield Fault((*vertex.location, "id"), f"the id {vertex.id!r:.80} is taken by an earlier node", vertex.id)


def _unknown_ends(outline: Outline) -> Iterator[Fault]:
    for edge in outline.edges:
        for end, name in (("source", edge.source), ("target", edge.target)):
            if name is not None and name not in outline.by_id:
                hint = f"; did you mean {outline.meant[name]!r}?" if name in outline.meant else ""
                yield Fault((*edge.location, end), f"there is no node {name!r:.80}{hint}", edge.source)


def _paths_into_triggers(outline: Outline) -> Iterator[Fault]:
    for edge in outline.edges:
        if edge.target in outline.by_id and outline.by_id[edge.target].key in TRIGGERS:
            message = f"{edge.target!r} is a trigger, and a member cannot walk into one"
            yield Fault((*edge.location, "target"), message, edge.source)


def _wrong_paths(outline: Outline) -> Iterator[Fault]:
    """Missing, doubled and superfluous paths. Where two nodes share an id, it is unknown which one a path leaves."""
    edges: defaultdict[str, list[Edge]] = defaultdict(list)
    for edge in outline.edges:
        edges[edge.source].append(edge)
    shared = {name for name, count in Counter(vertex.id for vertex in outline.vertices).items() if count > 1}
    for vertex in outline.vertices:
        if vertex.branches is not None and vertex.id not in shared:
            yield from _superfluous(vertex, edges[vertex.id])
            present = {edge.index for edge in edges[vertex.id]}
            if outline.all_paths and None not in present:
                yield from _missing(vertex, present)


def _superfluous(vertex: Vertex, edges: Sequence[Edge]) -> Iterator[Fault]:
    allowed = len(vertex.branches or ())
    seen: set[int | None] = set()
    for edge in edges:
        if vertex.key == "exit":
            yield Fault(edge.location, "an exit has no path out", vertex.id)
        elif edge.index is not None and not 0 <= edge.index < allowed:
            message = f"there is no path with index {edge.index}; this node has {allowed}, counted from 0"
            yield Fault((*edge.location, "index"), message, vertex.id)
        elif edge.index is not None and edge.index in seen:
            message = f"a second path with index {edge.index}; each index has one target"
            yield Fault((*edge.location, "index"), message, vertex.id)
        seen.add(edge.index)


def _missing(vertex: Vertex, present: set[int | None]) -> Iterator[Fault]:
    names = vertex.branches or ()
    for index in range(len(names)):
        if index in present:
            continue
        if vertex.key not in LAST_PATHS:
            yield Fault(vertex.location, "the node leads nowhere; give it next, or a path in node_paths", vertex.id)
        elif LAST_PATHS[vertex.key] and index == len(names) - 1:
            message = f"the path {names[index]!r} is missing; give it else, or a path with index {index} in node_paths"
            yield Fault(vertex.location, message, vertex.id)
        else:
            message = f"the branch {names[index]!r:.80} leads nowhere; give it next, or a path with index {index} in node_paths"
            yield Fault((*vertex.location, "settings", "branches", index), message, vertex.id)


def _no_trigger(outline: Outline) -> Iterator[Fault]:
    if outline.vertices and outline.complete and not any(vertex.key in TRIGGERS for vertex in outline.vertices):
        yield Fault(("nodes",), f"nobody can enter: there is no trigger ({' or '.join(sorted(TRIGGERS))})")


def _unreachable(outline: Outline) -> Iterator[Fault]:
    triggers = [vertex.id for vertex in outline.vertices if vertex.key in TRIGGERS]
    if not outline.complete or not triggers:
        return
    reached = _reach(triggers, outline.likely_links)
    for vertex in outline.by_id.values():
        if vertex.id not in reached:
            yield Fault(vertex.location, "no member can get here: no path from a trigger leads to this node", vertex.id)


def _inescapable(outline: Outline) -> Iterator[Fault]:
    """Nodes from which no way ends. A path that is missing or leads to no node counts as an end: it has a fault of its own."""
    if not outline.complete or outline.ends_by_itself:
        return
    counts = Counter(source for source, _ in outline.links)
    ends = [vertex.id for vertex in outline.vertices if counts[vertex.id] < max(1, len(vertex.branches or ()))]
    escaping = _reach(ends, [(target, source) for source, target in outline.links])
    trapped = [name for name in outline.by_id if name not in escaping]
    if trapped:
        message = (
            f"no exit can be reached from {_shown(trapped, ', ')}; add a path to an exit, exit_events, or a goal with exit"
        )
        yield Fault(outline.by_id[trapped[0]].location, message, trapped[0])


def _reach(starts: Sequence[str], links: Iterable[tuple[str, str]]) -> set[str]:
    """The starts, and whatever follows from them."""
    following: defaultdict[str, set[str]] = defaultdict(set)
    for source, target in links:
        following[source].add(target)
    reached, pending = set(starts), list(starts)
    while pending:
        new = following[pending.pop()] - reached
        reached |= new
        pending.extend(new)
    return reached


def _cycles_without_wait(outline: Outline) -> Iterator[Fault]:
    """Each such cycle once: the last path of one that was found is left out of the search for the next."""
    walked = {vertex.id: at for at, vertex in enumerate(outline.by_id.values()) if vertex.key and vertex.key not in WAITS}
    paths = {link: None for link in outline.links if walked.keys() >= set(link)}
    for _ in range(MAX_CYCLES):
        cycle = _find_cycle(paths)
        if cycle is None:
            return
        start = cycle.index(min(cycle, key=walked.__getitem__))
        cycle = cycle[start:] + cycle[:start]
        del paths[cycle[-1], cycle[0]]
        message = f"members would go round without a wait: {_shown([*cycle, cycle[0]], ' → ')}; put a wait into the cycle"
        yield Fault(outline.by_id[cycle[0]].location, message, cycle[0])


def _find_cycle(paths: Iterable[tuple[str, str]]) -> list[str] | None:
    """The nodes of one cycle, each before its successor."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for source, target in paths:
        sorter.add(target, source)
    try:
        sorter.prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle[1:]
    return None


def _duplicate_branches(outline: Outline) -> Iterator[Fault]:
    for vertex in outline.vertices:
        last = LAST_PATHS.get(vertex.key)
        written = vertex.branches or ()
        seen = {last} if last else set()
        for index, name in enumerate(written[:-1] if last else written):
            if name and name in seen:
                message = f"two paths of this node are named {name!r:.80}; each needs a name of its own"
                yield Fault((*vertex.location, "settings", "branches", index, "name"), message, vertex.id)
            seen.add(name)


def _too_long_waits(outline: Outline) -> Iterator[Fault]:
    for vertex in outline.vertices:
        if outline.span and vertex.longest_wait and vertex.longest_wait > outline.span:
            wait, span = format_duration(vertex.longest_wait), format_duration(outline.span)
            message = f"a wait of {wait} is longer than the journey: {span} from schedule_start_at to schedule_end_at"
            yield Fault((*vertex.location, "settings", WAITS[vertex.key]), message, vertex.id)


def _self_enrolments(outline: Outline) -> Iterator[Fault]:
    for vertex in outline.vertices:
        if vertex.enrolls_in is not None and vertex.enrolls_in == outline.id:
            message = f"{vertex.enrolls_in!r:.80} is this journey; a journey cannot enroll its members into itself"
            yield Fault((*vertex.location, "settings", "journey_id"), message, vertex.id)


def _shown(names: Sequence[str], separator: str) -> str:
    """The names, with the middle left out where there are many."""
    if len(names) <= _SHOWN_NODES:
        return separator.join(names)
    half = _SHOWN_NODES // 2
    return separator.join([*names[:half], f"… {len(names) - 2 * half} more …", *names[-half:]])


_CHECKS: tuple[Callable[[Outline], Iterator[Fault]], ...] = (
    _duplicate_ids,
    _unknown_ends,
    _paths_into_triggers,
    _wrong_paths,
    _no_trigger,
    _unreachable,
    _inescapable,
    _cycles_without_wait,
    _duplicate_branches,
    _too_long_waits,
    _self_enrolments,
)
