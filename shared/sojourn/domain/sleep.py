"""The sleep window: hours in which nobody is spoken to, in the member's zone where the journey asks for it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sojourn.domain.journey_settings import Settings
from sojourn.domain.member import Member
from sojourn.domain.moment import end_of_sleep, zone


def local_zone(settings: Settings, member: Member | None) -> ZoneInfo:
    """The zone of local times: the member's, where the journey asks for it and it is known; else the journey's."""
    name = member.timezone if settings.timezone_of == "member" and member else None
    return (zone(name) if name else None) or settings.zone


def sleeps_until(settings: Settings, member: Member | None, now: datetime) -> tuple[datetime, ZoneInfo] | None:
    """The end of the window that `now` lies in, and the zone it was taken in; None outside it, or where there is none."""
    if settings.sleep_start_time is None or settings.sleep_end_time is None:
        return None
    tz = local_zone(settings, member)
    end = end_of_sleep(now, settings.sleep_start_time, settings.sleep_end_time, tz)
    return None if end is None else (end, tz)
