"""What becomes of an effect: each kind of failure has its own way, and none leads out of the diagram."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.domain.delivery import MAX_SETBACKS, claimed, closed, parked, put_off, settled, taken_up
from sojourn.domain.effect import LEASE_SECONDS, Delivery, Effect, EffectStatus, Rest
from sojourn.domain.retry import RetryPolicy
from tests.builders import START, after
from tests.contract.records import an_effect

POLICY = RetryPolicy(max_attempts=3, jitter=0)
DONE, BUSY = Delivery("delivered", provider_id="p1"), Delivery("retryable", "503")
SILENT = Delivery("uncertain", "no answer in time")
REFUSED, BROKEN = Delivery("permanent", "410 Gone"), Delivery("system", "no channel 'pigeon'")


def partly(*again: str, lost: tuple[str, ...] = ()) -> Delivery:
    return Delivery("partial", f"{len(again) + len(lost)} parts did not arrive", result={"id": "m1"}, rest=Rest(again, lost))


def play(*deliveries: Delivery, effect: Effect | None = None) -> Effect:
    current = effect or an_effect()
    for delivery in deliveries:
        current = settled(claimed(current, now=START), delivery, POLICY, now=START)
    return current


def seen(effect: Effect) -> tuple[str, str | None, int]:
    return effect.status.value, effect.failure, effect.attempts


@pytest.mark.parametrize(
    ("deliveries", "status", "failure", "attempts"),
    [
        ([DONE], "DONE", None, 1),
        ([BUSY], "PENDING", "transient", 1),
        ([BUSY, DONE], "DONE", None, 2),
        ([BUSY, BUSY, BUSY], "DEAD", "transient", 3),
        ([SILENT, SILENT, DONE], "DONE", None, 3),
        ([SILENT, SILENT, SILENT], "DEAD", "transient", 3),
        ([partly("b"), SILENT, DONE], "DONE", None, 3),
        ([REFUSED], "FAILED", "permanent", 1),
        ([BUSY, REFUSED], "FAILED", "permanent", 2),
        ([BROKEN] * 30, "PENDING", "system", 0),
        ([BROKEN, BROKEN, BUSY], "PENDING", "transient", 1),
        ([BROKEN, DONE], "DONE", None, 1),
        ([partly("b")], "PENDING", "partial", 1),
        ([partly("b"), DONE], "DONE", None, 2),
        ([partly("b"), BUSY], "PENDING", "partial", 2),
        ([partly("b"), BUSY, BUSY], "DEAD", "partial", 3),
        ([partly("b"), partly("b"), partly("b")], "DEAD", "partial", 3),
        ([partly(lost=("a",))], "DONE", "partial", 1),
        ([partly("b", lost=("a",)), DONE], "DONE", "partial", 2),
        ([partly("b"), REFUSED], "DONE", "partial", 2),
    ],
)  # fmt: skip
def test_the_table(deliveries: list[Delivery], status: str, failure: str | None, attempts: int) -> None:
    assert seen(play(*deliveries)) == (status, failure, attempts)


def test_of_a_message_in_parts_the_result_says_what_is_lost() -> None:
    effect = play(partly("b", "c", lost=("a (unregistered)",)), partly("c", lost=("b (blocked)",)), DONE)
    assert effect.reason == "did not arrive: a (unregistered), b (blocked)"
    assert effect.result == "p1"
    assert play(partly("b"), REFUSED).reason == "did not arrive: b (410 Gone)"


def test_only_the_rest_is_asked_for_and_each_time_under_another_key() -> None:
    effect = an_effect()
    first, second = play(partly("b", "c")), play(partly("b", "c"), partly("c"))
    assert [one.delivery_key for one in (effect, first, second)] == [effect.id, f"{effect.id}-1", f"{effect.id}-2"]
    assert second.rest == Rest(undelivered=("c",), answers=2)


def test_a_try_that_was_not_answered_keeps_its_key() -> None:
    effect = play(partly("b"))
    assert play(BUSY, effect=effect).delivery_key == effect.delivery_key
    assert claimed(effect, now=START).delivery_key == effect.delivery_key


def test_failures_of_the_system_wait_longer_and_longer_and_an_answer_forgets_them() -> None:
    pauses = []
    for count in (1, 2, 3, 10, 200):
        effect = play(*[BROKEN] * count)
        assert effect.not_before is not None and effect.not_before == effect.sweep_at
        pauses.append((effect.not_before - START) / timedelta(minutes=1))
    assert [round(pause) for pause in pauses[:3]] == [1, 2, 4]
    assert all(60 <= pause <= 66 for pause in pauses[3:])
    assert play(*[BROKEN] * 9, BUSY).setbacks == 0


def test_a_provider_that_asks_for_more_time_is_given_it_up_to_the_longest_delay() -> None:
    asked = replace(BUSY, retry_after=timedelta(minutes=10))
    assert play(asked).not_before == after(minutes=10)
    assert play(replace(BUSY, retry_after=timedelta(days=3))).not_before == after(hours=1)


def test_a_lost_lease_is_a_setback_and_no_attempt() -> None:
    first = claimed(an_effect(), now=START)
    again = claimed(first, now=after(seconds=LEASE_SECONDS))
    assert (first.setbacks, again.setbacks, again.attempts) == (0, 1, 0)
    assert again.sweep_at == after(seconds=2 * LEASE_SECONDS)
    assert MAX_SETBACKS > 10


def test_an_operator_gives_all_attempts_anew_and_of_parts_still_only_the_rest() -> None:
    dead = play(partly("b"), BUSY, BUSY)
    fresh = taken_up(dead, now=after(days=1))
    assert seen(fresh) == ("PENDING", None, 0)
    assert (fresh.rest, fresh.setbacks, fresh.not_before, fresh.expire_at) == (dead.rest, 0, None, None)


@pytest.mark.parametrize("before", [(), (BUSY,), (partly("b"),)], ids=["at once", "after a failure", "in parts"])
def test_what_may_have_arrived_and_must_not_go_out_twice_is_skipped(before: tuple[Delivery, ...]) -> None:
    under_way = claimed(play(*before), now=START)
    after_all = settled(under_way, SILENT, POLICY, now=START, repeatable=False)
    assert seen(after_all) == ("SKIPPED", None, len(before) + 1)
    assert (after_all.reason, after_all.skipped_for) == ("uncertain: no answer in time", "uncertain")


deliveries = st.lists(
    st.sampled_from(
        [DONE, BUSY, SILENT, REFUSED, BROKEN, partly("b"), partly("b", lost=("a",)), partly(lost=("a",)), Delivery("partial")]
    ),
    max_size=8,
)


@given(deliveries, st.booleans())
def test_statuses_only_move_along_the_diagram(script: list[Delivery], dies: bool) -> None:
    effect = an_effect()
    for delivery in script:
        under_way = claimed(effect, now=START)
        under_way = claimed(under_way, now=START) if dies else under_way
        effect = settled(under_way, delivery, POLICY, now=START)
        assert effect.attempts <= POLICY.max_attempts
        assert effect.status is not EffectStatus.PERFORMING
        if effect.status.terminal:
            assert effect.sweep_at is None and effect.not_before is None
            assert (effect.expire_at is None) is (effect.status is EffectStatus.DEAD)
            assert (effect.failed_in is not None) is effect.failed and effect.finished_in is not None
            return
        assert effect.sweep_at is not None and effect.sweep_at == effect.not_before and effect.sweep_at > START
        assert effect.failure is not None and effect.finished_in is None


def test_what_is_put_off_parked_or_closed_is_found_by_who_must_find_it() -> None:
    effect = claimed(an_effect(), now=START)
    later = put_off(effect, "asleep", until=after(hours=8), now=START)
    assert (later.sweep_at, later.not_before, later.attempts) == (after(hours=8), after(hours=8), 0)
    assert parked(later, now=START).sweep_at is None and parked(later, now=START).parked
    skipped = closed(parked(later, now=START), EffectStatus.SKIPPED, "the member left: bought", now=START)
    assert (skipped.parked, skipped.not_before, skipped.finished_in) == (False, None, None)
