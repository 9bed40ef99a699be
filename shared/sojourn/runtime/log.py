"""Structured logs: one JSON line on stdout for each request, as Cloud Run's agent reads them.

Every line carries the label `sojourn.engine`, which `infra/journey_sink.filter` shuts out: no journey can trigger itself.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping

ENGINE_LABELS: Mapping[str, str] = {"sojourn.engine": "true"}

_lock = threading.Lock()


def write_line(severity: str, message: str, **fields: object) -> None:
    """Write one line. gunicorn's threads share stdout, so the line is written whole."""
    line = {"severity": severity, "message": message, "logging.googleapis.com/labels": ENGINE_LABELS, **fields}
    text = json.dumps(line, default=str)
    with _lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
