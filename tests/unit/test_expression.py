"""Conditions and templates in CEL: what they see, what they refuse, and what they do where a producer left something out."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from sojourn.domain.expression import (
    MAX_EXPRESSION_CHARACTERS,
    MAX_RENDERED_CHARACTERS,
    Scope,
    as_text,
    compile_expression,
    decided_by,
    placeholders,
    render,
    scope,
)
from tests.builders import START

MAX_MESSAGE_CHARACTERS = 600
DATA: dict[str, object] = {
    "total": 12,
    "rate": 1.5,
    "whole": 2.0,
    "name": "Ann",
    "vip": True,
    "none": None,
    "items": [1, 2],
    "cart": {"id": "c1"},
}


def seen() -> Scope:
    return scope({"event": {"occurred_at": START, "data": DATA}, "now": START, "member": {"attributes": {}}})


@pytest.mark.parametrize(
    "condition",
    [
        "event.data.total > 10 && event.data.rate < 2",
        "event.data.total > 11.5",
        "event.data.whole == 2",
        "event.data.name == 'Ann' || event.data.missing",
        "event.data.name.startsWith('A') && event.data.name.matches('^A.n$')",
        "event.data.none == null",
        "!has(event.data.missing)",
        "'id' in event.data.cart && event.data['cart'].id == 'c1'",
        "event.data.items.all(item, item > 0) && event.data.items.exists(x, x == 2)",
        "event.data.items.map(i, event.data.items.map(j, i * j))[1][1] == 4",
        "size(event.data.items.filter(event, event > 1)) == 1",
        "now - event.occurred_at < duration('1h') && now > timestamp('2026-01-01T00:00:00Z')",
        "now.getHours() == 9 && now.getDayOfWeek() == 1",
        "event.data.total > 10 ? event.data.vip : false",
    ],
)
def test_a_condition_that_holds(condition: str) -> None:
    result = compile_expression(condition).holds(seen())
    assert (result.value, result.reason) == (True, None)


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("event.data.total > 100", None),
        ("event.data.missing", "no missing"),
        ("event.data.missing.deeper == 1", "no missing"),
        ("event.data.vip && event.data.missing", "no missing"),
        ("event.data['odd key'] == 1", "no odd key"),
        ("event.data.name > 1", "No such overload: the operation is not defined for the given operand types"),
        ("event.data.name + 1 == ''", "Unsupported operation: string + int"),
        ("event.data.total.deeper == 1", "No such overload: the operation is not defined for the given operand types"),
        ("event.data.total / 0 == 1", "division by zero in CEL expression"),
        ("9223372036854775807 + 1 > 0", "Arithmetic overflow in 'add' on 9223372036854775807 and 1."),
        ("event.data.items[5] == 1", "index out of bounds: 5"),
        ("event.data.items[-1] == 1", "index out of bounds: -1"),
        ("int(event.data.name) == 1", "Function 'int' error: string parse error: invalid digit found in string"),
        ("size(1) == 1", "Undefined variable or function: 'size'"),
        ("journey.goal_reached", "Undefined variable or function: 'journey'"),
        ("event.data.name", "'Ann' is not a boolean"),
        ("event.data.total", "12 is not a boolean"),
        ("event.data.none", "None is not a boolean"),
    ],
)
def test_a_condition_that_does_not_hold_says_why_and_never_raises(condition: str, reason: str | None) -> None:
    result = compile_expression(condition).holds(seen())
    assert result.value is False
    assert result.reason == (f"{condition}: {reason}" if reason else None)


def test_the_reason_of_a_long_expression_is_short() -> None:
    reason = compile_expression("event.data" + ".data" * 390).holds(seen()).reason
    assert reason is not None
    assert len(reason) < MAX_MESSAGE_CHARACTERS


REFUSED = {
    "": "the expression is empty",
    " \n": "the expression is empty",
    "a" * (MAX_EXPRESSION_CHARACTERS + 1): "the expression has 2,001 characters; at most 2,000",
    "events.data.total > 1": "knows no variable 'events'; there are context, event, journey, member, now, trigger",
    "event.data.items.all(x, y > 0)": "knows no variable 'y'",
    "lower(event.data.name) == 'ann'": "knows no function 'lower'; there are ",
    "event.data.name.lower() == 'ann'": "knows no function 'lower'",
    "event.data.total >": "does not compile: at 1:19: Syntax error",
    "event.data.total = 1": "does not compile: at 1:18: Syntax error",
    "'": "does not compile: at 1:1: ",
    "9223372036854775808": "does not compile: at 1:1: invalid int literal",
    "'\ud800'": "does not compile: 'utf-8' codec can't encode",
    "event.data.items.all(1, true)": "does not compile: at 1:22: argument must be a simple name",
    "(" * 900 + "1" + ")" * 900: "does not compile: at 1:97: ",
    "[" * 900 + "]" * 900: "does not compile: at 1:97: ",
    "(" * 1_999: "does not compile: at ",
}


@pytest.mark.parametrize(("source", "message"), REFUSED.items(), ids=lambda part: f"{part!r:.40}")
def test_what_no_evaluation_could_know_is_refused_in_few_words(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        compile_expression(source)
    assert len(str(raised.value)) < MAX_MESSAGE_CHARACTERS


def test_the_longest_expression_compiles() -> None:
    source = "1" + "+1" * ((MAX_EXPRESSION_CHARACTERS - 1) // 2)
    assert compile_expression(source).evaluate(seen()).value == 1_000


def test_variables_are_those_it_reads_also_where_a_comprehension_borrows_a_name() -> None:
    assert compile_expression("event.data.items.all(x, x > trigger.data.total)").variables == {"event", "trigger"}
    assert compile_expression("member.attributes.tags.exists(member, member == 'a')").variables == {"member"}


def test_a_variable_that_is_not_used_is_not_even_converted() -> None:
    values = {"event": {"data": DATA}, "context": {"broken": "\ud800"}}
    assert compile_expression("event.data.vip").holds(scope(values, {"event"})).value is True


words = st.sampled_from(
    ["event", "now", ".data", ".items", "[0]", "(", ")", " + ", "1", "'a'", " ? ", " : ", "!", ".all(x, ", "x"]
)


@given(st.lists(words, max_size=12).map("".join) | st.text(max_size=40))
def test_any_text_compiles_or_is_refused_and_what_compiles_evaluates(source: str) -> None:
    try:
        expression = compile_expression(source)
    except ValueError:
        return
    result = expression.holds(seen())
    assert isinstance(result.value, bool)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Hi {{ event.data.name }}!", "Hi Ann!"),
        ("{{ event.data.total }}", 12),
        ("{{event.data.rate}}", 1.5),
        ("{{ event.data.vip }}", True),
        ("{{ event.data.none }}", None),
        ("{{ event.data.items }}", [1, 2]),
        ("{{\n event.data.cart \n}}", {"id": "c1"}),
        (" {{ event.data.total }}", " 12"),
        ("{{ event.data.total }}{{ event.data.rate }}", "121.5"),
        ("{{ event.data.whole }} left", "2 left"),
        ("{{ event.data.vip }} {{ event.data.items }} {{ event.data.cart }}", 'true [1, 2] {"id": "c1"}'),
        ("{{ now }}", "2026-03-02T09:00:00+00:00"),
        ("{{ duration('90m') }}", "1h 30m"),
        ("{{ 1.0 / 0.0 }}", None),
        ("{{ [0.0 / 0.0] }}", [None]),
        ({"to": ["{{ event.data.name }}", 5, None], "{{ key }}": True}, {"to": ["Ann", 5, None], "{{ key }}": True}),
        ("no placeholder, } or {", "no placeholder, } or {"),
        ("{{ event.data.total }} }}", "12 }}"),
        ("{{ event.data.total }}}", "12}"),
        (7, 7),
    ],
    ids=str,
)
def test_a_template_is_filled_and_a_lone_placeholder_keeps_its_type(template: JsonValue, expected: JsonValue) -> None:
    rendered = render(template, seen())
    assert (rendered.value, rendered.reasons) == (expected, ())
    assert type(rendered.value) is type(expected)


def test_a_placeholder_without_a_value_is_empty_and_every_reason_is_told() -> None:
    rendered = render({"a": "Hi {{ event.data.nick }}!", "b": ["{{ event.data.items[9] }}"]}, seen())
    assert rendered.value == {"a": "Hi !", "b": [None]}
    assert rendered.reasons == ("event.data.nick: no nick", "event.data.items[9]: index out of bounds: 9")


def test_placeholders_put_in_so_much_and_the_rest_stay_empty() -> None:
    text = "x" * 40_000
    rendered = render(["{{ event.data.text }}"] * 9, scope({"event": {"data": {"text": text}}}))
    assert rendered.value == [text, text, *[None] * 7]
    assert 2 * len(text) > MAX_RENDERED_CHARACTERS


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("Hi {{ event.data.name", "'{{ event.data.name' has no closing }}"),
        ({"a": ["{{ now }} {{"]}, "'{{' has no closing }}"),
        ("{{" + "x" * 5_000, "has no closing }}"),
        ("{{ }}", "the expression is empty"),
        ("{{{ event.data.name }}}", "does not compile"),
        ("{{ nobody.name }}", "knows no variable 'nobody'"),
    ],
    ids=lambda part: f"{part!s:.40}",
)
def test_a_broken_placeholder_is_refused_before_any_member_sees_it(template: JsonValue, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        placeholders(template)
    assert len(str(raised.value)) < MAX_MESSAGE_CHARACTERS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a", "a"),
        (2.0, "2"),
        (-0.5, "-0.5"),
        (1e20, "1" + "0" * 20),
        (1e300, "1e+300"),
        (False, "false"),
        ([], "[]"),
    ],
)
def test_values_read_well_in_a_sentence(value: JsonValue, text: str) -> None:
    assert as_text(value) == text


def test_a_moment_is_a_moment_in_cel_and_comes_back_as_one() -> None:
    result = compile_expression("now + duration('24h')").evaluate(seen()).value
    assert result == datetime(2026, 3, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (["event.data.total > 10"], "event.data.total = 12"),
        (
            ["event.data.name == 'Ann' && event.data.total > 1", "event.data.total > 9"],
            'event.data.name = "Ann", event.data.total = 12',
        ),
        (["event.data.name.startsWith('A')"], 'event.data.name = "Ann"'),
        (["has(event.data.missing) || event.data.vip"], "event.data.vip = true"),
        (["true"], ""),
    ],
)
def test_the_values_that_conditions_were_decided_by(sources: list[str], said: str) -> None:
    assert decided_by(sources, seen()) == said
