"""The unix-cron form: five fields, as Cloud Scheduler takes them.

Days of the month and of the week are joined by OR unless one of them starts with an asterisk. cronsim knows more than
Cloud Scheduler does (seconds, `L`, `#`), which is refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from emulator.scheduler.wall_clock import next_moment

_ANY_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall time has no zone
_VALUE = "(?:[0-9]{1,2}|[A-Z]{3})"
_TERM = rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/[0-9]{{1,2}})?"
_FIELDS = re.compile(rf"{_TERM}(?:,{_TERM})*(?: {_TERM}(?:,{_TERM})*){{4}}")


@dataclass(frozen=True, slots=True)
class Cron:
    """A checked expression and where its clock hangs."""

    expression: str
    zone: ZoneInfo

    def next_after(self, moment: datetime) -> datetime:
        """The next start, UTC. Raises ValueError if none comes in fifty years."""
        return next_moment(lambda wall: CronSim(self.expression, wall), moment=moment, zone=self.zone)


def parse_cron(text: str, *, zone: ZoneInfo) -> Cron:
    """Names of days and months may be in either case. Raises ValueError."""
    expression = " ".join(text.upper().split())
    if not _FIELDS.fullmatch(expression):
        raise ValueError(f"neither five fields of unix-cron nor a phrase such as 'every 5 minutes': {text!r}")
    try:
        CronSim(expression, _ANY_DAY)
    except CronSimError as error:
        raise ValueError(f"{error}: {text!r}") from error
    return Cron(expression, zone)
