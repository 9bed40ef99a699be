"""When a journey is broken: the setting, the five minutes that things are counted by, and the numbers on the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sojourn.domain.journey_settings import MAX_FAILURE_WINDOW, FailureLimit, Settings
from sojourn.domain.loading import dump_definition, load_stored
from sojourn.domain.moment import period_of, periods
from tests.builders import START, after, definition, send


@pytest.mark.parametrize(
    ("failed", "total", "exceeded"),
    [(5, 20, True), (4, 20, False), (5, 19, False), (19, 19, False), (25, 100, True), (24, 100, False), (0, 10_000, False)],
)
def test_the_share_of_enough_members(failed: int, total: int, exceeded: bool) -> None:
    assert FailureLimit().exceeded(failed=failed, total=total) is exceeded


@given(st.floats(0.01, 1), st.integers(1, 1_000), st.integers(0, 1_000), st.integers(0, 1_000))
def test_fewer_than_the_least_never_exceed_it(share: float, members: int, failed: int, total: int) -> None:
    limit = FailureLimit(share=share, members=members)
    if failed < limit.least:
        assert not limit.exceeded(failed=failed, total=max(failed, total))


def test_it_is_on_unless_a_journey_says_otherwise() -> None:
    assert Settings().pause_on_failures == FailureLimit()
    assert definition([send()], pause_on_failures=None).settings.pause_on_failures is None


def test_it_survives_storing_and_older_definitions_take_the_default() -> None:
    written = definition([send()], pause_on_failures={"share": 0.1, "members": 5, "window": "30m"})
    assert load_stored(dump_definition(written)) == written
    text = dump_definition(definition([send()]))
    before = text.replace('"pause_on_failures":{"members":20,"share":0.25,"window":"1h"},', "")
    assert before != text and load_stored(before).settings.pause_on_failures == FailureLimit()


@pytest.mark.parametrize(
    ("given_", "text"),
    [({"share": 0}, "greater than or equal to 0.01"), ({"window": "3h"}, "window is at most 2h"), ({"percent": 5}, "Extra")],
)
def test_a_limit_that_cannot_be_is_refused(given_: dict[str, object], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Settings.model_validate({"pause_on_failures": given_})


def test_periods_are_five_minutes_and_sort_by_time() -> None:
    assert [period_of(after(seconds=seconds)) for seconds in (0, 299, 300)] == [
        "2026-03-02T09:00", "2026-03-02T09:00", "2026-03-02T09:05",
    ]  # fmt: skip
    assert periods(after(minutes=-6), after(minutes=4)) == ("2026-03-02T08:50", "2026-03-02T08:55", "2026-03-02T09:00")
    assert periods(START, START) == ("2026-03-02T09:00",)


def test_the_longest_window_fits_into_one_query() -> None:
    assert len(periods(after(seconds=-1) - MAX_FAILURE_WINDOW, after(seconds=299))) <= 30
