"""Moments and durations: durations as people write them, local times that are right on the days the clocks change."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, PlainSerializer

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MAX_DURATION = timedelta(days=3660)
"""No wait is longer: ten years."""
MAX_DURATION_CHARACTERS = 100

_UNIT_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_WRITTEN = re.compile(r"(\d+)\s*([wdhms])", re.ASCII)
_ISO = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.ASCII)


def parse_duration(text: object) -> timedelta:
    """A duration such as `90s`, `1d 2h30m`, `-3d` or ISO 8601 `P1DT2H`. ValueError names what would be right."""
    if isinstance(text, timedelta):
        return _bounded(text.total_seconds())
    seconds = _seconds(text.strip()) if isinstance(text, str) and len(text) <= MAX_DURATION_CHARACTERS else None
    if seconds is None:
        raise ValueError(f"{text!r:.80} is no duration; write it with units, such as 30m, 1d or 1d 12h")
    return _bounded(seconds)


def _seconds(text: str) -> int | None:
    body = text.removeprefix("-")
    seconds = _iso_seconds(body) if body.startswith("P") else _written_seconds(body)
    return -seconds if seconds is not None and body != text else seconds


def _bounded(seconds: float) -> timedelta:
    if abs(seconds) > MAX_DURATION.total_seconds():
        raise ValueError(f"a duration is at most {MAX_DURATION.days} days")
    return timedelta(seconds=seconds)


def _written_seconds(text: str) -> int | None:
    parts = _WRITTEN.findall(text)
    if not parts or _WRITTEN.sub("", text).strip():
        return None
    return sum(int(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def _iso_seconds(text: str) -> int | None:
    match = _ISO.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    return sum(int(number or "0") * size for number, size in zip(match.groups(), _UNIT_SECONDS.values(), strict=True))


def format_duration(duration: timedelta) -> str:
    """The duration as an author would write it, `1d 2h`; what `parse_duration` reads back."""
    seconds = int(abs(duration.total_seconds()))
    parts: list[str] = []
    for unit, size in _UNIT_SECONDS.items():
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if duration < timedelta(0) else "") + (" ".join(parts) or "0s")


def _positive(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError(f"{format_duration(duration)!r} must be longer than zero")
    return duration


def parse_zone(name: object) -> str:
    """The IANA name if there is such a zone. ValueError otherwise."""
    if not isinstance(name, str) or zone(name) is None:
        raise ValueError(f"{name!r:.80} is no IANA time zone, such as Asia/Taipei or Europe/Berlin")
    return name


@lru_cache(maxsize=1_024)
def zone(name: str) -> ZoneInfo | None:
    """The zone of that name, or None where the tz database has none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a path, a folder of zones, a NUL byte
        return None


Offset = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
"""A duration that may be negative, written `-3d`."""

Duration = Annotated[Offset, BeforeValidator(lambda value: _positive(parse_duration(value)))]
"""A duration longer than zero, written `1d 12h`."""

ZoneName = Annotated[str, BeforeValidator(parse_zone)]
"""The name of an IANA time zone."""


def at_local(day: date, clock: time, tz: ZoneInfo) -> datetime:
    """The UTC moment at which the wall clock in `tz` shows `clock` on `day`.

    A time that the clocks skip becomes the first moment after the gap; one that they show twice is the first of the two
    (PEP 495: `fold=0`).
    """
    local = datetime.combine(day, clock, tz)
    moment = local.astimezone(UTC)
    if moment.astimezone(tz).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    return _first_moment_after_gap(local, tz)


def _first_moment_after_gap(local: datetime, tz: ZoneInfo) -> datetime:
    """Inside a gap the offset before it (fold 0) is the smaller one; the clocks jumped where the two offsets change places."""
    before, after = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    assert before is not None and after is not None
    low = local.replace(tzinfo=UTC) - max(before, after)
    high = local.replace(tzinfo=UTC) - min(before, after)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle <= low:
            break
        low, high = (low, middle) if middle.astimezone(tz).utcoffset() == after else (middle, high)
    return high


def next_local(now: datetime, clock: time, tz: ZoneInfo, weekdays: Collection[Weekday] = ()) -> datetime:
    """The first moment after `now` at which the wall clock in `tz` shows `clock`, on one of `weekdays` (none given: any)."""
    today = now.astimezone(tz).date()
    for days in range(9):
        day = today + timedelta(days=days)
        moment = at_local(day, clock, tz)
        if moment > now and (not weekdays or WEEKDAYS[day.weekday()] in weekdays):
            return moment
    raise AssertionError("a week has every weekday")


def end_of_sleep(now: datetime, start: time, end: time, tz: ZoneInfo) -> datetime | None:
    """The end of the sleep window [start, end) that `now` lies in, or None outside it. The window may pass midnight."""
    today = now.astimezone(tz).date()
    for day in (today - timedelta(days=1), today):
        begins = at_local(day, start, tz)
        ends = at_local(day if end > start else day + timedelta(days=1), end, tz)
        if begins <= now < ends:
            return ends
    return None


def read_moment(value: object, clock: time, offset: timedelta, tz: ZoneInfo) -> datetime | None:
    """The moment an author's date stands for, plus `offset`: RFC 3339, or a bare date at `clock` in `tz`. None: no date.

    Without a zone of its own the date is local, and so is the offset: three days before 09:00 is 09:00, whatever the clocks do.
    """
    try:
        parsed = _parse_date(value) if isinstance(value, str) else value
        if not isinstance(parsed, date):
            return None
        moment = parsed if isinstance(parsed, datetime) else datetime.combine(parsed, clock)
        moment += offset
        moment = moment.astimezone(UTC) if moment.tzinfo else at_local(moment.date(), moment.time(), tz)
        return moment if MINYEAR < moment.year < MAXYEAR else None  # the first and the last day are not there in every zone
    except (ValueError, OverflowError):
        return None


PERIOD_SECONDS = 300
"""What is counted over a while is kept under the period that it fell in: equal texts, so that no index grows at one end."""


def period_of(moment: datetime) -> str:
    """The period that `moment` lies in, as the UTC time that it begins at."""
    return _period(int(moment.timestamp() // PERIOD_SECONDS))


def periods(since: datetime, until: datetime) -> tuple[str, ...]:
    """The periods from the one that `since` lies in to the one that `until` lies in, the oldest first."""
    first, last = (int(moment.timestamp() // PERIOD_SECONDS) for moment in (since, until))
    return tuple(_period(number) for number in range(first, last + 1))


@lru_cache(maxsize=1_024)
def _period(number: int) -> str:
    return f"{datetime.fromtimestamp(number * PERIOD_SECONDS, UTC):%Y-%m-%dT%H:%M}"


def _parse_date(text: str) -> date:
    return date.fromisoformat(text) if len(text) == len("2026-03-01") else datetime.fromisoformat(text)
