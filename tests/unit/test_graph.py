"""Whole-graph checks, each on the smallest outline that breaks it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sojourn.domain.definition import Definition
from sojourn.domain.errors import Fault
from sojourn.domain.graph import MAX_CYCLES, check, check_outline
from sojourn.domain.node import branch_names
from sojourn.domain.outline import Edge, Outline, Vertex, read_outline

BRANCHES = {"api": ("",), "wait": ("",), "exit": (), "webhook": ("",), "branch": ("yes_", "else")}


def outline(kinds: dict[str, str], *paths: str, ends_by_itself: bool = False) -> Outline:
    """`a>b` is the path 0 from a to b, `a1>b` the path 1."""
    vertices = [Vertex(("nodes", at), name, kind, BRANCHES[kind]) for at, (name, kind) in enumerate(kinds.items())]
    ends = [path.split(">") for path in paths]
    edges = [
        Edge(("node_paths", at), source.rstrip("0123456789"), target, int(source.lstrip("abcdefghijklmnopqrstuvwxyz") or 0))
        for at, (source, target) in enumerate(ends)
    ]
    return Outline("journey", tuple(vertices), tuple(edges), ends_by_itself=ends_by_itself)


def chain(count: int, *, last: str) -> Outline:
    vertices = [Vertex(("nodes", at), f"n{at}", "webhook" if at else "api", ("",)) for at in range(count)]
    edges = [Edge(("node_paths", at), f"n{at}", f"n{at + 1}", 0) for at in range(count - 1)]
    edges.append(Edge(("node_paths", count - 1), f"n{count - 1}", last, 0))
    return Outline("journey", (*vertices, Vertex(("nodes", count), "out", "exit", ())), tuple(edges))


def texts(faults: list[Fault]) -> list[str]:
    return [str(fault) for fault in faults]


GOOD = {"go": "api", "rest": "wait", "out": "exit"}


def test_a_good_graph_has_no_fault() -> None:
    assert check_outline(outline(GOOD, "go>rest", "rest>out")) == []


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (outline(GOOD, "go>rest", "rest>out", "nix>out"), "node 'nix': node_paths.2.source: there is no node 'nix'"),
        (outline(GOOD, "go>rest", "rest>oot"), "node 'rest': node_paths.1.target: there is no node 'oot'; did you mean 'out'?"),
        (outline(GOOD, "go>rest"), "node 'rest': nodes.1: the node leads nowhere; give it next, or a path in node_paths"),
        (outline(GOOD, "go>rest", "rest>out", "out>rest"), "node 'out': node_paths.2: an exit has no path out"),
        (
            outline({"go": "api", "out": "exit"}, "go>out", "go>out"),
            "node 'go': node_paths.1.index: a second path with index 0; each index has one target",
        ),
        (
            outline({"go": "api", "out": "exit"}, "go>out", "go1>out"),
            "node 'go': node_paths.1.index: there is no path with index 1; this node has 1, counted from 0",
        ),
        (
            outline({"go": "api", "b": "branch", "out": "exit"}, "go>b", "b0>out"),
            "node 'b': nodes.1: the path 'else' is missing; give it else, or a path with index 1 in node_paths",
        ),
        (
            outline({"go": "api", "b": "branch", "out": "exit"}, "go>b", "b1>out"),
            "node 'b': nodes.1.settings.branches.0: the branch 'yes_' leads nowhere; give it next, or a path with index 0"
            " in node_paths",
        ),
        (
            outline({"go": "api", "b": "branch", "out": "exit"}, "go>b", "b>out", "b1>go"),
            "node 'b': node_paths.2.target: 'go' is a trigger, and a member cannot walk into one",
        ),
        (
            outline({"go": "api", "out": "exit", "far": "wait"}, "go>out", "far>out"),
            "node 'far': nodes.2: no member can get here: no path from a trigger leads to this node",
        ),
        (
            outline({"rest": "wait", "out": "exit"}, "rest>out"),
            "nodes: nobody can enter: there is no trigger (api or event or schedule)",
        ),
        (
            outline({"go": "api", "a": "wait", "b": "wait"}, "go>a", "a>b", "b>a"),
            "node 'go': nodes.0: no exit can be reached from go, a, b; add a path to an exit, exit_events, or a goal with exit",
        ),
    ],
)
def test_each_fault_is_named_once(graph: Outline, expected: str) -> None:
    assert texts(check_outline(graph)).count(expected) == 1


def test_a_misspelt_target_does_not_make_its_node_unreachable() -> None:
    assert len(check_outline(outline(GOOD, "go>rst", "rest>out"))) == 1


def test_journeys_that_end_otherwise_need_no_exit() -> None:
    assert check_outline(outline({"go": "api", "a": "wait"}, "go>a", "a>a", ends_by_itself=True)) == []


def test_a_cycle_without_a_wait_is_named_in_walking_order() -> None:
    kinds = {"go": "api", "a": "webhook", "b": "branch", "out": "exit"}
    (fault,) = check_outline(outline(kinds, "go>a", "a>b", "b>a", "b1>out"))
    assert fault.node_id == "a"
    assert fault.message == "members would go round without a wait: a → b → a; put a wait into the cycle"


def test_a_cycle_through_a_wait_is_right() -> None:
    kinds = {"go": "api", "a": "wait", "b": "branch", "out": "exit"}
    assert check_outline(outline(kinds, "go>a", "a>b", "b>a", "b1>out")) == []


def test_two_cycles_that_share_a_node_are_both_named() -> None:
    kinds = {"go": "api", "a": "branch", "b": "webhook", "c": "branch", "out": "exit"}
    faults = check_outline(outline(kinds, "go>a", "a>b", "a1>c", "b>a", "c>a", "c1>out"))
    assert {fault.message.split(": ")[1].split(";")[0] for fault in faults} == {"a → b → a", "a → c → a"}


def test_a_node_that_leads_to_itself_is_a_cycle() -> None:
    faults = check_outline(outline({"go": "api", "b": "branch", "out": "exit"}, "go>b", "b>b", "b1>out"))
    assert [fault.message[:48] for fault in faults] == ["members would go round without a wait: b → b; pu"]


def test_a_chain_of_499_nodes_is_walked() -> None:
    assert check_outline(chain(499, last="out")) == []


def test_a_cycle_of_498_nodes_is_found_and_named_briefly() -> None:
    fault = check_outline(chain(499, last="n1"))[-1]
    assert "n1 → n2 → n3 → n4 → n5 → … 489 more … → n495" in fault.message


def test_a_dense_graph_names_a_bounded_number_of_cycles() -> None:
    names = [f"n{at}" for at in range(20)]
    vertices = tuple(Vertex(("nodes", at), name, "split", tuple(names)) for at, name in enumerate(names))
    edges = tuple(Edge(("node_paths", 0), a, b, at) for a in names for at, b in enumerate(names))
    cycles = [fault for fault in check_outline(Outline("j", vertices, edges)) if "go round" in fault.message]
    assert len(cycles) == MAX_CYCLES


def test_a_second_node_with_an_id_is_at_fault() -> None:
    vertices = (Vertex(("nodes", 0), "a", "exit", ()), Vertex(("nodes", 1), "a", "exit", ()))
    faults = [fault for fault in check_outline(Outline("j", vertices, ())) if fault.location == ("nodes", 1, "id")]
    assert [fault.message for fault in faults] == ["the id 'a' is taken by an earlier node"]


@pytest.mark.parametrize("wait", [timedelta(days=3), timedelta(days=2, seconds=1)])
def test_a_wait_longer_than_the_journey_is_a_fault(wait: timedelta) -> None:
    vertex = Vertex(("nodes", 0), "rest", "wait", ("",), longest_wait=wait)
    faults = check_outline(Outline("j", (vertex,), (), span=timedelta(days=2)))
    assert any(fault.location == ("nodes", 0, "settings", "duration") for fault in faults)


def test_what_could_not_be_read_is_not_called_missing() -> None:
    vertices = (Vertex(("nodes", 0), "go", "api", ("",)), Vertex(("nodes", 1), "x", None, None))
    assert check_outline(Outline("j", vertices, (), all_nodes=False, all_paths=False)) == []


WEIGHTED = [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]
ALL_KINDS = {
    "id": "j",
    "bot_id": "b",
    "name": "n",
    "nodes": [
        {"id": "go", "key": "api"},
        {"id": "ask", "key": "branch", "settings": {"branches": [{"name": "a", "condition": "true"}]}},
        {"id": "ear", "key": "wait_for_event", "settings": {"timeout": "1d", "branches": [{"name": "o", "event": "e"}]}},
        {"id": "ab", "key": "split", "settings": {"branches": WEIGHTED}},
        {"id": "self", "key": "enroll_journey", "settings": {"journey_id": "j"}},
        {"id": "out", "key": "exit"},
    ],
}


def test_the_outline_counts_paths_as_the_definition_does() -> None:
    definition = Definition.model_validate(ALL_KINDS)
    assert [vertex.branches for vertex in read_outline(ALL_KINDS).vertices] == [branch_names(node) for node in definition.nodes]


def test_a_definition_is_checked_like_its_outline() -> None:
    assert check(Definition.model_validate(ALL_KINDS)) == check_outline(read_outline(ALL_KINDS))


def test_a_journey_that_enrolls_into_itself_is_at_fault() -> None:
    faults = check(Definition.model_validate(ALL_KINDS))
    assert [fault.node_id for fault in faults if fault.location[-1] == "journey_id"] == ["self"]
