"""Exact counts of what was published and what was acknowledged: how the local cloud knows that nothing is on its way.

    a function's line arrives: acknowledged[function] + 1 and its own published[topic] + n, in one step

A message is therefore counted as done no earlier than what it led to is counted as under way, so the counts cannot
agree too early. Pub/Sub delivering an acknowledged message once more can make them agree early; it is rare here.
"""

from collections import Counter
from http import HTTPStatus
from threading import Condition
from time import monotonic

from emulator.errors import NotQuiet
from emulator.function_log import FunctionLine
from emulator.functions_table import FunctionsTable


class Traffic:
    """Published messages by topic and acknowledged ones by function; each is to be acknowledged `copies` times."""

    def __init__(self, table: FunctionsTable, *, copies: int = 1) -> None:
        self._topics = {name: function.topic for name, function in table.functions.items()}
        self._copies = copies
        self._published: Counter[str] = Counter()
        self._acknowledged: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self._changed = Condition()
        self._said_at = monotonic()

    def publish(self, topic: str, count: int) -> None:
        """Count messages that were published by somebody else than a function."""
        with self._changed:
            self._published[topic] += count
            self._changed.notify_all()

    def record(self, function: str, line: FunctionLine) -> None:
        """Count what a function says in a line of its log; only 204 acknowledges."""
        with self._changed:
            self._published.update(line.published)
            self.outcomes.update(line.outcomes)
            self._acknowledged[function] += line.messages if line.status == HTTPStatus.NO_CONTENT else 0
            self._said_at = monotonic()
            self._changed.notify_all()

    def wait_quiet(self, timeout_seconds: float) -> None:
        """Return when every function has acknowledged all of its topic. Raises NotQuiet with the table of counts."""
        with self._changed:
            if not self._changed.wait_for(self._is_quiet, timeout_seconds):
                raise NotQuiet(f"not quiet within {timeout_seconds:g} s\n{self._table()}")

    @property
    def is_quiet(self) -> bool:
        """Whether no message is on its way, by the counts."""
        with self._changed:
            return self._is_quiet()

    @property
    def silent_seconds(self) -> float:
        """How long no function has said anything."""
        with self._changed:
            return monotonic() - self._said_at

    def balance(self) -> None:
        """Take everything for acknowledged. A function that was killed has not said all it did, so the counts are off."""
        with self._changed:
            self._acknowledged = Counter({function: self._expected(function) for function in self._topics})
            self._changed.notify_all()

    def table(self) -> str:
        """One line per function: what was to come and what was acknowledged."""
        with self._changed:
            return self._table()

    def _expected(self, function: str) -> int:
        return self._published[self._topics[function]] * self._copies

    def _is_quiet(self) -> bool:
        return all(self._acknowledged[function] >= self._expected(function) for function in self._topics)

    def _table(self) -> str:
        rows = [("function", "topic", "expected", "acknowledged")]
        for function, topic in self._topics.items():
            rows.append((function, topic, str(self._expected(function)), str(self._acknowledged[function])))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
