"""Loading: sugar and canonical form are one, every fault is named at once, no JSON at all raises anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.domain.errors import DefinitionInvalid, Fault
from sojourn.domain.loading import MAX_FAULTS, dump_definition, load_stored, parse_definition

HEAD: dict[str, Any] = {"id": "welcome", "bot_id": "bot", "name": "Welcome"}
SUGARED: dict[str, Any] = {
    **HEAD,
    "nodes": [
        {"id": "start", "key": "event", "settings": {"name": "user.signed_up"}, "next": "ask"},
        {"id": "ask", "key": "branch", "branches": [{"name": "rich", "condition": "1 > 0", "next": "reply"}], "else": "end"},
        {
            "id": "reply",
            "key": "wait_for_event",
            "settings": {"timeout": "2d"},
            "branches": [{"name": "ordered", "event": "order.completed", "next": "end"}],
            "else": "end",
        },
        {"id": "end", "key": "exit"},
    ],
}
CANONICAL: dict[str, Any] = {
    **HEAD,
    "nodes": [
        {"id": "start", "category": "trigger", "key": "event", "settings": {"name": "user.signed_up"}},
        {"id": "ask", "key": "branch", "settings": {"branches": [{"name": "rich", "condition": "1 > 0"}]}},
        {
            "id": "reply",
            "key": "wait_for_event",
            "settings": {"timeout": "2d", "branches": [{"name": "ordered", "event": "order.completed"}]},
        },
        {"id": "end", "key": "exit"},
    ],
    "node_paths": [
        {"source": "start", "target": "ask"},
        {"source": "ask", "target": "reply", "index": 0},
        {"source": "ask", "target": "end", "index": 1},
        {"source": "reply", "target": "end", "index": 0},
        {"source": "reply", "target": "end", "index": 1},
    ],
}


def faults_of(raw: object) -> tuple[Fault, ...]:
    with pytest.raises(DefinitionInvalid) as caught:
        parse_definition(raw)
    return caught.value.faults


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_sugar_and_canonical_form_are_the_same_definition() -> None:
    assert parse_definition(SUGARED) == parse_definition(CANONICAL)


def test_a_stored_definition_is_what_was_dumped() -> None:
    definition = parse_definition(SUGARED)
    assert load_stored(dump_definition(definition)) == definition


def test_equal_definitions_have_equal_text() -> None:
    assert dump_definition(parse_definition(SUGARED)) == dump_definition(parse_definition(CANONICAL))


def test_a_dump_loads_as_a_file_does() -> None:
    definition = parse_definition(SUGARED)
    assert parse_definition(json.loads(dump_definition(definition))) == definition


def test_a_dump_writes_defaults_out() -> None:
    assert json.loads(dump_definition(parse_definition(SUGARED)))["settings"]["repeat_journey_times"] == 1


def test_a_bad_expression_and_an_unknown_target_are_named_together() -> None:
    ask = {"id": "ask", "key": "branch", "branches": [{"name": "a", "condition": "1 +", "next": "end"}], "else": "nowhere"}
    faults = faults_of({**SUGARED, "nodes": [SUGARED["nodes"][0], ask, SUGARED["nodes"][3]]})
    assert [fault.location for fault in faults] == [("nodes", 1, "branches", 0, "condition"), ("nodes", 1, "else")]
    assert {fault.node_id for fault in faults} == {"ask"}


def test_a_bad_weight_is_not_called_a_missing_branch_as_well() -> None:
    branches = [{"name": "a", "weight": -1, "next": "end"}, {"name": "b", "weight": 1, "next": "end"}]
    nodes = [
        {"id": "go", "key": "api", "next": "ab"},
        {"id": "ab", "key": "split", "branches": branches},
        {"id": "end", "key": "exit"},
    ]
    (fault,) = faults_of({**HEAD, "nodes": nodes})
    assert fault.message == "must be at least 0, not -1"


def test_long_values_are_cut() -> None:
    (fault,) = faults_of({**SUGARED, "settings": {"timezone": "x" * 100_000}})
    assert len(fault.message) <= 500


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "text",
        {},
        {**HEAD, "nodes": {}},
        {**HEAD, "nodes": "abc"},
        {**HEAD, "nodes": [None, [], "x", {"id": [], "key": {}}]},
        {**HEAD, "nodes": [{"id": {}, "key": "branch", "settings": 5, "branches": 5, "else": {}}], "node_paths": 7},
        {**HEAD, "nodes": [{"id": "a", "key": ["wait"], "next": ["b"]}], "node_paths": [[], {"source": {}, "target": []}]},
        {**HEAD, "nodes": nested(100_000)},
        {**HEAD, "nodes": [{"id": "a", "key": "wait", "settings": {"duration": nested(30)}}]},
        {**HEAD, "nodes": [{"id": "a", "key": "branch", "branches": [{"name": "x", "condition": "(" * 1_990}]}]},
        {**HEAD, "nodes": [], "extra": 10**5_000},
        {**HEAD, "nodes": [], "extra": float("nan")},
        dict([*HEAD.items(), (True, 1), (None, 2)]),
        {**HEAD, "name": "\ud800", "nodes": [], "settings": {"entry_key": "\ud800", "timezone": "\0"}},
    ],
)
def test_hostile_shapes_are_faults(raw: object) -> None:
    assert all(len(str(fault)) < 1_000 for fault in faults_of(raw))


@pytest.mark.parametrize(
    ("count", "message"),
    [(5_000, "may have 500 entries or fewer, not a list"), (50_000, "more than 50,000 values; a definition holds fewer")],
)
def test_thousands_of_nodes_are_one_fault(count: int, message: str) -> None:
    nodes = [{"id": f"n{at}", "key": "wait", "settings": {"duration": "1d"}, "next": f"n{at + 1}"} for at in range(count)]
    assert [fault.message for fault in faults_of({**HEAD, "nodes": nodes})] == [message]


def test_the_list_of_faults_is_bounded_and_says_so() -> None:
    paths = [{"source": f"x{at}", "target": "y"} for at in range(MAX_FAULTS)]
    faults = faults_of({**SUGARED, "node_paths": paths})
    assert len(faults) == MAX_FAULTS + 1
    assert faults[-1].message == "more faults are not listed"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=6), children, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(["a", "b", "c", "api", "exit", "wait", "else", "1d", "true", "{{ now }}", "{{ ("])
FIELDS = [
    "id",
    "key",
    "next",
    "branches",
    "else",
    "settings",
    "name",
    "duration",
    "timeout",
    "event",
    "condition",
    "weight",
    "message",
]
KINDS = st.sampled_from(
    ["event", "api", "wait", "wait_for_event", "branch", "split", "send_message", "exit", "webhook", "oops"]
)
PARTS = st.recursive(
    WORDS | st.integers(-1, 3) | st.none(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), children, max_size=4),
    max_leaves=10,
)
NODES = st.fixed_dictionaries({"id": WORDS | PARTS, "key": KINDS}, optional=dict.fromkeys(FIELDS[2:6], PARTS))
PATHS = st.fixed_dictionaries({"source": WORDS | PARTS, "target": WORDS | PARTS}, optional={"index": PARTS})
DEFINITIONS = st.fixed_dictionaries(
    {"id": WORDS, "bot_id": WORDS, "name": WORDS, "nodes": st.lists(NODES | PARTS, max_size=6) | PARTS},
    optional={"node_paths": st.lists(PATHS | PARTS, max_size=4) | PARTS, "settings": PARTS},
)


@given(JSON_VALUES | DEFINITIONS)
@settings(deadline=None)
def test_no_json_raises_anything_but_faults(raw: object) -> None:
    """A definition or faults, never a traceback; and what loads can be stored."""
    try:
        definition = parse_definition(raw)
    except DefinitionInvalid as error:
        faults = error.faults
    else:
        assert load_stored(dump_definition(definition)) == definition
        return
    assert faults
