"""Retry policies: what each kind waits, what a provider asks for, and what an author is told who wrote one that cannot be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sojourn.domain.definition import Definition
from sojourn.domain.errors import DefinitionInvalid
from sojourn.domain.loading import dump_definition, load_stored, parse_definition
from sojourn.domain.node import SendMessageNode, WebhookNode
from sojourn.domain.retry import MAX_ATTEMPTS, RetryPolicy
from tests.builders import BOT

Kind = Literal["exponential", "linear", "fixed"]


def pauses(policy: RetryPolicy, count: int = 5) -> list[float]:
    return [policy.pause("e", failures).total_seconds() for failures in range(1, count + 1)]


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({}, [30, 60, 120, 240, 480]),
        ({"multiplier": 3}, [30, 90, 270, 810, 2_430]),
        ({"first_delay": "1m", "max_delay": "2m"}, [60, 120, 120, 120, 120]),
        ({"kind": "linear"}, [30, 60, 90, 120, 150]),
        ({"kind": "linear", "increment": "1m"}, [30, 90, 150, 210, 270]),
        ({"kind": "linear", "increment": "1m", "max_delay": "2m"}, [30, 90, 120, 120, 120]),
        ({"kind": "fixed", "first_delay": "5m"}, [300] * 5),
        ({"multiplier": 1}, [30] * 5),
    ],
)
def test_the_table_of_delays(given_: dict[str, object], expected: list[float]) -> None:
    assert pauses(RetryPolicy.model_validate({**given_, "jitter": 0})) == expected


@given(
    kind=st.sampled_from(("exponential", "linear", "fixed")),
    failures=st.integers(1, MAX_ATTEMPTS + 50),
    jitter=st.floats(0, 1),
    asked=st.none() | st.timedeltas(timedelta(0), timedelta(days=400_000)),
    seed=st.text(max_size=5),
)
def test_no_pause_is_shorter_than_the_first_or_longer_than_the_longest_and_its_jitter(
    kind: Kind, failures: int, jitter: float, asked: timedelta | None, seed: str
) -> None:
    policy = RetryPolicy(kind=kind, jitter=jitter)
    pause = policy.pause(seed, failures, asked=asked)
    assert policy.first_delay <= pause <= policy.max_delay * (1 + jitter) + timedelta(microseconds=1)
    assert pause == policy.pause(seed, failures, asked=asked)


def test_failures_of_one_moment_do_not_come_back_in_one() -> None:
    policy = RetryPolicy(jitter=0.5)
    found = {policy.pause(f"effect-{number}", 1) for number in range(200)}
    assert len(found) > 190
    assert min(found) < timedelta(seconds=32) and max(found) > timedelta(seconds=43)


@pytest.mark.parametrize(("asked", "expected"), [("10s", 30), ("2m", 120), ("3h", 3_600)])
def test_what_the_provider_asks_for_counts_where_it_is_longer_up_to_the_longest(asked: str, expected: float) -> None:
    policy = RetryPolicy.model_validate({"jitter": 0})
    written = {"10s": timedelta(seconds=10), "2m": timedelta(minutes=2), "3h": timedelta(hours=3)}[asked]
    assert policy.pause("e", 1, asked=written).total_seconds() == expected


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "fixed", "multiplier": 2}, "multiplier is for another kind than fixed: leave it out"),
    ({"kind": "linear", "multiplier": 2}, "multiplier is for another kind than linear: leave it out"),
    ({"increment": "1m"}, "increment is for another kind than exponential: leave it out"),
    ({"first_delay": "2h"}, "first_delay (2h) is longer than max_delay (1h)"),
    ({"max_attempts": 0}, "must be at least 1, not 0"),
    ({"max_attempts": 101}, "must be at most 100, not 101"),
    ({"first_delay": "0s"}, "must be longer than zero"),
    ({"first_delay": 30}, "30 is no duration"),
    ({"jitter": 1.5}, "must be at most 1.0, not 1.5"),
    ({"jitter": "much"}, "must be a number, not 'much'"),
    ({"kind": "random"}, "must be 'exponential', 'linear' or 'fixed', not 'random'"),
    ({"attempts": 3}, "there is no field 'attempts'"),
]


@pytest.mark.parametrize(("retry", "text"), FAULTS, ids=lambda value: str(value)[:40])
def test_what_cannot_be_is_refused_at_its_node_with_what_would_be_right(retry: dict[str, Any], text: str) -> None:
    with pytest.raises(DefinitionInvalid) as raised:
        a_journey(retry)
    (fault,) = raised.value.faults
    assert text in fault.message and fault.node_id == "hello"
    assert fault.location[:4] == ("nodes", 1, "settings", "retry")


def test_a_policy_of_a_node_survives_storing_and_none_is_none() -> None:
    definition = a_journey({"kind": "linear", "increment": "90s", "max_attempts": 3})
    stored = load_stored(dump_definition(definition))
    assert stored == definition
    hello, hook = stored.by_id["hello"], stored.by_id["hook"]
    assert isinstance(hello, SendMessageNode) and hello.settings.retry is not None
    assert hello.settings.retry.increment == timedelta(seconds=90)
    assert isinstance(hook, WebhookNode) and hook.settings.retry is None


def test_a_definition_that_was_stored_before_there_were_policies_still_loads() -> None:
    text = dump_definition(a_journey(None)).replace(',"retry":null', "").replace('"retry":null,', "")
    assert '"retry"' not in text
    assert load_stored(text) == a_journey(None)


def test_policies_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(RetryPolicy(), "kind", "fixed")  # noqa: B010 - the type checker would refuse the plain assignment


def a_journey(retry: object) -> Definition:
    hello = {"message": "Hello"} | ({"retry": retry} if retry is not None else {})
    return parse_definition(
        {
            "id": "welcome",
            "bot_id": BOT,
            "name": "Welcome",
            "nodes": [
                {"id": "start", "key": "api", "next": "hello"},
                {"id": "hello", "key": "send_message", "settings": hello, "next": "hook"},
                {"id": "hook", "key": "webhook", "settings": {"url": "https://example.com"}, "next": "end"},
                {"id": "end", "key": "exit"},
            ],
        }
    )
