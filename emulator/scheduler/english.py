"""The English-like form, which Cloud Scheduler has from App Engine's cron.yaml.

    every 5 minutes                          five minutes after the previous execution has ended
    every 2 hours from 10:00 to 14:00        at 10:00, 12:00 and 14:00
    every 2 hours synchronized               from midnight on; the period must divide a day
    every mon,wed 09:00                      1st monday of month 09:00
    1,15 of jan,apr,jul,oct 05:00            first day of third month of quarter 00:00

Grammar: https://cloud.google.com/appengine/docs/standard/scheduling-jobs-with-cron-yaml.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from emulator.scheduler.wall_clock import first_moment_of, next_moment

DAY = timedelta(days=1)
LEAP_YEAR = 2000
SEARCHED_YEARS = 60
"""The fifth Monday of a February comes every 28 years, and later where a century has no leap day."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
QUARTERS = (
    ("january", "february", "march"),
    ("april", "may", "june"),
    ("july", "august", "september"),
    ("october", "november", "december"),
)
MONTHS = tuple(month for quarter in QUARTERS for month in quarter)
ORDINALS = ("first", "second", "third", "fourth", "fifth")
SHORT_ORDINALS = ("1st", "2nd", "3rd", "4th", "5th")
EVERY_WEEK = frozenset(range(1, 6))


