"""From what clocks on the wall show to moments, across daylight saving time.

"Cloud Scheduler runs on wall clock time" (https://cloud.google.com/scheduler/docs/configuring/cron-job-schedules), so a
time that is skipped when clocks go forward does not run that day, and a time that is shown twice runs twice. Google's own
code for the English form, open since App Engine's SDK, does the same. Neither is what Debian's cron does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

WallsAfter: TypeAlias = Callable[[datetime], Iterator[datetime]]
"""The wall times of a schedule, naive and ascending, after a naive one."""

_MINUTE = timedelta(minutes=1)


def moments_of(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """When clocks show it, in UTC: never in a gap, twice in an overlap, else once."""
    both = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(each for each in both if each.astimezone(zone).replace(tzinfo=None) == wall)


def first_moment_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """When clocks show it first; in a gap, the end of the gap."""
    while not (moments := moments_of(wall, zone)):
        wall += _MINUTE
    return moments[0]


def next_moment(walls_after: WallsAfter, *, moment: datetime, zone: ZoneInfo) -> datetime:
    """The first moment after `moment` at which clocks show one of the wall times. Raises ValueError if there is none."""
    local = moment.astimezone(zone)
    found: datetime | None = None
    for wall in walls_after(local.replace(tzinfo=None, fold=0) - _shown_again(local)):
        moments = moments_of(wall, zone)
        found = min((each for each in (*moments, found or moment) if each > moment), default=None)
        # Within an overlap a later wall time may come earlier, so the search goes on to the end of it.
        if found and len(moments) < 2:
            break
    if found is None:
        raise ValueError("the schedule never comes")
    return found


def _shown_again(local: datetime) -> timedelta:
    """How far clocks are about to go back over times they show now; zero outside the first pass of an overlap."""
    first, second = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    assert first is not None and second is not None
    return max(first - second, timedelta()) if local.fold == 0 else timedelta()
