"""`DeadLetters` in memory: whoever plays Pub/Sub puts letters in."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from sojourn.application.ports import DeadLetter


class MemoryDeadLetters:
    """`DeadLetters` in a dictionary: what is not acknowledged comes again with the next pull."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._letters: dict[str, DeadLetter] = {}

    def put(self, letter: DeadLetter) -> None:
        """Forward a letter, as Pub/Sub does."""
        with self._lock:
            self._letters[letter.id] = letter

    def pull(self, limit: int) -> list[DeadLetter]:
        with self._lock:
            return list(self._letters.values())[:limit]

    def acknowledge(self, letters: Sequence[DeadLetter]) -> None:
        with self._lock:
            for letter in letters:
                self._letters.pop(letter.id, None)
