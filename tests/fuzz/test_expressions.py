"""Any expression that can be put together is refused or gives JSON, over data that it was not meant for, in bounded work."""

from __future__ import annotations

import json
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.domain.cost import LARGEST_UNITS, reach
from sojourn.domain.engine import advance
from sojourn.domain.expression import (
    MAX_PLACEHOLDERS,
    Expression,
    as_json,
    as_text,
    compile_expression,
    references,
    render,
    scope,
)
from sojourn.domain.stimulus import Resume
from sojourn.domain.walk import MAX_REASON_CHARACTERS
from tests.builders import START, definition, progress, send

ATOMS = st.sampled_from(
    [
        *(
            "1",
            "-1",
            "0",
            "9223372036854775807",
            "-9223372036854775808",
            "18446744073709551615u",
            "1.5",
            "1e308",
            "true",
            "null",
        ),
        *(
            "'a'",
            "''",
            "'é€'",
            "r'\\d'",
            "b'ab'",
            "'2026-01-01T00:00:00Z'",
            "'90m'",
            "'(a'",
            "'\\\\w+'",
            "[]",
            "{}",
            "[1,2]",
            "{'a':1}",
        ),
        *("event", "event.data", "event.data.items", "event.data.text", "event.data.none", "event.data.maps", "event.data.big"),
        *("member.attributes", "context", "now", "x", "int", "{1:2}", "duration('1h')", "duration('2562047h')"),
        *("timestamp('9999-12-31T23:59:59Z')", "timestamp('0001-01-01T00:00:00Z')"),
    ]
)
OPERATORS = st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", "<=", "&&", "||", "in"])
FUNCTIONS = st.sampled_from(
    ["size", "string", "int", "double", "uint", "bytes", "type", "dyn", "duration", "timestamp", "has", "min"]
)
METHODS = st.sampled_from(
    ["contains", "endsWith", "startsWith", "matches", "size", "getFullYear", "getDayOfWeek", "getMilliseconds", "a", "orValue"]
)
LOOPS = st.sampled_from(["all", "exists", "exists_one", "map", "filter"])


def _larger(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    arguments = st.lists(part, max_size=2).map(", ".join)
    return st.one_of(
        st.builds("({} {} {})".format, part, OPERATORS, part),
        st.builds("{}({})".format, FUNCTIONS, arguments),
        st.builds("{}.{}({})".format, part, METHODS, arguments),
        st.builds("{}.{}(x, {})".format, part, LOOPS, part),
        st.builds("{}.map(x, {}, {})".format, part, part, part),
        st.builds("({} ? {} : {})".format, part, part, part),
        st.builds("{}[{}]".format, part, part),
        st.builds("[{}, {}]".format, part, part),
        st.builds("{{{}: {}}}".format, part, part),
    )


EXPRESSIONS = st.recursive(ATOMS, _larger, max_leaves=12)
VALUES: dict[str, object] = {
    "event": {
        "data": {"items": [1, 2, "a"], "text": "aé€ab", "none": None, "maps": [{"a": 1}], "big": 10**30, "b'ab'": [[[]]]},
        "occurred_at": START,
    },
    "member": {"attributes": {"tags": ["a"], "at": "2026-01-01"}},
    "context": {"lasted": timedelta(days=9_999_999)},
    "journey": {},
    "trigger": {},
    "now": START,
}
SCOPE = scope(VALUES)


def compiled(source: str) -> Expression | None:
    try:
        return compile_expression(source)
    except ValueError:
        return None


@given(EXPRESSIONS)
@settings(max_examples=200)
def test_an_expression_is_refused_or_gives_json_or_nothing_with_a_reason(source: str) -> None:
    expression = compiled(source)
    if expression is None:
        return
    result = expression.evaluate(SCOPE)
    assert json.dumps(as_json(result.value), allow_nan=False)
    assert isinstance(as_text(as_json(result.value)), str)
    assert result.reason is None or (result.value is None and len(result.reason) < 1_000)


@given(EXPRESSIONS, EXPRESSIONS)
def test_what_is_put_together_may_see_no_more_data_than_its_parts(left: str, right: str) -> None:
    both = f"({left}) + ({right})"
    if compiled(both) and compiled(left) and compiled(right):
        assert -1 <= reach(both) <= min(reach(left), reach(right)) <= LARGEST_UNITS


@given(EXPRESSIONS)
def test_a_loop_over_the_data_may_see_no_more_of_it_than_its_body(body: str) -> None:
    loop = f"event.data.items.map(y, {body})"
    if compiled(body) and compiled(loop):
        assert reach(loop) <= reach(body)


@given(st.lists(EXPRESSIONS, max_size=3), st.sampled_from(["", " ", "}", "{", " }} "]))
def test_a_template_renders_to_json_whatever_stands_in_it(sources: list[str], between: str) -> None:
    template = between.join(f"{{{{ {source} }}}}" for source in sources if compiled(source) and "}}" not in source)
    try:
        rendered = render({"a": [template]}, SCOPE)
    except ValueError:  # two braces that stand side by side open a placeholder
        assert "{{{" in template
        return
    assert json.dumps(rendered.value, allow_nan=False)


@given(EXPRESSIONS)
def test_what_an_expression_looks_up_can_itself_be_evaluated(source: str) -> None:
    assert all(compile_expression(name).evaluate(SCOPE) for name in references(source))


def test_a_step_of_the_trail_says_no_more_than_a_document_can_hold_fifty_times() -> None:
    """Two hundred placeholders that each have a reason to stay empty."""
    of = definition([send(message="".join(f"{{{{ event.data.nobody{number} }}}}" for number in range(MAX_PLACEHOLDERS)))])
    transition = advance(of, progress(of), Resume(), member=None, now=START)
    assert max(len(step.reason or "") for step in transition.progress.trail) == MAX_REASON_CHARACTERS
