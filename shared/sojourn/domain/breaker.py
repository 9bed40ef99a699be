"""The circuit breaker of a channel: when it is given a rest, who tries it first, when it is trusted again. Pure.

::

    CLOSED ──too many of the last calls failed──▶ OPEN ──its rest is over, one caller wins──▶ PROBING ──it worked──▶ CLOSED
                                                   ▲                                            │  ▲
                                                   └──────── it failed: a longer rest ──────────┘  └─ it died: another one

Each process counts its own calls (`Calls`); what they share is a `Breaker`, which is written only when the state changes.
Source: M. Nygard, Release It!, chapter 5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from sojourn.domain.fields import Frozen
from sojourn.domain.ids import derived_id, jitter
from sojourn.domain.moment import Duration, format_duration

BUCKETS = 12
"""Steps in which the window slides."""
MAX_WINDOW, LONGEST_REST = timedelta(hours=1), timedelta(days=1)
PROBE_SECONDS = 60
"""How long a probe may go unheard of: the request timeout of a function. Then it is taken for dead."""
MIN_SPREAD = timedelta(minutes=2)
"""What was put off comes back over at least this time; the sweep works by the minute."""
RETENTION = timedelta(days=7)
"""Records of channels that nobody calls any more, such as authors' hosts, expire."""


class BreakerPolicy(Frozen):
    """Opens when at least `minimum_calls` of one process ended within `window` and `failure_rate` of them failed.

    It rests for `rest`, after each probe that failed twice as long, up to `max_rest`.
    """

    failure_rate: Annotated[float, Field(ge=0.01, le=1)] = 0.5
    minimum_calls: Annotated[int, Field(ge=1, le=100_000)] = 10
    window: Duration = timedelta(minutes=1)
    rest: Duration = timedelta(seconds=30)
    max_rest: Duration = timedelta(minutes=15)

    @model_validator(mode="after")
    def _fits(self) -> BreakerPolicy:
        for name, longest in (("window", MAX_WINDOW), ("max_rest", LONGEST_REST)):
            if getattr(self, name) > longest:
                raise ValueError(f"{name} is at most {format_duration(longest)}")
        if self.rest > self.max_rest:
            raise ValueError(f"rest ({format_duration(self.rest)}) is longer than max_rest ({format_duration(self.max_rest)})")
        return self


class BreakerState(StrEnum):
    """What the record says; an OPEN one whose rest is over still says so until a caller tries."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    PROBING = "PROBING"


@dataclass(frozen=True, slots=True)
class Breaker:
    """`breakers/{id}`, id = hash of the channel. Without a record the channel is trusted.

    `until`: the end of the rest, or when a probe that nobody heard of is taken for dead. `rests` counts those in a row.
    """

    id: str
    channel: str
    state: BreakerState
    since: datetime
    reason: str
    updated_at: datetime
    expire_at: datetime
    until: datetime | None = None
    rests: int = 0
    token: str = ""
    rev: int = 1


Admission: TypeAlias = Literal["call", "probe", "rest"]
"""What a caller may do: go on; go on as the one that tries, if nobody is faster; nothing before `until`."""


def breaker_id(channel: str) -> str:
    """The id of a channel's record."""
    return derived_id("breaker", channel)


def admission(breaker: Breaker | None, now: datetime) -> Admission:
    """Whether a call may be made."""
    if breaker is None or breaker.state is BreakerState.CLOSED or breaker.until is None:
        return "call"
    return "rest" if now < breaker.until else "probe"


def opened(before: Breaker | None, channel: str, policy: BreakerPolicy, reason: str, *, now: datetime) -> Breaker:
    """At rest: after another rest twice as long as that, after trust for the shortest time."""
    rests = before.rests + 1 if before is not None else 1
    until = now + min(policy.rest * (1 << min(rests - 1, 20)), policy.max_rest)
    return _record(channel, BreakerState.OPEN, reason, now=now, until=until, rests=rests)


def probing(before: Breaker, *, now: datetime) -> Breaker:
    """Somebody tries: the others wait for what they hear."""
    until = now + timedelta(seconds=PROBE_SECONDS)
    return replace(before, state=BreakerState.PROBING, since=now, updated_at=now, until=until, expire_at=now + RETENTION)


def closed(before: Breaker, reason: str, *, now: datetime) -> Breaker:
    """Trusted again. Calls before `since` do not count any more, in no process."""
    return _record(before.channel, BreakerState.CLOSED, reason, now=now)


def come_back(breaker: Breaker, seed: str) -> datetime | None:
    """When what is put off by a rest comes back: after it, spread by `seed` over as long again. None: there is no rest."""
    if breaker.until is None:
        return None
    return breaker.until + max(breaker.until - breaker.since, MIN_SPREAD) * jitter(seed)


def _record(
    channel: str, state: BreakerState, reason: str, *, now: datetime, until: datetime | None = None, rests: int = 0
) -> Breaker:
    expire_at = (until or now) + RETENTION
    return Breaker(breaker_id(channel), channel, state, now, reason, now, expire_at, until=until, rests=rests)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The calls of one step of the window, by its number since 1970."""

    number: int
    calls: int
    failures: int


@dataclass(frozen=True, slots=True)
class Calls:
    """The last calls of one process to one channel, in at most `BUCKETS` steps."""

    buckets: tuple[Bucket, ...] = ()

    def counted(self, policy: BreakerPolicy, *, failed: bool, now: datetime) -> Calls:
        """One more. A clock that was set back counts into the newest step."""
        number = _step(policy, now)
        buckets = self.buckets
        if not buckets or buckets[-1].number < number:
            buckets = (*buckets, Bucket(number, 0, 0))
        *earlier, last = buckets
        kept = [bucket for bucket in earlier if bucket.number > last.number - BUCKETS]
        return Calls((*kept, Bucket(last.number, last.calls + 1, last.failures + failed)))

    def fault(self, policy: BreakerPolicy, *, since: datetime | None, now: datetime) -> str | None:
        """Why the channel should rest; None: it is good enough. Steps that began before `since` do not count."""
        first = _step(policy, now) - BUCKETS + 1
        if since is not None:
            first = max(first, _step(policy, since) + 1)
        counted = [bucket for bucket in self.buckets if bucket.number >= first]
        calls, failures = sum(bucket.calls for bucket in counted), sum(bucket.failures for bucket in counted)
        if calls < policy.minimum_calls or failures < calls * policy.failure_rate:
            return None
        return f"{failures:,} of {calls:,} calls failed within {format_duration(policy.window)}"


def _step(policy: BreakerPolicy, moment: datetime) -> int:
    return int(moment.timestamp() * BUCKETS // policy.window.total_seconds())
