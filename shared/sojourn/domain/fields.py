"""The pieces that definitions are made of: closed, frozen models and the types of their fields."""

from __future__ import annotations

from datetime import time
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

from sojourn.domain.event import EventName
from sojourn.domain.expression import Condition

MAX_BRANCHES = 20

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
NodeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+\S*$", max_length=2_000)]


def _clock(value: object) -> object:
    """YAML 1.1 reads an unquoted 22:00 as the number 1320, minutes in base 60."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    return value


LocalTime = Annotated[time, BeforeValidator(_clock)]


class Frozen(BaseModel):
    """A closed, immutable part of a definition."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EventMatch(Frozen):
    """An event by name, and optionally a condition on it."""

    event: EventName
    filter: Condition | None = None
