"""The circuit breaker as a state machine: who may call, who tries, how long a rest lasts, which calls count."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic import ValidationError

from sojourn.domain.breaker import (
    BUCKETS,
    MIN_SPREAD,
    PROBE_SECONDS,
    Breaker,
    BreakerPolicy,
    BreakerState,
    Calls,
    admission,
    closed,
    come_back,
    opened,
    probing,
)
from tests.builders import START, after

POLICY = BreakerPolicy(failure_rate=0.5, minimum_calls=10)
REST = timedelta(seconds=30)


def count(*failed: bool, calls: Calls = Calls(), at: datetime = START, policy: BreakerPolicy = POLICY) -> Calls:  # noqa: B008
    for each in failed:
        calls = calls.counted(policy, failed=each, now=at)
    return calls


def fault(calls: Calls, *, at: datetime = START, since: datetime | None = None, policy: BreakerPolicy = POLICY) -> str | None:
    return calls.fault(policy, since=since, now=at)


class TestCalls:
    def test_too_few_say_nothing(self) -> None:
        assert fault(count(*[True] * 9)) is None
        assert fault(count(*[True] * 10)) == "10 of 10 calls failed within 1m"

    def test_below_the_rate_all_is_well(self) -> None:
        assert fault(count(*[True] * 9, *[False] * 10)) is None
        assert fault(count(*[True] * 10, *[False] * 10)) == "10 of 20 calls failed within 1m"

    def test_what_is_older_than_the_window_does_not_count(self) -> None:
        old = count(*[True] * 10)
        assert fault(old, at=after(seconds=54)) is not None
        assert fault(old, at=after(seconds=61)) is None
        assert fault(count(*[True] * 9, calls=old, at=after(seconds=61)), at=after(seconds=61)) is None

    def test_what_failed_before_the_channel_was_trusted_again_does_not_count(self) -> None:
        calls = count(*[True] * 10)
        assert fault(calls, at=after(seconds=10), since=after(seconds=6)) is None
        later = count(*[True] * 10, calls=calls, at=after(seconds=15))
        assert fault(later, at=after(seconds=15), since=after(seconds=6)) == "10 of 10 calls failed within 1m"

    def test_a_clock_that_is_set_back_loses_nothing(self) -> None:
        calls = count(True, calls=count(*[True] * 9), at=after(seconds=-20))
        assert fault(calls) == "10 of 10 calls failed within 1m"

    @given(
        st.lists(st.tuples(st.booleans(), st.integers(-90, 200)), max_size=60),
        st.sampled_from(["1s", "1m", "1h"]),
    )
    def test_it_is_bounded_and_counts_no_more_than_there_was(self, steps: list[tuple[bool, int]], window: str) -> None:
        policy = BreakerPolicy.model_validate({"minimum_calls": 1, "failure_rate": 0.01, "window": window})
        calls, now = Calls(), START
        for failed, seconds in steps:
            now += timedelta(seconds=seconds)
            calls = calls.counted(policy, failed=failed, now=now)
            assert len(calls.buckets) <= BUCKETS
            assert [bucket.number for bucket in calls.buckets] == sorted({bucket.number for bucket in calls.buckets})
        assert sum(bucket.calls for bucket in calls.buckets) <= len(steps)
        assert sum(bucket.failures for bucket in calls.buckets) <= sum(failed for failed, _ in steps)


class TestRests:
    def test_each_rest_in_a_row_is_twice_as_long_up_to_the_longest(self) -> None:
        policy = BreakerPolicy.model_validate({"rest": "30s", "max_rest": "3m"})
        breaker, lengths = None, []
        for _ in range(40):
            breaker = opened(breaker, "line", policy, "down", now=START)
            assert breaker.until is not None
            lengths.append((breaker.until - START).total_seconds())
        assert lengths[:5] == [30, 60, 120, 180, 180] and set(lengths[5:]) == {180}

    def test_after_trust_the_shortest_comes_again(self) -> None:
        breaker = opened(opened(None, "line", POLICY, "down", now=START), "line", POLICY, "down", now=START)
        again = opened(closed(breaker, "fine", now=START), "line", POLICY, "down", now=START)
        assert (breaker.rests, again.rests, again.until) == (2, 1, START + REST)

    def test_what_is_put_off_comes_back_after_the_rest_and_not_at_once(self) -> None:
        breaker = opened(None, "line", POLICY, "down", now=START)
        moments = [come_back(breaker, f"effect-{number}") for number in range(1_000)]
        assert breaker.until is not None
        found = sorted(moment for moment in moments if moment is not None)
        assert breaker.until <= found[0] and found[-1] <= breaker.until + MIN_SPREAD
        per_second = [sum(second <= (m - breaker.until).total_seconds() < second + 1 for m in found) for second in range(120)]
        assert max(per_second) < 30

    @pytest.mark.parametrize(
        ("given_", "text"),
        [
            ({"rest": "2h"}, "rest .2h. is longer than max_rest .15m."),
            ({"max_rest": "2d"}, "max_rest is at most 1d"),
            ({"window": "2h"}, "window is at most 1h"),
            ({"failure_rate": 0}, "greater than or equal to 0.01"),
            ({"minimum_calls": 0}, "greater than or equal to 1"),
            ({"pause": "1m"}, "Extra inputs"),
        ],
    )
    def test_a_policy_that_cannot_be_is_refused(self, given_: dict[str, object], text: str) -> None:
        with pytest.raises(ValidationError, match=text):
            BreakerPolicy.model_validate(given_)


class SharedBreaker(RuleBasedStateMachine):
    """Callers whose clocks move on, one record, compare-and-set: what a process does is what `application.breaker` does."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.breaker: Breaker | None = None
        self.probe: Breaker | None = None
        self.last_probe_at: datetime | None = None

    @rule(seconds=st.integers(0, 400))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: admission(self.breaker, self.now) == "call")
    @rule()
    def too_many_fail(self) -> None:
        before = self.breaker
        self.breaker = opened(before, "line", POLICY, "10 of 10 calls failed", now=self.now)
        assert self.breaker.rests == 1 and self.breaker.until == self.now + REST

    @precondition(lambda self: admission(self.breaker, self.now) == "probe")
    @rule()
    def somebody_tries(self) -> None:
        """The one before may have died: then its time is over."""
        assert self.breaker is not None and self.breaker.until is not None and self.breaker.until <= self.now
        if self.breaker.state is BreakerState.PROBING:
            assert self.last_probe_at is not None and self.now - self.last_probe_at >= timedelta(seconds=PROBE_SECONDS)
        self.breaker = self.probe = replace(probing(self.breaker, now=self.now), token=f"{self.now}")
        self.last_probe_at = self.now
        assert admission(self.breaker, self.now) == "rest"

    @precondition(lambda self: self.probe is not None)
    @rule(failed=st.booleans())
    def a_try_is_heard_of(self, failed: bool) -> None:
        """One that is no longer the latest changes nothing (`application.breaker` compares the tokens)."""
        probe, self.probe = self.probe, None
        assert probe is not None
        if self.breaker is not probe:
            return
        if failed:
            self.breaker = opened(probe, "line", POLICY, "so did a try", now=self.now)
            assert self.breaker.rests == probe.rests + 1
        else:
            self.breaker = closed(probe, "a try succeeded", now=self.now)
            assert admission(self.breaker, self.now) == "call"

    @precondition(lambda self: self.breaker is not None)
    @rule()
    def an_operator_resets_it(self) -> None:
        assert self.breaker is not None
        self.breaker = closed(self.breaker, "reset", now=self.now)
        assert admission(self.breaker, self.now) == "call"

    @invariant()
    def a_rest_is_never_endless_and_never_forgotten(self) -> None:
        breaker = self.breaker
        if breaker is None or breaker.state is BreakerState.CLOSED:
            assert admission(breaker, self.now) == "call"
            return
        assert breaker.until is not None
        assert timedelta(0) < breaker.until - breaker.since <= POLICY.max_rest
        assert admission(breaker, breaker.until) == "probe"
        assert admission(breaker, breaker.until - timedelta(seconds=1)) == "rest"
        assert breaker.expire_at > breaker.until


TestSharedBreaker = SharedBreaker.TestCase
