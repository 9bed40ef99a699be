"""What a hop reacts to: a closed union."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from pydantic import JsonValue

from sojourn.domain.event import Event


@dataclass(frozen=True, slots=True)
class Resume:
    """The member is READY or RUNNING: walk on from where they are."""


@dataclass(frozen=True, slots=True)
class Due:
    """The wait is over. `at` is when it was due, not when somebody noticed."""

    at: datetime


@dataclass(frozen=True, slots=True)
class EventReceived:
    """Something happened to the member that this progress may listen for."""

    event: Event


@dataclass(frozen=True, slots=True)
class EffectFinished:
    """The effect that the node awaits is over, since `at`; `outcome` is its status, `failure` the kind of what went wrong."""

    effect_id: str
    outcome: str
    at: datetime
    reason: str | None = None
    result: JsonValue = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Leave now: an operator said so, or the journey has ended."""

    reason: str


Stimulus: TypeAlias = Resume | Due | EventReceived | EffectFinished | Cancel
