"""Structured logs: one JSON line on stdout for each request, as Cloud Run's agent reads them.

Every line carries the label `sojourn.engine`, which `infra/journey_sink.filter` shuts out: no journey can trigger itself.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

ENGINE_LABELS: Mapping[str, str] = {"sojourn.engine": "true"}

Fields = dict[str, object]

_lock = threading.Lock()
_listener: Callable[[Fields], None] | None = None


def write_line(severity: str, message: str, **fields: object) -> None:
    """Write one line. gunicorn's threads share stdout, so the line is written whole."""
    line: Fields = {"severity": severity, "message": message, "logging.googleapis.com/labels": ENGINE_LABELS, **fields}
    if _listener is not None:
        _listener(line)
        return
    text = json.dumps(line, default=str)
    with _lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextmanager
def listening(listener: Callable[[Fields], None]) -> Iterator[None]:
    """Give the lines of this process to `listener` instead of stdout, for whoever runs the functions in-process."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before
