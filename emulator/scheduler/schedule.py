"""When a job runs: a schedule in either form that Cloud Scheduler takes, and a time zone of the tz database."""

from __future__ import annotations

from typing import TypeAlias
from zoneinfo import ZoneInfo

from emulator.scheduler.cron import Cron, parse_cron
from emulator.scheduler.english import English, parse_english

Schedule: TypeAlias = Cron | English
"""Each has `next_after(moment)`: the first start after that moment, UTC."""

DEFAULT_TIME_ZONE = "UTC"


def parse_schedule(text: str, *, time_zone: str = "") -> Schedule:
    """A schedule; no zone is UTC. Raises ValueError, and nothing else, for any text that is not one."""
    zone = _zone(time_zone or DEFAULT_TIME_ZONE)
    return parse_english(text, zone=zone) or parse_cron(text, zone=zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo("UTC" if name.lower() == "utc" else name)
    except (KeyError, ValueError, OSError) as error:  # a folder of zones, such as "America", is an OSError
        raise ValueError(f"no time zone of the tz database: {name!r}") from error
