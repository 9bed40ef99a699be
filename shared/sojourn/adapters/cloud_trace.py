"""`Spans` through OpenTelemetry, and its exporter for Cloud Trace.

The ids are the engine's own, for log lines, messages and deliveries have named them before there is a span. Spans go out in a
thread, in batches: no invocation waits for Cloud Trace, and where it does not answer, spans are dropped and nothing else is.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from google.cloud.trace_v2 import TraceServiceClient
from opentelemetry.context import Context
from opentelemetry.exporter.cloud_trace import CloudTraceSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from sojourn.application.ports import Span
from sojourn.domain.trace import TraceContext

SERVICE = "sojourn"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OpenTelemetrySpans:
    """Make it in the process that uses it: its thread survives no fork."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._lock, self._ids = threading.Lock(), _GivenIds()
        self._provider = TracerProvider(id_generator=self._ids, resource=Resource({"service.name": SERVICE}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE)

    def close(self) -> None:
        """Export what waits. At the end of a process OpenTelemetry does that by itself."""
        self._provider.shutdown()

    def record(self, span: Span) -> None:
        is_child = span.parent is not None and span.parent.trace_id == span.own.trace_id
        cause = _context(span.parent) if span.parent is not None else INVALID_SPAN_CONTEXT
        with self._lock:
            self._ids.next = _context(span.own)
            recorded = self._tracer.start_span(
                span.name,
                set_span_in_context(NonRecordingSpan(cause), Context()) if is_child else Context(),
                SpanKind.CONSUMER,
                span.attributes,
                [Link(cause)] if cause.is_valid and not is_child else [],
                _nanoseconds(span.began_at),
            )
        if span.failed:
            recorded.set_status(StatusCode.ERROR)
        recorded.end(_nanoseconds(span.ended_at))


class _GivenIds(IdGenerator):
    """Generates nothing: says what it was told."""

    next: SpanContext = INVALID_SPAN_CONTEXT

    def generate_span_id(self) -> int:
        return self.next.span_id

    def generate_trace_id(self) -> int:
        return self.next.trace_id


def _context(place: TraceContext) -> SpanContext:
    return SpanContext(
        int(place.trace_id, 16), int(place.span_id, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def cloud_trace_spans(project: str, *, client: TraceServiceClient | None = None) -> OpenTelemetrySpans:
    """Spans in the Cloud Trace of `project`. Without a `client`, one with the credentials of this process."""
    return OpenTelemetrySpans(CloudTraceSpanExporter(project, client))
