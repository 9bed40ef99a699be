"""The functions' log lines: read, rendered, and counted so that quiet is known exactly."""

import json
from threading import Thread

import pytest
from pydantic import JsonValue

from emulator.errors import NotQuiet
from emulator.function_log import FunctionLine, parse_line, render
from emulator.functions_table import load_functions_table
from emulator.traffic import Traffic

DEADLINE_SECONDS = 20.0


def line(status: int = 204, **published: int) -> FunctionLine:
    """What a function says of one request; topics are given without their common beginning."""
    return FunctionLine(status=status, published={f"journey-{topic}": count for topic, count in published.items()})


@pytest.fixture
def traffic() -> Traffic:
    """Counts for the functions of the repository."""
    return Traffic(load_functions_table())


def is_quiet(traffic: Traffic) -> bool:
    """Whether nothing is on its way at this moment."""
    return traffic.is_quiet


def test_a_message_is_on_its_way_until_its_function_acknowledges_it(traffic: Traffic) -> None:
    assert is_quiet(traffic)
    traffic.publish("journey-events", 1)
    assert not is_quiet(traffic)
    traffic.record("ingest", line())
    assert is_quiet(traffic)


@pytest.mark.parametrize("status", [200, 400, 500, 503])
def test_only_204_acknowledges_but_what_was_published_counts_in_any_case(traffic: Traffic, status: int) -> None:
    traffic.publish("journey-events", 1)
    traffic.record("ingest", line(status, runs=1))
    traffic.record("ingest", line())
    assert not is_quiet(traffic)
    traffic.record("run_journey", line())
    assert is_quiet(traffic)


def test_lines_may_arrive_in_any_order_without_quiet_too_early(traffic: Traffic) -> None:
    traffic.publish("journey-events", 1)
    traffic.record("run_journey", line())
    assert not is_quiet(traffic)
    traffic.record("ingest", line(runs=1))
    assert is_quiet(traffic)


def test_with_two_copies_every_message_is_acknowledged_twice() -> None:
    traffic = Traffic(load_functions_table(), copies=2)
    traffic.publish("journey-sweeps", 1)
    traffic.record("sweep", line())
    assert not is_quiet(traffic)
    traffic.record("sweep", line())
    assert is_quiet(traffic)


def test_a_topic_without_a_function_holds_nobody_up(traffic: Traffic) -> None:
    traffic.publish("journey-dead-letters", 1)
    assert is_quiet(traffic)


def test_what_a_killed_function_never_said_can_be_taken_for_said(traffic: Traffic) -> None:
    traffic.publish("journey-events", 3)
    traffic.record("ingest", line())
    assert not is_quiet(traffic)
    traffic.balance()
    assert is_quiet(traffic)
    traffic.publish("journey-events", 1)
    assert not is_quiet(traffic)


def test_silence_is_counted_from_the_last_line(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100.0, 103.5])
    monkeypatch.setattr("emulator.traffic.monotonic", lambda: next(moments))
    traffic.record("ingest", line())
    assert traffic.silent_seconds == 3.5


def test_who_waits_is_woken_by_the_last_line(traffic: Traffic) -> None:
    traffic.publish("journey-effects", 1)
    waiting = Thread(target=traffic.wait_quiet, args=(DEADLINE_SECONDS,))
    waiting.start()
    traffic.record("perform", line())
    waiting.join(DEADLINE_SECONDS / 2)
    assert not waiting.is_alive()


def test_at_the_deadline_the_counts_are_told(traffic: Traffic) -> None:
    traffic.publish("journey-runs", 3)
    traffic.record("run_journey", line(effects=1))
    with pytest.raises(NotQuiet) as refused:
        traffic.wait_quiet(0)
    head, *rows = str(refused.value).splitlines()
    assert head == "not quiet within 0 s"
    assert [row.split() for row in rows][:4] == [
        ["function", "topic", "expected", "acknowledged"],
        ["ingest", "journey-events", "0", "0"],
        ["run_journey", "journey-runs", "3", "1"],
        ["perform", "journey-effects", "1", "0"],
    ]


def test_a_line_is_rendered_for_people() -> None:
    said: dict[str, JsonValue] = {
        "severity": "INFO",
        "message": "run_journey: hop committed",
        "logging.googleapis.com/labels": {"sojourn.engine": "true"},
        "logging.googleapis.com/trace": "projects/p/traces/t",
        "function": "run_journey",
        "status": 204,
        "published": {"journey-runs": 2},
        "outcomes": {},
        "reason": "due at last",
        "attempt": 0,
    }
    parsed = parse_line(json.dumps(said))
    assert parsed is not None
    assert parsed.labels == {"sojourn.engine": "true"}
    assert render(parsed) == 'hop committed reason="due at last" attempt=0 → journey-runs 2'


def test_the_stack_of_a_bug_is_shown_as_it_was_and_its_error_once() -> None:
    parsed = parse_line(
        json.dumps(
            {"severity": "ERROR", "message": "f: no m", "status": 500, "error": "no m", "stack_trace": "Traceback:\n  x\n"}
        )
    )
    assert parsed is not None
    assert render(parsed) == "ERROR f: no m status=500\nTraceback:\n  x"


@pytest.mark.parametrize(
    "text",
    ["", "Traceback (most recent call last):", "{", "[1]", '{"status": "fine"}', '{"published": {"journey-runs": -1}}'],
)
def test_what_is_no_line_of_a_function_is_not_counted(text: str) -> None:
    assert parse_line(text) is None