@dataclass(frozen=True, slots=True)
class Interval:
    """Runs again this long after the previous execution has ended, at the full minute before."""

    every: timedelta

    def next_after(self, moment: datetime) -> datetime:
        """The next start, UTC, for an execution that ends at `moment`."""
        return (moment + self.every).astimezone(UTC).replace(second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Window:
    """Runs at the start of the window and then in steps up to its end, every day; an end before the start is the next day's."""

    every: timedelta
    start: time
    end: time
    zone: ZoneInfo

    def next_after(self, moment: datetime) -> datetime:
        """The next start, UTC. Steps are of elapsed time: a day of 25 hours has an hourly run more."""
        day = moment.astimezone(self.zone).date() - DAY
        while True:
            start, end = self._of(day)
            step = max(0, (moment - start) // self.every + 1)
            if (found := start + step * self.every) <= end:
                return found
            day += DAY

    def _of(self, day: date) -> tuple[datetime, datetime]:
        last = day if self.start <= self.end else day + DAY
        return (
            first_moment_of(datetime.combine(day, self.start), self.zone),
            first_moment_of(datetime.combine(last, self.end), self.zone),
        )


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """Runs at one time of day, on days of the month if there are any, else on the first to fifth weekdays of a month."""

    at: time
    zone: ZoneInfo
    months: frozenset[int]
    days: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset(range(7))
    weeks: frozenset[int] = EVERY_WEEK

    def next_after(self, moment: datetime) -> datetime:
        """The next start, UTC. Raises ValueError if none comes in sixty years."""
        return next_moment(self._walls_after, moment=moment, zone=self.zone)

    def _walls_after(self, wall: datetime) -> Iterator[datetime]:
        for year in range(wall.year, wall.year + SEARCHED_YEARS):
            for month in sorted(self.months):
                starts = (datetime.combine(day, self.at) for day in self._days(year, month))
                yield from (start for start in starts if start > wall)

    def _days(self, year: int, month: int) -> Iterator[date]:
        for day in range(1, monthrange(year, month)[1] + 1):
            found = date(year, month, day)
            of_week = found.weekday() in self.weekdays and (day - 1) // 7 + 1 in self.weeks
            if day in self.days if self.days else of_week:
                yield found


English: TypeAlias = Interval | Window | TimeOfDay


def parse_english(text: str, *, zone: ZoneInfo) -> English | None:
    """None if it is not of this form at all. Raises ValueError if it is, with values that no day or clock has."""
    phrase = re.sub(" ?, ?", ",", " ".join(text.lower().split()))
    if found := _INTERVAL.fullmatch(phrase):
        return _interval(found, zone)
    if found := _TIME_OF_DAY.fullmatch(phrase):
        return _time_of_day(found, zone)
    return None


def _interval(found: re.Match[str], zone: ZoneInfo) -> Interval | Window:
    every = int(found["count"]) * timedelta(**{"hours" if found["period"] == "hours" else "minutes": 1})
    if not every:
        raise ValueError("an interval is at least one minute")
    if found["synchronized"] is None and found["start"] is None:
        return Interval(every)
    if found["synchronized"] is None:
        return Window(every, _time(found["start"]), _time(found["end"]), zone)
    if DAY % every:
        raise ValueError("'synchronized' needs a period that divides 24 hours evenly")
    return Window(every, time(0, 0), time(23, 59), zone)


def _time_of_day(found: re.Match[str], zone: ZoneInfo) -> TimeOfDay:
    at, months = _time(found["at"]), _months(found["months"])
    weeks = frozenset(map(_ordinal, (found["ordinals"] or "").replace("every", "").split(","))) - {0}
    if found["days"] or (weeks and found["weekdays"] == "day"):
        days = frozenset(map(int, found["days"].split(","))) if found["days"] else weeks
        if not 1 <= min(days) <= max(days) <= 31 or min(days) > max(monthrange(LEAP_YEAR, month)[1] for month in months):
            raise ValueError("no month has that day")
        return TimeOfDay(at, zone, months, days=days)
    names = WEEKDAYS if found["weekdays"] == "day" else found["weekdays"].split(",")
    return TimeOfDay(at, zone, months, weekdays=_numbers(names, WEEKDAYS), weeks=weeks or EVERY_WEEK)


def _months(text: str | None) -> frozenset[int]:
    if text is None or text == "month":
        return frozenset(range(1, 13))
    if text.endswith("quarter"):
        places = text.removesuffix("month of quarter").removesuffix("quarter").strip() or "first"
        return frozenset(3 * quarter + _ordinal(place) for quarter in range(4) for place in places.split(","))
    return frozenset(month + 1 for month in _numbers(text.split(","), MONTHS))


def _numbers(names: Sequence[str], of: Sequence[str]) -> frozenset[int]:
    return frozenset(number for number, full in enumerate(of) for name in names if full[:3] == name[:3])


def _ordinal(text: str) -> int:
    """From one; zero for no text."""
    return (ORDINALS.index(text) if text in ORDINALS else SHORT_ORDINALS.index(text)) + 1 if text else 0


def _time(text: str) -> time:
    hour, _, minute = text.partition(":")
    return time(int(hour), int(minute))


def _one_of(names: Sequence[str], *, short: bool = True) -> str:
    return "(?:" + "|".join(f"{name[:3]}(?:{name[3:]})?" if short else name for name in names) + ")"


def _list_of(item: str) -> str:
    return f"{item}(?:,{item})*"


_CLOCK = "(?:[01]?[0-9]|2[0-3]):[0-5][0-9]"
_NTH = _list_of(_one_of(ORDINALS + SHORT_ORDINALS, short=False))
_PLACE = _list_of(_one_of(ORDINALS[:3] + SHORT_ORDINALS[:3], short=False))
_INTERVAL = re.compile(
    "every (?P<count>[0-9]{1,5}) (?P<period>hours|minutes|mins)"
    f"(?: (?P<synchronized>synchronized)| from (?P<start>{_CLOCK}) to (?P<end>{_CLOCK}))?"
)
_WHICH_MONTHS = f"month|(?:{_PLACE} month of )?quarter|{_list_of(_one_of(MONTHS))}"
_TIME_OF_DAY = re.compile(
    f"(?:(?P<ordinals>every|{_NTH}) (?P<weekdays>day|{_list_of(_one_of(WEEKDAYS))})|(?P<days>{_list_of('[0-9]{1,2}')})(?= of ))"
    f"(?: of (?P<months>{_WHICH_MONTHS}))? (?P<at>{_CLOCK})"
)
