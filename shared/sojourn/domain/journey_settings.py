"""The settings of a journey: how members enter, leave and are spoken to."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, model_validator

from sojourn.domain.expression import Condition
from sojourn.domain.fields import MAX_BRANCHES, EventMatch, Frozen, LocalTime
from sojourn.domain.moment import Duration, ZoneName, format_duration, zone

MAX_FAILURE_WINDOW = timedelta(hours=2)
"""As many periods as one query may name (Firestore: 30 values of IN, https://cloud.google.com/firestore/docs/query-data/queries)."""


class Goal(EventMatch):
    """What the journey is for. Reached at most once a passage, within `window` of the entry, also after the passage is over."""

    window: Duration = timedelta(days=30)
    revenue: Condition | None = None
    exit: bool = False


class FailureLimit(Frozen):
    """When a journey is broken: `share` of what happened within `window` failed, and `members` were enough to tell.

    It looks at members whom a hop moved (those in ERROR failed) and, apart from them, at messages and other effects that were
    over (those FAILED or DEAD failed), by periods of five minutes; SKIPPED is no failure.
    """

    share: Annotated[float, Field(ge=0.01, le=1)] = 0.25
    members: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    window: Duration = timedelta(hours=1)

    @model_validator(mode="after")
    def _bounded(self) -> FailureLimit:
        if self.window > MAX_FAILURE_WINDOW:
            raise ValueError(f"window is at most {format_duration(MAX_FAILURE_WINDOW)}")
        return self

    def exceeded(self, *, failed: int, total: int) -> bool:
        """Whether so many of so many are too many."""
        return total >= self.members and failed >= total * self.share

    @property
    def least(self) -> int:
        """With fewer failures than this it is not exceeded, whatever the total."""
        return max(1, ceil(self.members * self.share))


class Settings(Frozen):
    """How members enter, leave and are spoken to. Times of day are local: the journey's zone, or the member's where known."""

    schedule_start_at: AwareDatetime | None = None
    schedule_end_at: AwareDatetime | None = None
    repeat_journey_times: Annotated[int, Field(ge=1, le=1_000_000)] | None = 1
    while_active: Literal["skip", "allow"] | None = None
    entry_key: Condition | None = None
    message_quota: Annotated[int, Field(ge=1)] | None = None
    sleep_start_time: LocalTime | None = None
    sleep_end_time: LocalTime | None = None
    timezone: ZoneName = "UTC"
    timezone_of: Literal["journey", "member"] = "journey"
    exit_events: Annotated[tuple[EventMatch, ...], Field(max_length=MAX_BRANCHES)] = ()
    goal: Goal | None = None
    pause_on_failures: FailureLimit | None = FailureLimit()

    @model_validator(mode="after")
    def _pairs(self) -> Settings:
        if (self.sleep_start_time is None) != (self.sleep_end_time is None):
            raise ValueError("give both of sleep_start_time and sleep_end_time, or neither")
        if self.sleep_start_time is not None and self.sleep_start_time == self.sleep_end_time:
            raise ValueError("sleep_start_time and sleep_end_time are the same: nobody would ever be spoken to")
        if self.schedule_start_at and self.schedule_end_at and self.schedule_start_at >= self.schedule_end_at:
            raise ValueError("schedule_start_at must be before schedule_end_at")
        return self

    @property
    def skips_while_active(self) -> bool:
        """Without a setting: one passage at a time, except where `entry_key` tells passages apart."""
        return self.while_active == "skip" if self.while_active else self.entry_key is None

    @property
    def counts_entries(self) -> bool:
        """Whether a rule looks at earlier entries; one entry for ever needs no count, its progress is the count."""
        once = self.repeat_journey_times == 1 and self.entry_key is None
        return not once and (self.repeat_journey_times is not None or self.skips_while_active)

    @property
    def entry_rules(self) -> tuple[object, ...]:
        """What decides who may enter again: two versions in which it is equal let the same members in."""
        return self.repeat_journey_times, self.skips_while_active, self.entry_key

    @property
    def zone(self) -> ZoneInfo:
        """The journey's own time zone."""
        found = zone(self.timezone)
        assert found is not None, "ZoneName was validated"
        return found
