"""What the machine gives: the time, or for the local stack the one that a file says, and tokens."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from sojourn.domain.errors import SettingsInvalid

_generator = Random()
"""Of this process: nobody else seeds it, and a forked one has it seeded again."""
os.register_at_fork(after_in_child=_generator.seed)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FileClock:
    """The moment that stands in a file, looked at in every call: replacing the file moves the time of every process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[tuple[int, int], datetime] | None = None

    def now(self) -> datetime:
        """Raises SettingsInvalid. Replace the file in one step (`os.replace`), or a reader may find half of it."""
        read = self._read
        try:
            found = self._path.stat()
            file = (found.st_ino, found.st_mtime_ns)
            if read is None or read[0] != file:
                read = self._read = (file, self._moment())
        except OSError as error:
            raise SettingsInvalid(f"clock file {self._path}: {error.strerror}") from error
        return read[1]

    def _moment(self) -> datetime:
        try:
            text = self._path.read_text(encoding="utf-8").strip()
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise SettingsInvalid(f"clock file {self._path}: not a moment in ISO 8601 such as 2026-11-20T12:00:00Z") from error
        if moment.tzinfo is None:
            raise SettingsInvalid(f"clock file {self._path}: {text} has no time zone; write {text}Z for UTC")
        return moment.astimezone(UTC)


class RandomTokens:
    """Tokens of 64 random bits. They are no secrets: they tell own writes from others'.

    To ask the system for every token gives the interpreter's lock away, which a busy process gets back late.
    """

    def token(self) -> str:
        return _generator.randbytes(8).hex()
