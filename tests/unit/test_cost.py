"""What an expression may cost at most: the size of data, the states of a pattern, and the data that an expression may see."""

from __future__ import annotations

import json

import pytest
from pydantic import JsonValue, ValidationError

from sojourn.domain.cost import LARGEST_UNITS, LEAST_UNITS, MAX_PATTERN_STATES, pattern_states, reach, units
from sojourn.domain.definition import Definition
from sojourn.domain.expression import MAX_PLACEHOLDERS, compile_expression, scope
from sojourn.domain.loading import load_stored
from tests.builders import definition, send

ITEMS = "event.data.items"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (None, 1),
        (5, 1),
        ("x" * 63, 1),
        ("x" * 64, 2),
        ([], 1),
        ([[], []], 3),
        ({"a": 1}, 3),
        ({"k" * 640: [1, 2]}, 15),
        ([[[[[1]]]]] * 10, 51),
    ],
    ids=lambda part: f"{part!s:.20}",
)
def test_the_size_of_data(value: JsonValue, size: int) -> None:
    assert units(value) == size


@pytest.mark.parametrize(
    ("pattern", "states"),
    [
        ("", 0),
        ("abc", 3),
        ("a{3}", 3),
        ("a{2,5}b", 6),
        ("a{10}{10}", 100),
        ("(ab){10}", 20),
        ("((a{10}){10}){10}", 1_000),
        ("[a-z(]{8}", 8),
        ("\\w{4}", 404),
        ("[\\w.]{4}", 404),
        ("\\p{Lu}+", 102),
        ("[[:alpha:]]{2}", 202),
        ("\\{5}", 3),
        ("(", 0),
        (")", 1),
    ],
)
def test_the_states_of_a_pattern_are_about_what_it_repeats(pattern: str, states: int) -> None:
    assert pattern_states(pattern) == states


@pytest.mark.parametrize(
    "source",
    [
        "event.data.total > 10",
        "member.attributes.plan == 'gold'",
        "now - event.occurred_at < duration('1h')",
        "event.data['odd key'] in ['a', \"b\", '''c''']",
        "[1, 2, 3].map(x, x > 1, x * 2)",
        "1" + "+1" * 999,
        "'event.data.items.map(x, x)'",
        "true // event.data.items.map(x, x)",
    ],
)
def test_what_is_plain_may_see_any_data(source: str) -> None:
    assert reach(source) == LARGEST_UNITS


@pytest.mark.parametrize(
    ("source", "least"),
    [
        (f"{ITEMS}.exists(x, x.sku == 'a')", 100_000),
        (f"{ITEMS}.filter(x, x.price > 10.0).size() > 2", 1_000),
        (f"{ITEMS}.map(x, x.price * double(x.quantity))", 256),
        (f"{ITEMS}.all(x, x.tags.exists(t, t in member.attributes.tags))", 256),
        ("event.data.email.matches('^[^@]+@[^@]+\\\\.[a-z]{2,}$')", 10_000),
        ("event.data.day.matches(r'^\\d{4}-\\d{2}-\\d{2}$')", 512),
    ],
)
def test_what_authors_write_every_day_may_see_thousands_of_values(source: str, least: int) -> None:
    assert reach(source) >= least


BEYOND = {
    "a pattern from the data": "event.data.text.matches(event.data.pattern)",
    "a pattern that is put together": "event.data.text.matches('a' + 'b')",
    "a pattern of too many states": f"event.data.text.matches('a{{{MAX_PATTERN_STATES + 1}}}')",
    "a pattern of too many states, as a function": f"matches(event.data.text, 'a{{{MAX_PATTERN_STATES + 1}}}')",
    "a pattern of escaped repetitions": "event.data.text.matches('a\\x7b99999\\x7d')",
    "three loops": f"{ITEMS}.all(x, {ITEMS}.all(y, {ITEMS}.all(z, true)))",
    "five loops over one": "[1].all(a, [1].all(b, [1].all(c, [1].all(d, [1].all(e, true)))))",
    "ninety loops": "[1].all(x, " * 90 + "true" + ")" * 90,
    "text doubled": "['a']" + ".map(x, x + x)" * 30,
    "lists doubled": "[1]" + ".map(x, [x, x])" * 30,
    "a chain of copies": "[event.data.text].map(x, " + "+".join(["x"] * 400) + ")",
}


@pytest.mark.parametrize("source", BEYOND.values(), ids=BEYOND.keys())
def test_what_might_take_for_ever_is_refused_of_authors_and_says_what_to_do(source: str) -> None:
    assert reach(source) < LEAST_UNITS
    with pytest.raises(ValidationError, match=r"might take more than 5,000,000 steps over data of 100 values: give `matches`"):
        definition([{"id": "b", "key": "branch", "settings": {"branches": [{"name": "x", "condition": source}]}}], [])


@pytest.mark.parametrize("source", BEYOND.values(), ids=BEYOND.keys())
def test_what_was_published_before_there_were_limits_loads_and_is_false_with_a_reason(source: str) -> None:
    branch = {"id": "b", "key": "branch", "settings": {"branches": [{"name": "x", "condition": source}]}}
    stored = load_stored(json.dumps({"id": "j", "bot_id": "b", "name": "n", "nodes": [branch]}))
    assert isinstance(stored, Definition)
    result = compile_expression(source).holds(scope({"event": {"data": {"items": [1] * 200, "text": "a" * 10_000}}}))
    assert result.value is False
    assert result.reason is not None and "it might take more than 5,000,000 steps over so much data" in result.reason


def test_data_that_is_too_large_for_an_expression_is_false_with_a_reason() -> None:
    expression = compile_expression(f"{ITEMS}.exists(x, {ITEMS}.exists(y, y == x))")
    small, large = ({"event": {"data": {"items": [1] * size}}} for size in (400, 4_000))
    assert expression.holds(scope(small)).value is True
    refused = expression.holds(scope(large))
    assert (refused.value, refused.reason) == (
        False,
        f"{expression.source}: it might take more than 5,000,000 steps over so much data (4,005 units)",
    )


def test_only_the_variables_that_an_expression_names_count_for_its_size() -> None:
    values: dict[str, object] = {"event": {"data": {"items": [1]}}, "member": {"attributes": {"visits": [1] * 10_000}}}
    assert compile_expression(f"{ITEMS}.map(x, x) == [1]").holds(scope(values)).value is True


def test_a_template_has_so_many_placeholders_and_no_more() -> None:
    assert definition([send(message="{{ now }}" * MAX_PLACEHOLDERS)]).variables == {"now"}
    with pytest.raises(ValidationError, match="the template has 201 placeholders; at most 200"):
        definition([send(message={"a": "{{ now }}" * MAX_PLACEHOLDERS, "b": ["{{ now }}"]})])
