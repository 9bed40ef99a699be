"""What a use case answers for each item it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Measure = Literal["queue_seconds", "reaction_seconds", "sweep_lag_seconds"]
"""What takes time and is watched; `runtime/summary_line.json` says what each is."""


@dataclass(frozen=True, slots=True)
class About:
    """Whom an item was about, without saying who: the trace, and the journey where it is one passage."""

    trace_id: str | None
    journey_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`code` is for people and counters; `retry` means a service did not answer: give me this item again later.

    `notes` counts what happened beside (`entered`, `repeat_limit`, `stuck`). A business outcome never asks for a retry: that
    would slow the whole subscription down (gcp-facts: push backoff is global). `about` and `measures` are for the log alone.
    """

    code: str
    retry: bool = False
    notes: tuple[str, ...] = ()
    about: About | None = field(default=None, compare=False)
    measures: Mapping[Measure, float] = field(default_factory=dict, compare=False)


UNAVAILABLE = Outcome("unavailable", retry=True)
