"""Instants as integer nanoseconds since 1970, which is what Cloud Logging keeps and more than a datetime can hold."""

import re
from datetime import UTC, datetime, timedelta

NANOS_PER_SECOND = 10**9
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_nanos(text: str) -> int:
    """Nanoseconds of an RFC 3339 instant; digits after the ninth are cut. Raises ValueError on any other text."""
    if not (found := _RFC3339.fullmatch(text)):
        raise ValueError(f"not an RFC 3339 timestamp: {text!r}")
    day, clock, fraction, zone = found.groups(default="")
    seconds = (datetime.fromisoformat(f"{day}T{clock}{zone.upper()}") - _EPOCH) // timedelta(seconds=1)
    return seconds * NANOS_PER_SECOND + int(fraction[:9].ljust(9, "0"))


def to_nanos(instant: datetime) -> int:
    """Nanoseconds of an aware datetime."""
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def render_nanos(nanos: int) -> str:
    """RFC 3339 in UTC with six digits, nine where they say something. Raises OverflowError outside the years 1 to 9999."""
    seconds, fraction = divmod(nanos, NANOS_PER_SECOND)
    instant = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None)
    return f"{instant.isoformat()}.{f'{fraction:09d}'.removesuffix('000')}Z"
