"""When Cloud Scheduler's jobs run: both forms, four zones around the days their clocks change, and garbage."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.scheduler.schedule import Schedule, parse_schedule

BERLIN, NEW_YORK, LORD_HOWE, CAIRO = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"


def starts(schedule: Schedule, after: str, count: int) -> list[str]:
    """The next starts, UTC, to the minute."""
    moment, found = datetime.fromisoformat(after).replace(tzinfo=UTC), []
    for _ in range(count):
        moment = schedule.next_after(moment)
        assert moment.utcoffset() == timedelta() and moment.second == moment.microsecond == 0
        found.append(f"{moment:%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        # Forward: 02:00 becomes 03:00 on 29 March, and 02:30 is skipped.
        ("30 2 * * *", BERLIN, "2026-03-28T00:00", ["03-28 01:30", "03-30 00:30"]),
        ("0 */1 * * *", BERLIN, "2026-03-28T23:30", ["03-29 00:00", "03-29 01:00", "03-29 02:00"]),
        ("0 3 * * *", BERLIN, "2026-03-28T03:00", ["03-29 01:00", "03-30 01:00"]),
        # Back: 03:00 becomes 02:00 on 25 October, and 02:30 comes twice.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["10-25 00:30", "10-25 01:30", "10-26 01:30"]),
        ("*/30 2 * * *", BERLIN, "2026-10-24T12:00", ["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30"]),
        ("10 2 25 10 *", BERLIN, "2026-10-25T00:20", ["10-25 01:10", "10-25 00:10"]),
        ("30 2 * * *", NEW_YORK, "2026-03-07T00:00", ["03-07 07:30", "03-09 06:30"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", ["11-01 05:30", "11-01 06:30", "11-02 06:30"]),
        ("0 0 * * SUN", NEW_YORK, "2026-10-31T00:00", ["11-01 04:00", "11-08 05:00"]),
        # Half an hour: 02:00 becomes 02:30 on 4 October, and 02:00 becomes 01:30 on 5 April.
        ("15 2 * * *", LORD_HOWE, "2026-10-02T12:00", ["10-02 15:45", "10-04 15:15"]),
        ("0 3 * * *", LORD_HOWE, "2026-10-02T12:00", ["10-02 16:30", "10-03 16:00"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-03T20:00", ["04-04 14:45", "04-04 15:15", "04-05 15:15"]),
        # At midnight: 24 April has none, and the last hour of 29 October comes twice.
        ("0 0 * * *", CAIRO, "2026-04-22T00:00", ["04-22 22:00", "04-24 21:00"]),
        ("0 1 * * *", CAIRO, "2026-04-23T00:00", ["04-23 22:00", "04-24 22:00"]),
        ("30 23 * * *", CAIRO, "2026-10-29T12:00", ["10-29 20:30", "10-29 21:30", "10-30 21:30"]),
    ],
)
def test_cron_runs_on_wall_clock_time(text: str, zone: str, after: str, expected: list[str]) -> None:
    assert starts(parse_schedule(text, time_zone=zone), after, len(expected)) == expected


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, CAIRO])
def test_every_minute_is_every_minute_whatever_clocks_do(zone: str) -> None:
    schedule = parse_schedule("* * * * *", time_zone=zone)
    for day in (
        datetime(2026, month, 1, tzinfo=UTC) + timedelta(days=offset) for month in (3, 4, 10, 11) for offset in range(31)
    ):
        for hour in range(0, 24, 3):
            moment = day + timedelta(hours=hour, seconds=59)
            assert schedule.next_after(moment) == moment + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 9 1 * MON", ["06-01 09:00", "06-08 09:00", "06-15 09:00"]),
        ("0 9 13 * FRI", ["06-05 09:00", "06-12 09:00", "06-13 09:00"]),
        ("0 9 13 * *", ["06-13 09:00", "07-13 09:00"]),
        ("0 9 * * 7", ["06-07 09:00", "06-14 09:00"]),
        ("0 9 * jul-aug sat,sun", ["07-04 09:00", "07-05 09:00", "07-11 09:00"]),
        ("5,10-12,50/5 * * * *", ["06-01 00:05", "06-01 00:10", "06-01 00:11", "06-01 00:12", "06-01 00:50", "06-01 00:55"]),
        ("0 0-23/12 * * *", ["06-01 12:00", "06-02 00:00"]),
        ("  0\t0  29 2   * ", ["02-29 00:00"]),
    ],
)
def test_the_unix_cron_form(text: str, expected: list[str]) -> None:
    assert starts(parse_schedule(text), "2026-06-01T00:00", len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("every 5 minutes", ["06-01 00:05", "06-01 00:10"]),
        ("every 90 mins", ["06-01 01:30", "06-01 03:00"]),
        ("every 24 hours", ["06-02 00:00", "06-03 00:00"]),
        ("every 2 hours from 10:00 to 14:00", ["06-01 10:00", "06-01 12:00", "06-01 14:00", "06-02 10:00"]),
        ("every 50 mins from 9:00 to 10:00", ["06-01 09:00", "06-01 09:50", "06-02 09:00"]),
        ("every 1 hours from 23:00 to 1:00", ["06-01 01:00", "06-01 23:00", "06-02 00:00"]),
        ("every 8 hours synchronized", ["06-01 08:00", "06-01 16:00", "06-02 00:00"]),
        ("every day 00:00", ["06-02 00:00", "06-03 00:00"]),
        ("every mon,wed 09:00", ["06-01 09:00", "06-03 09:00", "06-08 09:00"]),
        ("Every Monday of June 9:00", ["06-01 09:00", "06-08 09:00"]),
        ("1st monday of month 09:00", ["06-01 09:00", "07-06 09:00"]),
        ("2nd,third mon , wed of march 17:00", ["03-08 17:00", "03-10 17:00", "03-15 17:00", "03-17 17:00"]),
        ("fifth sat of month 12:00", ["08-29 12:00", "10-31 12:00"]),
        ("1 of jan,april,july,oct 00:00", ["07-01 00:00", "10-01 00:00"]),
        ("1,31 of month 05:00", ["06-01 05:00", "07-01 05:00", "07-31 05:00"]),
        ("first day of quarter 00:00", ["07-01 00:00", "10-01 00:00", "01-01 00:00"]),
        ("2nd day of first,third month of quarter 00:00", ["06-02 00:00", "07-02 00:00", "09-02 00:00"]),
        ("5th monday of february 10:00", ["02-29 10:00"]),
    ],
)
def test_the_english_form(text: str, expected: list[str]) -> None:
    assert starts(parse_schedule(text), "2026-06-01T00:00", len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("every day 02:30", BERLIN, "2026-03-28T12:00", ["03-30 00:30"]),
        ("every sun 02:30", BERLIN, "2026-10-24T12:00", ["10-25 00:30", "10-25 01:30"]),
        ("every 30 mins from 2:15 to 2:45", NEW_YORK, "2026-03-07T12:00", ["03-08 07:00", "03-09 06:15"]),
        ("every 12 hours synchronized", CAIRO, "2026-04-23T12:00", ["04-23 22:00", "04-24 10:00", "04-24 21:00"]),
    ],
)
def test_the_english_form_around_the_days_clocks_change(text: str, zone: str, after: str, expected: list[str]) -> None:
    assert starts(parse_schedule(text, time_zone=zone), after, len(expected)) == expected


def test_a_day_of_25_hours_has_25_hourly_starts() -> None:
    schedule = parse_schedule("every 1 hours synchronized", time_zone=BERLIN)
    found = starts(schedule, "2026-10-24T21:59", 26)
    assert (found[0], found[24], found[25]) == ("10-24 22:00", "10-25 22:00", "10-25 23:00")


def test_an_interval_counts_from_the_end_and_starts_at_a_full_minute() -> None:
    assert starts(parse_schedule("every 5 minutes"), "2026-06-01T00:00:59.9", 1) == ["06-01 00:05"]


REFUSED = ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *"]
REFUSED += ["5-1 * * * *", "* * * * FRI-MON", "0 0 L * *", "0 0 LW * *", "0 0 * * 5L", "0 0 * * MON#2", "0 0 31 2 *", "@daily"]
REFUSED += ["every 0 minutes", "every hour", "every 5 minutes from 10:00", "every 7 hours synchronized", "every 999999 mins"]
REFUSED += ["every 2 hours from 1:00 to 2:00 synchronized", "every monday", "31 of feb 10:00", "0 of month 10:00", "1 10:00"]
REFUSED += ["every day 24:00", "sixth monday of month 10:00", "fourth month of quarter 00:00", "١ * * * *", "* * * * *;"]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_schedule(text)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "America", "../UTC", "/etc/localtime", "\0", "UTC+2", "ü"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="no time zone of the tz database"):
        parse_schedule("* * * * *", time_zone=zone)


@pytest.mark.parametrize("zone", ["", "utc", "UTC", "Etc/UTC"])
def test_utc_has_many_names_and_is_the_default(zone: str) -> None:
    assert starts(parse_schedule("0 9 * * *", time_zone=zone), "2026-06-01T00:00", 1) == ["06-01 09:00"]


WORDS = [
    "every",
    "1st",
    "third",
    "day",
    "mon,tue",
    "sun",
    "of",
    "month",
    "quarter",
    "feb,mar",
    "29,30",
    "from",
    "to",
    "9:59",
    "23:00",
]
WORDS += [
    "7",
    "90",
    "99999",
    "mins",
    "hours",
    "synchronized",
    "*",
    "*/7",
    "0-59/13",
    "1-31",
    "L",
    "FRI",
    "29",
    "2",
    "#",
    ",",
    "٣",
]
PHRASES = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
MOMENTS = st.integers(157_766_400, 5_680_281_600).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
ZONES = st.sampled_from([BERLIN, LORD_HOWE, CAIRO, "Pacific/Apia", "Antarctica/Troll", "UTC"])


@settings(deadline=None)
@given(text=st.text() | PHRASES, zone=ZONES, moment=MOMENTS)
@example(text="29 2 29 2 *", zone=BERLIN, moment=datetime(2096, 3, 1, tzinfo=UTC))
@example(text="every 7 mins from 23:00 to 9:59", zone="Pacific/Apia", moment=datetime(2011, 12, 30, 9, tzinfo=UTC))
def test_any_text_is_a_schedule_that_goes_forward_or_a_value_error(text: str, zone: str, moment: datetime) -> None:
    try:
        schedule = parse_schedule(text, time_zone=zone)
    except ValueError:
        return
    for _ in range(3):
        moment, before = schedule.next_after(moment), moment
        assert moment > before


@settings(deadline=None)
@given(zone=st.text() | st.sampled_from(["posix", "right/UTC", "Europe/", ".", "a" * 5000]))
def test_any_zone_is_one_or_a_value_error(zone: str) -> None:
    try:
        schedule = parse_schedule("* * * * *", time_zone=zone)
    except ValueError:
        return
    assert schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC)).minute == 1


@settings(deadline=None)
@given(
    hours=st.sets(st.integers(0, 4), min_size=1),
    minute=st.integers(0, 59),
    change=st.sampled_from(
        [(BERLIN, 3, 28), (BERLIN, 10, 24), (LORD_HOWE, 4, 4), (LORD_HOWE, 10, 3), (CAIRO, 4, 23), (CAIRO, 10, 29)]
    ),
    after=st.integers(0, 36 * 60),
)
def test_cron_starts_whenever_a_clock_on_the_wall_shows_the_time(
    hours: set[int], minute: int, change: tuple[str, int, int], after: int
) -> None:
    zone, month, day = change
    moment = datetime(2026, month, day, tzinfo=UTC) + timedelta(minutes=after)
    shown = (moment + timedelta(minutes=minutes) for minutes in range(1, 3 * 24 * 60))
    expected = next(
        each for each in shown if (local := each.astimezone(ZoneInfo(zone))).hour in hours and local.minute == minute
    )
    assert parse_schedule(f"{minute} {','.join(map(str, hours))} * * *", time_zone=zone).next_after(moment) == expected
