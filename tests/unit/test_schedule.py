"""Schedules: which lines are taken, when they strike, and which firing a message stands for."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sojourn.domain.schedule import EARLY, LATE, ScheduleTriggerSettings, last_strike, next_strike, parse_cron

BERLIN, NEW_YORK, LORD_HOWE, CAIRO = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["* * * * *", "*/5 8-18 1,15 JAN-MAR mon", "0  9 * * 7", "0 0 29 2 *"])
def test_a_line_of_five_fields_is_taken_in_one_spelling(text: str) -> None:
    assert parse_cron(text) == " ".join(text.upper().split())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "0 0 L * *",
        "0 0 * * 5#2",
        "0 0 LW * *",
        "0 0 30 2 *",
        "hourly",
        "every 5 minutes",
        "0 9 * * FOO",
        "1-0 * * * *",
        "*/0 * * * *",
        "* * * * *\n* * * * *" * 20,
        "٣ * * * *",
    ],
)
def test_what_is_no_cron_is_refused_with_an_example_or_the_reason(text: str) -> None:
    with pytest.raises(ValueError, match=" is no cron"):
        parse_cron(text)


@pytest.mark.parametrize(
    ("line", "zone", "now", "last", "following"),
    [
        ("0 9 * * *", "UTC", "2026-03-02 09:00:00", "2026-03-02 09:00", "2026-03-03 09:00"),
        ("0 9 * * *", "UTC", "2026-03-02 08:59:59", "2026-03-01 09:00", "2026-03-02 09:00"),
        ("0 9 * * *", "Asia/Taipei", "2026-03-02 01:00:01", "2026-03-02 01:00", "2026-03-03 01:00"),
        ("30 2 * * *", BERLIN, "2026-10-25 00:40:00", "2026-10-25 00:30", "2026-10-26 01:30"),
        ("30 2 * * *", BERLIN, "2026-10-25 01:30:01", "2026-10-25 00:30", "2026-10-26 01:30"),
        ("*/30 * * * *", BERLIN, "2026-10-25 01:30:01", "2026-10-25 01:30", "2026-10-25 02:00"),
        ("0 9 * * *", BERLIN, "2026-03-29 07:00:00", "2026-03-29 07:00", "2026-03-30 07:00"),
    ],
)
def test_strikes_follow_the_wall_clock(line: str, zone: str, now: str, last: str, following: str) -> None:
    """The second 02:30 of an October night is no strike of its own."""
    assert last_strike(line, zone, until=moment(now)) == moment(last)
    assert next_strike(line, zone, after=moment(now)) == moment(following)


@pytest.mark.parametrize(
    ("line", "zone", "strikes"),
    [
        ("30 2 * * *", BERLIN, ["2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"]),
        ("30 2 * * *", BERLIN, ["2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"]),
        ("30 2 * * *", NEW_YORK, ["2026-03-07 07:30", "2026-03-08 07:00", "2026-03-09 06:30"]),
        ("30 1 * * *", NEW_YORK, ["2026-10-31 05:30", "2026-11-01 05:30", "2026-11-02 06:30"]),
        ("15 2 * * *", LORD_HOWE, ["2026-10-02 15:45", "2026-10-03 15:30", "2026-10-04 15:15"]),
        ("45 1 * * *", LORD_HOWE, ["2026-04-03 14:45", "2026-04-04 14:45", "2026-04-05 15:15"]),
        ("0 0 * * *", CAIRO, ["2026-04-22 22:00", "2026-04-23 22:00", "2026-04-24 21:00"]),
        ("30 23 * * *", CAIRO, ["2026-10-28 20:30", "2026-10-29 20:30", "2026-10-30 21:30"]),
    ],
)
def test_a_daily_line_strikes_once_a_day_whatever_clocks_do(line: str, zone: str, strikes: list[str]) -> None:
    """A time that clocks leave out strikes when they go on; of one that they show twice the first strikes."""
    for last, following in itertools.pairwise(map(moment, strikes)):
        assert next_strike(line, zone, after=last) == following
        assert last_strike(line, zone, until=last) == last == last_strike(line, zone, until=following - timedelta(seconds=1))


@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "15 3 * * *", "0 9 * * MON", "30 2 1 * *"]),
    st.sampled_from(["UTC", BERLIN, NEW_YORK, LORD_HOWE]),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
)
def test_whatever_is_published_until_the_next_strike_is_the_same_firing(line: str, zone: str, now: datetime) -> None:
    settings = ScheduleTriggerSettings(cron=line, timezone=zone)
    strike = next_strike(line, zone, after=now)
    end = next_strike(line, zone, after=strike) - EARLY - timedelta(microseconds=1)
    firings = {settings.fired_at(published) for published in (strike - EARLY, strike, strike + (end - strike) / 2, end)}
    assert firings == {strike}


def test_a_single_moment_is_fired_by_its_own_line_and_by_no_other_year() -> None:
    at = moment("2026-03-02 09:00")
    settings = ScheduleTriggerSettings(at=at, timezone="Asia/Taipei")
    assert settings.line == "0 17 2 3 *"
    assert settings.fired_at(at - EARLY) == settings.fired_at(at + LATE - timedelta(seconds=1)) == at
    assert settings.fired_at(at - timedelta(days=365)) is settings.fired_at(at + LATE) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give exactly one of cron, at"),
        ({"cron": "0 9 * * *", "at": "2026-03-02T09:00:00Z"}, "give exactly one of cron, at"),
        ({"at": "2026-03-02T09:00:30Z"}, "at must be a whole minute"),
        ({"at": "2026-03-02T09:00:00"}, "timezone"),
        ({"cron": "0 9 * * *", "timezone": "Mars/Base"}, "no IANA time zone"),
        ({"cron": "0 9 * * *", "audience": {"filter": "event.name == 'x'"}}, "an audience knows no 'event'; there are "),
        ({"cron": "0 9 * * *", "audience": {"filter": "member."}}, "does not compile"),
    ],
)
def test_what_cannot_be_right_is_refused_in_words(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ScheduleTriggerSettings.model_validate(settings)
