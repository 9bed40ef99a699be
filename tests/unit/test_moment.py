"""Durations as people write them, and local times on the days the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.domain.moment import (
    WEEKDAYS,
    Weekday,
    at_local,
    end_of_sleep,
    format_duration,
    next_local,
    parse_duration,
    parse_zone,
    read_moment,
)

BERLIN, NEW_YORK, LORD_HOWE, APIA, CAIRO, TAIPEI = ZONES = tuple(
    ZoneInfo(name)
    for name in (
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",  # moves by 30 minutes
        "Pacific/Apia",  # had no 2011-12-30
        "Africa/Cairo",  # moves at midnight
        "Asia/Taipei",  # does not move
    )
)
MONDAY: tuple[Weekday, ...] = ("mon",)

moments = st.integers(1_262_304_000, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))  # 2010 to 2030
clocks = st.times().map(lambda clock: clock.replace(second=0, microsecond=0, fold=0))
zones = st.sampled_from(ZONES)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


RIGHT = {
    "90s": timedelta(seconds=90),
    "1d 2h30m": timedelta(days=1, hours=2, minutes=30),
    " 2 w ": timedelta(weeks=2),
    "1d1d": timedelta(days=2),
    "-3d": timedelta(days=-3),
    "- 90m": timedelta(minutes=-90),
    "0s": timedelta(0),
    "P1DT2H": timedelta(days=1, hours=2),
    "P2W": timedelta(weeks=2),
    "PT5M30S": timedelta(minutes=5, seconds=30),
    "-P1D": timedelta(days=-1),
    "3660d": timedelta(days=3660),
    "0000000000000000000001d": timedelta(days=1),  # zeros before it do not matter
}


@pytest.mark.parametrize(("text", "expected"), RIGHT.items())
def test_a_duration_is_read_as_people_write_it(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


NO_DURATION = ["", " ", "1", "d", "h1", "1.5h", "1,5h", "1d,2h", "1D", "1ms", "+3d", "--3d", "-", "1d\0", "٣d", "soon"]
NO_ISO = ["P", "PT", "p1d", "P1Y", "P1M", "P1DT-2H", "PT0.5S", "P1D2H"]
ABSURD: list[object] = [None, True, 5, 1.5, [], {}, b"1d", "9" * 1_000_000, "1" + " " * 1_000_000, "1d" * 1_000]


@pytest.mark.parametrize("text", [*NO_DURATION, *NO_ISO, *ABSURD], ids=lambda text: f"{text!r:.12}")
def test_what_is_no_duration_is_refused_with_a_short_example(text: object) -> None:
    with pytest.raises(ValueError, match="is no duration; write it with units, such as 30m") as raised:
        parse_duration(text)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("text", ["3661d", "-3661d", "9" * 90 + "w", "P" + "9" * 90 + "D", timedelta(days=4000)])
def test_a_duration_of_more_than_ten_years_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="at most 3660 days"):
        parse_duration(text)


@given(st.integers(-3660 * 86_400, 3660 * 86_400).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_written_duration_is_read_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    "name", ["", "Europe", "Mars/Base", "../etc/passwd", "/etc/localtime", "\0", "\ud800", "x" * 5_000, 5, None]
)
def test_what_is_no_zone_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="is no IANA time zone") as raised:
        parse_zone(name)
    assert len(str(raised.value)) < 200


GAPS = [
    (BERLIN, "2026-03-29", "02:30", "2026-03-29T01:00"),
    (NEW_YORK, "2026-03-08", "02:00", "2026-03-08T07:00"),
    (LORD_HOWE, "2026-10-04", "02:10", "2026-10-03T15:30"),
    (CAIRO, "2026-04-24", "00:00", "2026-04-23T22:00"),
    (APIA, "2011-12-30", "00:00", "2011-12-30T10:00"),
    (APIA, "2011-12-30", "23:59", "2011-12-30T10:00"),
]
OVERLAPS = [
    (BERLIN, "2026-10-25", "02:30", "2026-10-25T00:30"),
    (NEW_YORK, "2026-11-01", "01:00", "2026-11-01T05:00"),
    (LORD_HOWE, "2026-04-05", "01:45", "2026-04-04T14:45"),
    (CAIRO, "2026-10-29", "23:30", "2026-10-29T20:30"),
]
PLAIN = [
    (TAIPEI, "2026-03-29", "02:30", "2026-03-28T18:30"),
    (BERLIN, "2026-03-29", "03:00", "2026-03-29T01:00"),
    (APIA, "2011-12-29", "12:00", "2011-12-29T22:00"),
    (APIA, "2011-12-31", "12:00", "2011-12-30T22:00"),
]


@pytest.mark.parametrize(("tz", "day", "clock", "expected"), GAPS + OVERLAPS + PLAIN)
def test_a_skipped_time_is_the_end_of_the_gap_and_a_repeated_one_its_first(
    tz: ZoneInfo, day: str, clock: str, expected: str
) -> None:
    assert at_local(date.fromisoformat(day), time.fromisoformat(clock), tz) == utc(expected)


def shows(moment: datetime, clock: time, tz: ZoneInfo) -> bool:
    """Whether the wall clock shows `clock`, or jumped over it in the second before."""
    local = moment.astimezone(tz)
    before = (moment - timedelta(seconds=1)).astimezone(tz)
    jumped = local.utcoffset() != before.utcoffset()
    first, last = before.replace(tzinfo=None), local.replace(tzinfo=None)
    days = [datetime.combine(first.date() + timedelta(days=n), clock) for n in range((last - first).days + 2)]
    return local.time() == clock or (jumped and any(first < skipped < last for skipped in days))


@given(moments, clocks, zones)
def test_the_next_local_time_is_later_and_on_the_clock_or_after_a_gap(now: datetime, clock: time, tz: ZoneInfo) -> None:
    moment = next_local(now, clock, tz)
    assert now < moment <= now + timedelta(days=2)
    assert shows(moment, clock, tz)


@given(moments, clocks, zones, st.sets(st.sampled_from(WEEKDAYS), min_size=1))
def test_the_next_local_time_is_on_one_of_the_weekdays(now: datetime, clock: time, tz: ZoneInfo, days: set[Weekday]) -> None:
    moment = next_local(now, clock, tz, days)
    local = moment.astimezone(tz)
    assert now < moment <= now + timedelta(days=9)
    skipped = WEEKDAYS[local.weekday() - 1] if local.time() == time(0) else None  # a gap at midnight, or a whole day
    assert {WEEKDAYS[local.weekday()], skipped} & days


@pytest.mark.parametrize(
    ("now", "weekdays", "expected"),
    [
        ("2026-03-02T08:59:59", (), "2026-03-02T09:00"),
        ("2026-03-02T09:00", (), "2026-03-03T09:00"),
        ("2026-03-02T09:00", MONDAY, "2026-03-09T09:00"),
        ("2026-03-03T00:00", MONDAY, "2026-03-09T09:00"),
    ],
)
def test_the_next_time_is_never_now(now: str, weekdays: tuple[Weekday, ...], expected: str) -> None:
    assert next_local(utc(now), time(9), ZoneInfo("UTC"), weekdays) == utc(expected)


def test_a_time_on_the_day_that_was_skipped_comes_with_the_first_moment_after_it() -> None:
    assert next_local(utc("2011-12-29T23:00"), time(12), APIA) == utc("2011-12-30T10:00")
    assert next_local(utc("2011-12-30T10:00"), time(12), APIA) == utc("2011-12-30T22:00")


@pytest.mark.parametrize(
    ("now", "start", "end", "expected"),
    [
        ("2026-03-02T21:59:59", "22:00", "08:00", None),
        ("2026-03-02T22:00", "22:00", "08:00", "2026-03-03T08:00"),
        ("2026-03-03T00:00", "22:00", "08:00", "2026-03-03T08:00"),
        ("2026-03-03T07:59:59", "22:00", "08:00", "2026-03-03T08:00"),
        ("2026-03-03T08:00", "22:00", "08:00", None),
        ("2026-03-02T13:00", "12:00", "14:00", "2026-03-02T14:00"),
        ("2026-03-02T14:00", "12:00", "14:00", None),
        ("2026-03-02T00:00", "00:00", "06:00", "2026-03-02T06:00"),
        ("2026-03-02T23:30", "23:00", "00:00", "2026-03-03T00:00"),
    ],
)
def test_the_sleep_window_may_pass_midnight_and_its_end_is_outside(
    now: str, start: str, end: str, expected: str | None
) -> None:
    found = end_of_sleep(utc(now), time.fromisoformat(start), time.fromisoformat(end), ZoneInfo("UTC"))
    assert found == (utc(expected) if expected else None)


def test_a_night_in_which_the_clocks_change_ends_at_the_same_wall_clock_time() -> None:
    for evening in ("2026-03-28T22:00", "2026-10-24T22:00"):
        end = end_of_sleep(utc(evening), time(22), time(8), BERLIN)
        assert end is not None
        assert end.astimezone(BERLIN).time() == time(8)


@given(moments, clocks, clocks, zones)
def test_the_end_of_sleep_is_later_and_awake_unless_the_next_window_begins_there(
    now: datetime, start: time, end: time, tz: ZoneInfo
) -> None:
    ends = end_of_sleep(now, start, end, tz)
    if ends is not None:
        assert now < ends <= now + timedelta(days=2)
        assert shows(ends, end, tz)
        assert end_of_sleep(ends, start, end, tz) is None or shows(ends, start, tz)


OFFSET = timedelta(days=-3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-04-01", "2026-03-29T07:00"),
        (date(2026, 4, 1), "2026-03-29T07:00"),
        ("2026-04-01T02:30:00", "2026-03-29T01:00"),  # three days before, 02:30 was skipped
        ("2026-04-01T09:00:00+02:00", "2026-03-29T07:00"),
        ("2026-04-01T09:00:00.123456789Z", "2026-03-29T09:00:00.123456"),
        (datetime(2026, 4, 1, 9, tzinfo=UTC), "2026-03-29T09:00"),
    ],
)
def test_a_date_with_an_offset_is_at_the_same_time_of_day_across_a_clock_change(value: object, expected: str) -> None:
    assert read_moment(value, time(9), OFFSET, BERLIN) == utc(expected)


NO_DAYS = ["0001-01-01", "0001-01-01T00:00:00+14:00", "0001-01-06T00:00:00Z", "9999-12-31T23:30:00Z", "9999-12-31"]
"""Some zones have not begun them, or are beyond them."""


@pytest.mark.parametrize("value", ["", "soon", "2026-02-30", *NO_DAYS, 5, None, [], True, "x" * 9_999])
def test_what_is_no_date_or_beyond_the_calendar_is_none(value: object) -> None:
    assert read_moment(value, time(9), OFFSET, BERLIN) is None
