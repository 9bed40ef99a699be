"""Retry policies: when something that failed is tried again, and how often."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sojourn.domain.fields import Frozen
from sojourn.domain.ids import jitter
from sojourn.domain.moment import Duration, format_duration

MAX_ATTEMPTS = 100
_PARAMETERS = {"exponential": "multiplier", "linear": "increment", "fixed": None}
"""What each kind of growth takes beside the first delay."""


class RetryPolicy(Frozen):
    """Delays that grow by `kind` up to `max_delay`, and `max_attempts` deliveries in all; of a channel, or of a node.

    Not given, `multiplier` (of an exponential one) is 2 and `increment` (of a linear one) the first delay. `jitter` comes on
    top: up to that share of the delay, so that what failed together does not come back together.
    """

    kind: Literal["exponential", "linear", "fixed"] = "exponential"
    max_attempts: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)] = 5
    first_delay: Duration = timedelta(seconds=30)
    max_delay: Duration = timedelta(hours=1)
    multiplier: Annotated[float, Field(ge=1, le=100)] | None = None
    increment: Duration | None = None
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.1

    @model_validator(mode="after")
    def _fits(self) -> RetryPolicy:
        for name in ("multiplier", "increment"):
            if getattr(self, name) is not None and _PARAMETERS[self.kind] != name:
                raise ValueError(f"{name} is for another kind than {self.kind}: leave it out")
        if self.first_delay > self.max_delay:
            first, longest = format_duration(self.first_delay), format_duration(self.max_delay)
            raise ValueError(f"first_delay ({first}) is longer than max_delay ({longest})")
        return self

    def pause(self, seed: str, failures: int, *, asked: timedelta | None = None) -> timedelta:
        """How long to wait after so many failures in a row, at least one; the same for the same `seed`.

        What the other side `asked` for (Retry-After) counts where it is longer, up to `max_delay`.
        """
        seconds = min(self._seconds(failures), self.max_delay.total_seconds())
        if asked is not None:
            seconds = max(seconds, min(asked, self.max_delay).total_seconds())
        return timedelta(seconds=seconds * (1 + self.jitter * jitter(f"{seed}{failures}")))

    def _seconds(self, failures: int) -> float:
        first, steps = self.first_delay.total_seconds(), failures - 1
        match self.kind:
            case "exponential":
                return float(first * (self.multiplier or 2.0) ** min(steps, MAX_ATTEMPTS))
            case "linear":
                return first + (self.increment or self.first_delay).total_seconds() * steps
            case "fixed":
                return first


SYSTEM_RETRY = RetryPolicy(first_delay=timedelta(minutes=1), max_delay=timedelta(hours=1))
"""After failures of our own: its attempts do not count, it never gives up (`sojourn.domain.delivery`)."""
