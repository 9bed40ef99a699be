"""Traces: what tells the log lines, messages and deliveries of one passage from those of all others (W3C Trace Context).

::

    traceparent: 00-<trace, 32 hex digits>-<span, 16>-01        https://www.w3.org/TR/trace-context/

A trace is a member's passage, a span one invocation of a function. A trace without an id of its own gets one that follows from
the event that began it, so that nothing must be stored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sojourn.domain.ids import digest

TRACEPARENT = "traceparent"
"""The name of the message attribute and of the HTTP header."""
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_HEADER = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace: whatever this span brings forth names it as its parent."""

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        """As attribute and header; always sampled, for whether spans are kept is a setting."""
        return f"00-{self.trace_id}-{self.span_id}-01"


def derived_trace_id(*parts: str | int) -> str:
    """The id of the trace that `parts` name."""
    return digest("trace", *parts)[:_TRACE_ID_BYTES].hex()


def derived_span_id(*parts: str | int) -> str:
    """The same for a span."""
    return digest("span", *parts)[:_SPAN_ID_BYTES].hex()


def trace_name(project: str, trace_id: str) -> str:
    """How a log line names a trace, so that Google's log viewer finds it."""
    return f"projects/{project}/traces/{trace_id}"


def read_trace_id(name: object) -> str | None:
    """The id in a LogEntry's `trace`: a name such as `trace_name` gives, or the bare id. None for anything else."""
    found = _TRACE_ID.fullmatch(name.rpartition("/")[2].lower()) if isinstance(name, str) else None
    return found[0] if found else None


def read_traceparent(text: object) -> TraceContext | None:
    """The place that an attribute or a header names; None for anything else, as the standard asks for."""
    found = _HEADER.fullmatch(text) if isinstance(text, str) else None
    return TraceContext(found[1], found[2]) if found else None
