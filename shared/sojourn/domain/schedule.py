"""When a journey's own clock strikes, and for whom: unix-cron, read by cronsim, on the wall clock of a time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, model_validator

from sojourn.domain.event import Moment
from sojourn.domain.expression import Condition, compile_expression
from sojourn.domain.fields import Frozen
from sojourn.domain.moment import ZoneName, zone

MAX_CRON_CHARACTERS = 200
AUDIENCE_VARIABLES = frozenset({"member", "journey", "now"})
EARLY = timedelta(seconds=5)
"""How far the clock of who publishes a firing may be behind that of who fires."""
LATE = timedelta(days=1)
"""A firing for one moment that comes later is next year's."""

_TERM = r"(?:\*|(?:\d+|[A-Z]{3})(?:-(?:\d+|[A-Z]{3}))?)(?:/\d+)?"
_CRON = re.compile(rf"{_TERM}(?:,{_TERM})*(?: {_TERM}(?:,{_TERM})*){{4}}", re.ASCII)
_ANY_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def parse_cron(text: str) -> str:
    """Five fields as Cloud Scheduler takes them, in one spelling; ValueError for cronsim's seconds, `L` and `#`."""
    cron = " ".join(text.upper().split())
    if len(cron) > MAX_CRON_CHARACTERS or not _CRON.fullmatch(cron):
        raise ValueError(f"{text!r:.80} is no cron; write minute, hour, day, month and weekday, such as 0 9 * * MON")
    try:
        CronSim(cron, _ANY_MOMENT)
    except CronSimError as error:
        raise ValueError(f"{text!r:.80} is no cron: {str(error).lower()}") from None
    return cron


Cron = Annotated[str, AfterValidator(parse_cron)]
"""When to fire: minute, hour, day of the month, month, weekday."""


def cron_of(moment: datetime, timezone: str) -> str:
    """The cron that strikes at `moment`, and again every year: Cloud Scheduler knows no single time."""
    local = moment.astimezone(zone(timezone))
    return f"{local.minute} {local.hour} {local.day} {local.month} *"


def next_strike(cron: str, timezone: str, *, after: datetime) -> datetime:
    """The first moment after `after` at which `cron` strikes."""
    return next(CronSim(cron, after.astimezone(zone(timezone)))).astimezone(UTC)


def last_strike(cron: str, timezone: str, *, until: datetime) -> datetime:
    """The last moment at `until` or before. A time that clocks show twice counts once, as in Debian's cron."""
    local = (until.replace(microsecond=0) + _SECOND).astimezone(zone(timezone))
    return next(CronSim(cron, local, reverse=True)).astimezone(UTC)


class Audience(Frozen):
    """All members of the bot, or those of whom `filter` is true: there is no event yet that it could look at."""

    filter: Condition | None = None

    @model_validator(mode="after")
    def _about_members(self) -> Audience:
        used = compile_expression(self.filter).variables if self.filter else frozenset()
        if unknown := sorted(used - AUDIENCE_VARIABLES):
            raise ValueError(f"an audience knows no {unknown[0]!r}; there are {', '.join(sorted(AUDIENCE_VARIABLES))}")
        return self


class ScheduleTriggerSettings(Frozen):
    """Exactly one of `cron` and `at`; the clock that `cron` is read on hangs in `timezone`."""

    cron: Cron | None = None
    at: Moment | None = None
    timezone: ZoneName = "UTC"
    audience: Audience = Audience()

    @model_validator(mode="after")
    def _one(self) -> ScheduleTriggerSettings:
        if (self.cron is None) == (self.at is None):
            raise ValueError("give exactly one of cron, at")
        if self.at is not None and (self.at.second or self.at.microsecond):
            raise ValueError("at must be a whole minute")
        return self

    @property
    def line(self) -> str:
        """The cron line that fires it; for a single moment it would fire again a year later."""
        if self.at is not None:
            return cron_of(self.at, self.timezone)
        assert self.cron is not None
        return self.cron

    def fired_at(self, published_at: datetime) -> datetime | None:
        """The firing that a message published then stands for: the moment that was due. None: that of another year.

        Cloud Scheduler publishes at least once and says nothing of the moment it meant, so a firing is named by the schedule:
        whatever is published until the next moment is due means the same firing, a run by hand included.
        """
        if self.at is not None:
            return self.at if self.at - EARLY <= published_at < self.at + LATE else None
        return last_strike(self.line, self.timezone, until=published_at + EARLY)
