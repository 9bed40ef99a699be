"""Sugar: `next`, `branches` and `else` on a node become `node_paths`, and faults keep the place where the author wrote."""

from __future__ import annotations

import copy

import pytest

from sojourn.domain.sugar import expand, sugar_fields

BRANCH = {
    "id": "bought",
    "key": "branch",
    "branches": [{"name": "yes_", "condition": "event.data.total > 5", "next": "thank"}],
    "else": "remind",
}
REPLY = {
    "id": "reply",
    "key": "wait_for_event",
    "settings": {"timeout": "2d"},
    "branches": [{"name": "ordered", "event": "order.completed", "next": "thank"}],
    "else": "remind",
}
SPLIT = {
    "id": "ab",
    "key": "split",
    "branches": [{"name": "a", "weight": 1, "next": "x"}, {"name": "b", "weight": 1, "next": "y"}],
}


def test_next_becomes_the_only_path() -> None:
    expanded = expand({"nodes": [{"id": "a", "key": "api", "next": "b"}]})
    assert expanded.raw["nodes"] == [{"id": "a", "key": "api"}]
    assert expanded.raw["node_paths"] == [{"source": "a", "target": "b", "index": 0}]


def test_branches_move_into_settings_without_next() -> None:
    settings = {"timeout": "2d", "branches": [{"name": "ordered", "event": "order.completed"}]}
    assert expand({"nodes": [REPLY]}).raw["nodes"] == [{"id": "reply", "key": "wait_for_event", "settings": settings}]


@pytest.mark.parametrize(
    ("node", "targets"),
    [(BRANCH, ["thank", "remind"]), (REPLY, ["thank", "remind"]), (SPLIT, ["x", "y"])],
    ids=["branch", "wait_for_event", "split"],
)
def test_paths_are_counted_in_the_order_of_the_branches_and_else_is_last(node: dict[str, object], targets: list[str]) -> None:
    paths = [{"source": node["id"], "target": target, "index": index} for index, target in enumerate(targets)]
    assert expand({"nodes": [node]}).raw["node_paths"] == paths


def test_else_follows_branches_that_are_in_settings() -> None:
    node = {"id": "b", "key": "branch", "settings": {"branches": [{"name": "a", "condition": "true"}]}, "else": "z"}
    assert expand({"nodes": [node]}).raw["node_paths"] == [{"source": "b", "target": "z", "index": 1}]


def test_a_branch_without_next_has_no_path_but_keeps_its_place() -> None:
    node = {**SPLIT, "branches": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1, "next": "y"}]}
    assert expand({"nodes": [node]}).raw["node_paths"] == [{"source": "ab", "target": "y", "index": 1}]


def test_canonical_form_stays_as_it_is() -> None:
    raw = {"id": "j", "nodes": [{"id": "a", "key": "api"}], "node_paths": [{"source": "a", "target": "b"}]}
    assert expand(raw).raw == raw


def test_what_was_given_is_not_changed() -> None:
    raw = {"nodes": [copy.deepcopy(BRANCH), copy.deepcopy(REPLY)]}
    before = copy.deepcopy(raw)
    expand(raw)
    assert raw == before


def test_sugar_and_paths_mix_in_one_file() -> None:
    raw = {
        "nodes": [{"id": "a", "key": "api", "next": "b"}, {"id": "b", "key": "wait"}],
        "node_paths": [{"source": "b", "target": "c"}],
    }
    expanded = expand(raw)
    assert expanded.faults == ()
    assert expanded.raw["node_paths"] == [{"source": "b", "target": "c"}, {"source": "a", "target": "b", "index": 0}]


def test_sugar_and_paths_on_the_same_node_are_a_fault() -> None:
    raw = {"nodes": [{"id": "a", "key": "api", "next": "b"}], "node_paths": [{"source": "a", "target": "c"}]}
    (fault,) = expand(raw).faults
    assert (fault.location, fault.node_id) == (("node_paths", 0), "a")


def test_branches_in_both_places_are_a_fault() -> None:
    (fault,) = expand({"nodes": [{**REPLY, "settings": {"branches": []}}]}).faults
    assert (fault.location, fault.node_id) == (("nodes", 0, "branches"), "reply")


@pytest.mark.parametrize(
    ("canonical", "written"),
    [
        (("node_paths", 0, "target"), ("nodes", 0, "branches", 0, "next")),
        (("node_paths", 1), ("nodes", 0, "else")),
        (("nodes", 0, "settings", "branches", 0, "name"), ("nodes", 0, "branches", 0, "name")),
        (("nodes", 0, "settings", "timeout"), ("nodes", 0, "settings", "timeout")),
    ],
)
def test_origin_is_where_the_author_wrote_it(canonical: tuple[str | int, ...], written: tuple[str | int, ...]) -> None:
    assert expand({"nodes": [REPLY]}).origin(canonical) == written


@pytest.mark.parametrize(
    "nodes",
    [None, "x", [None, 3, []], [{"key": ["x"], "next": {}}], [{"id": {}, "key": "branch", "branches": 5, "else": []}]],
)
def test_shapes_that_are_wrong_are_left_to_validation(nodes: object) -> None:
    assert expand({"nodes": nodes}).faults == ()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("branch", ("branches", "else")), ("split", ("branches",)), ("exit", ()), ("wait", ("next",)), (["wait"], ("next",))],
)
def test_each_kind_of_node_has_its_own_sugar(kind: object, fields: tuple[str, ...]) -> None:
    assert sugar_fields(kind) == fields
