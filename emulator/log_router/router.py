"""The Log Router: every line becomes a LogEntry, and those the sink's filter matches are published as the sink does."""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from emulator.log_router.entry import LogSource, log_entry
from emulator.log_router.filter import Filter

PUBLISH_MAX_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class RoutedEntry:
    """One message of the sink's topic: the LogEntry as UTF-8 JSON, and its time as the only attribute."""

    data: bytes
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RouteCount:
    """How many lines were entries, blank ones aside, and how many of them the filter let pass."""

    seen: int
    passed: int


class LogRouter:
    """Routes lines of one source by default; safe to share between threads if `publish` is."""

    def __init__(
        self,
        sink_filter: Filter,
        *,
        source: LogSource,
        publish: Callable[[Sequence[RoutedEntry]], None],
        now: Callable[[], datetime],
    ) -> None:
        self._filter = sink_filter
        self._source = source
        self._publish = publish
        self._now = now
        self._sequence = itertools.count()

    def route(self, lines: Iterable[bytes], *, service: str | None = None) -> RouteCount:
        """Publish what passes, in batches of PUBLISH_MAX_ENTRIES; the last one goes when the lines end.

        Lines that keep coming (a pipe, a followed file) are therefore routed one call a line. Whatever `publish`
        raises comes through: earlier batches are out, and nobody remembers the rest.
        """
        source = replace(self._source, service=service) if service else self._source
        seen = passed = 0
        batch: list[RoutedEntry] = []
        for line in filter(bytes.strip, lines):
            seen += 1
            entry = log_entry(line, source, received_at=self._now(), sequence=next(self._sequence))
            if self._filter.matches(entry):
                passed += 1
                batch.append(_routed(entry))
            if len(batch) == PUBLISH_MAX_ENTRIES:
                self._publish(batch)
                batch = []
        if batch:
            self._publish(batch)
        return RouteCount(seen, passed)


def _routed(entry: Mapping[str, object]) -> RoutedEntry:
    """A lone surrogate, legal in JSON and impossible in UTF-8, leaves as a question mark."""
    data = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return RoutedEntry(data, {"logging.googleapis.com/timestamp": str(entry["timestamp"])})
