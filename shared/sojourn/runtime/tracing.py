"""Tracing: in which project traces are, and who shows their spans. Nobody, unless `SOJOURN_TRACING` says so.

Without spans a passage is still one trace: its id is on every log line, message and delivery.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sojourn.application.ports import Spans

if TYPE_CHECKING:
    from sojourn.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Tracing:
    """What an invocation needs to name its trace, and to be shown in it."""

    project: str
    spans: Spans | None = None


def compose_tracing(settings: Settings) -> Tracing:
    """As the settings say. OpenTelemetry and its exporter are loaded only where they are used."""
    if settings.tracing == "off":
        return Tracing(settings.project)
    from sojourn.adapters.cloud_trace import cloud_trace_spans

    return Tracing(settings.project, cloud_trace_spans(settings.project))
