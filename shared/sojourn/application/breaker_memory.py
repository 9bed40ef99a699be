"""What one process knows of circuit breakers: the shared records as it read them, and its own calls."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import TypeVar

from sojourn.application.records import Stored
from sojourn.domain.breaker import Breaker, BreakerPolicy, Calls

MAX_AGE = timedelta(seconds=5)
"""Another process's opening or closing is noticed within this time."""
MAX_CHANNELS = 1_000
"""Of which a process remembers calls and records, those of authors' hosts among them."""

V = TypeVar("V")


class BreakerMemory:
    """Safe for threads; bounded, and the least lately used is forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: OrderedDict[str, tuple[datetime, Stored[Breaker] | None]] = OrderedDict()
        self._calls: OrderedDict[str, Calls] = OrderedDict()

    def record(self, channel: str, *, now: datetime) -> tuple[datetime, Stored[Breaker] | None] | None:
        """The record as it was read, and when; None: not lately."""
        with self._lock:
            found = self._records.get(channel)
        return found if found is not None and now - found[0] <= MAX_AGE else None

    def keep(self, channel: str, stored: Stored[Breaker] | None, *, now: datetime) -> None:
        """It was read just now."""
        with self._lock:
            _put(self._records, channel, (now, stored))

    def forget(self, channel: str) -> None:
        """It has changed: read it again."""
        with self._lock:
            self._records.pop(channel, None)

    def count(self, channel: str, policy: BreakerPolicy, *, failed: bool, now: datetime) -> Calls:
        """The calls, this one among them."""
        with self._lock:
            calls = self._calls.get(channel, Calls()).counted(policy, failed=failed, now=now)
            _put(self._calls, channel, calls)
            return calls


def _put(kept: OrderedDict[str, V], key: str, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > MAX_CHANNELS:
        kept.popitem(last=False)
