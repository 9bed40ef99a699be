"""The catalog: journey heads, cached for a few seconds, and their versions, which never change, for the life of the process."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sojourn.application.ports import Clock, Store
from sojourn.domain.definition import Definition
from sojourn.domain.journey import Journey, JourneyStatus, JourneyVersion, version_id
from sojourn.domain.loading import load_stored

MAX_HEAD_AGE = timedelta(seconds=5)
"""A pause takes hold within this time (design, section 5)."""
MAX_DEFINITIONS = 1_000


@dataclass(frozen=True, slots=True)
class Active:
    """A journey that is ONGOING or PAUSED, and its published definition."""

    head: Journey
    definition: Definition


class Catalog:
    """Read-through cache over the store. Safe for threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._lock = threading.RLock()
        self._definitions: OrderedDict[str, Definition] = OrderedDict()
        self._heads: dict[str, tuple[datetime, Journey | None]] = {}
        self._active: tuple[datetime, dict[str, list[Active]]] | None = None

    def active(self, bot_id: str) -> list[Active]:
        """The bot's journeys that log lines can matter to."""
        with self._lock:
            if self._active is None or self._stale(self._active[0]):
                self._active = (self._clock.now(), self._load_active())
            return self._active[1].get(bot_id, [])

    def head(self, journey_id: str, *, fresh: bool = False, at_least: int | None = None) -> Journey | None:
        """The head of a journey, at most `MAX_HEAD_AGE` old, and of revision `at_least`; `fresh` reads it now."""
        with self._lock:
            cached = self._heads.get(journey_id)
            if fresh or cached is None or self._stale(cached[0]) or _older(cached[1], at_least):
                stored = self._store.get_many(Journey, [journey_id])[0]
                cached = self._heads[journey_id] = (self._clock.now(), stored.value if stored else None)
            return cached[1]

    def definition(self, journey_id: str, version: int) -> Definition | None:
        """A published version; None where there is none."""
        key = version_id(journey_id, version)
        with self._lock:
            found = self._definitions.get(key)
            if found is None:
                stored = self._store.get_many(JourneyVersion, [key])[0]
                if stored is None:
                    return None
                found = self._definitions[key] = load_stored(stored.value.definition)
            self._definitions.move_to_end(key)
            while len(self._definitions) > MAX_DEFINITIONS:
                self._definitions.popitem(last=False)
            return found

    def _load_active(self) -> dict[str, list[Active]]:
        active: dict[str, list[Active]] = defaultdict(list)
        for head in self._store.journeys((JourneyStatus.ONGOING, JourneyStatus.PAUSED)):
            definition = self.definition(head.id, head.version) if head.version is not None else None
            if definition is not None:
                active[head.bot_id].append(Active(head, definition))
        return dict(active)

    def _stale(self, read_at: datetime) -> bool:
        return self._clock.now() - read_at > MAX_HEAD_AGE


def _older(head: Journey | None, rev: int | None) -> bool:
    return rev is not None and (head is None or head.rev < rev)
