"""`Subscription` in memory, on a topic of `MemoryPublisher`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

from sojourn.adapters.memory import MemoryPublisher
from sojourn.application.ports import PulledMessage

PUBLISHED_AT = datetime(2026, 1, 1, tzinfo=UTC)


class MemorySubscription:
    """What is released comes again with the next pull; what is neither released nor acknowledged stays `outstanding`."""

    def __init__(self, publisher: MemoryPublisher, topic: str) -> None:
        self._publisher, self._topic = publisher, topic
        self._lock, self._ids = threading.Lock(), count()
        self._waiting: list[PulledMessage] = []
        self.outstanding: dict[str, PulledMessage] = {}

    def pull(self, limit: int) -> list[PulledMessage]:
        with self._lock:
            for message in self._publisher.take_messages(self._topic):
                name = f"{next(self._ids)}"
                self._waiting.append(PulledMessage(name, message.data, name, PUBLISHED_AT, message.attributes))
            pulled, self._waiting = self._waiting[:limit], self._waiting[limit:]
            self.outstanding |= {message.ack_id: message for message in pulled}
            return pulled

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        with self._lock:
            for ack_id in ack_ids:
                self.outstanding.pop(ack_id, None)

    def release(self, ack_ids: Sequence[str]) -> None:
        with self._lock:
            self._waiting += [self.outstanding.pop(ack_id) for ack_id in ack_ids if ack_id in self.outstanding]
