"""Traces: what names one, where an event's comes from, and what is none."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from sojourn.application.ports import Outgoing
from sojourn.domain.event import read_log_entry, write_log_entry
from sojourn.domain.trace import TraceContext, derived_span_id, derived_trace_id, read_trace_id, read_traceparent, trace_name
from tests.builders import START, entry, event

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NO_TRACES: list[JsonValue] = [
    None,
    "",
    5,
    [TRACE],
    "0" * 32,
    TRACE[:-1],
    TRACE + "0",
    f"{TRACE}\n",
    f"projects/p/traces/{SPAN}",
]
NO_TRACEPARENTS: list[JsonValue] = [
    *(None, "", 5, [], TRACE, f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-01\n"),
    *(f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE.upper()}-{SPAN}-01"),
]


def logged(trace: JsonValue) -> bytes:
    """An entry of ours with that in its field `trace`."""
    return json.dumps(json.loads(entry()) | {"trace": trace}).encode()


@pytest.mark.parametrize("name", [TRACE, TRACE.upper(), f"projects/p/traces/{TRACE}", f"projects/p-1/traces/{TRACE.upper()}"])
def test_an_event_is_in_the_trace_that_its_log_entry_names(name: str) -> None:
    found = read_log_entry(logged(name), now=START)
    assert found is not None
    assert (found.trace, found.trace_id) == (TRACE, TRACE)


@pytest.mark.parametrize("odd", NO_TRACES)
def test_what_names_no_trace_costs_no_event_its_entry(odd: JsonValue) -> None:
    found, plain = (read_log_entry(data, now=START) for data in (logged(odd), entry()))
    assert found is not None
    assert found == plain


def test_an_event_without_a_trace_has_one_that_follows_from_it_and_is_no_other_s() -> None:
    one = event()
    others = [replace(one, id="e2"), replace(one, member_id="mary"), replace(one, bot_id="other")]
    assert one.trace is None
    assert read_trace_id(one.trace_id) == one.trace_id == event().trace_id
    assert len({each.trace_id for each in (one, *others)}) == 4


@pytest.mark.parametrize("trace", [None, TRACE])
def test_a_trace_survives_being_emitted(trace: str | None) -> None:
    written = replace(event(data={"bot_id": "bot-1", "member_id": "ann"}), trace=trace)
    assert read_log_entry(write_log_entry(written), now=START) == written


@pytest.mark.parametrize("version", ["00", "01", "cc"])
def test_a_traceparent_of_any_version_names_trace_and_span(version: str) -> None:
    rest = "" if version == "00" else "-what-comes-later"
    assert read_traceparent(f"{version}-{TRACE}-{SPAN}-00{rest}") == TraceContext(TRACE, SPAN)


@pytest.mark.parametrize("odd", NO_TRACEPARENTS)
def test_what_is_no_traceparent_names_none(odd: JsonValue) -> None:
    assert read_traceparent(odd) is None


@given(st.lists(st.text(), max_size=3))
def test_what_is_derived_can_be_read_again(parts: list[str]) -> None:
    context = TraceContext(derived_trace_id(*parts), derived_span_id(*parts))
    assert read_traceparent(context.traceparent) == context
    assert read_trace_id(trace_name("shop", context.trace_id)) == context.trace_id


def test_a_message_about_nobody_in_particular_is_in_no_trace() -> None:
    assert Outgoing("t", b"").attributes == {}


def test_a_message_names_the_invocation_that_publishes_it_and_outside_of_one_some_span() -> None:
    message = Outgoing("t", b"", TRACE)
    assert replace(message, span_id=SPAN).attributes == {"traceparent": f"00-{TRACE}-{SPAN}-01"}
    outside = read_traceparent(message.attributes["traceparent"])
    assert outside is not None
    assert (outside.trace_id, outside.span_id != SPAN) == (TRACE, True)
