"""What a use case answers for each item it was given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """`code` is for people and counters; `retry` means a service did not answer: give me this item again later.

    `notes` counts what happened beside (`entered`, `repeat_limit`, `stuck`). A business outcome never asks for a retry: that
    would slow the whole subscription down (gcp-facts: push backoff is global).
    """

    code: str
    retry: bool = False
    notes: tuple[str, ...] = ()


UNAVAILABLE = Outcome("unavailable", retry=True)
