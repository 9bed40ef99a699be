"""One invocation of a function, from the request to its line in the log and its span in a trace.

::

    traceparent of the message ─▶ parent ─┐
    outcome.about ─▶ trace of the passage ├─▶ line: trace, span      ─▶ span, where tracing is on
    a token ─▶ span of this invocation ───┘        └─▶ traceparent of every message that it publishes

The passage decides which trace it is: a signal comes from an event of another trace, which is then what the span links to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import perf_counter

from sojourn.application.outcome import About, Measure, Outcome
from sojourn.application.ports import Outgoing, Publisher, Span
from sojourn.application.workshop import Workshop
from sojourn.domain.trace import TraceContext, derived_span_id, trace_name
from sojourn.runtime.log import Line, write_line
from sojourn.runtime.tracing import Tracing


@dataclass(slots=True)
class Invocation:
    """What is known of it so far. `parent`: the place in a trace that the request named."""

    function: str
    parent: TraceContext | None = None
    about: About | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)
    measures: dict[Measure, float] = field(default_factory=dict)
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _began: float = field(default_factory=perf_counter, init=False)
    _tracing: Tracing | None = field(default=None, init=False)
    _span_id: str = field(default="", init=False)

    def enter(self, shop: Workshop, tracing: Tracing) -> Workshop:
        """The workshop to work in: what it publishes is counted, and names this invocation."""
        self._tracing, self._span_id = tracing, derived_span_id(shop.tokens.token())
        return replace(shop, publisher=_Publisher(shop.publisher, self._span_id, self.published))

    def queued(self, since: datetime | None) -> None:
        """When Pub/Sub took the message. By the wall clock, whatever the engine's says: that is Pub/Sub's too."""
        if since is not None:
            self.measures["queue_seconds"] = max((self.began_at - since).total_seconds(), 0.0)

    def note(self, outcome: Outcome) -> None:
        """What the use case answered."""
        self.outcomes.update((outcome.code, *outcome.notes))
        self.about = outcome.about
        self.measures |= outcome.measures

    def finish(self, line: Line) -> None:
        """Write the line, with all that is known, and show the span."""
        passed = timedelta(seconds=perf_counter() - self._began)
        line = replace(line, outcomes=self.outcomes, published=self.published, measures=self.measures)
        line = replace(line, duration_ms=passed // timedelta(milliseconds=1))
        own, tracing = self._place(), self._tracing
        if own is not None and tracing is not None:
            line = replace(line, trace=trace_name(tracing.project, own.trace_id), span=own.span_id)
            if tracing.spans is not None:
                tracing.spans.record(self._span(line, own, passed))
        write_line(line)

    def _place(self) -> TraceContext | None:
        """None where it is about many, or about nobody."""
        trace_id = (self.about and self.about.trace_id) or (self.parent and self.parent.trace_id)
        return TraceContext(trace_id, self._span_id) if trace_id else None

    def _span(self, line: Line, own: TraceContext, passed: timedelta) -> Span:
        outcome = next(iter(self.outcomes), type(line.error).__qualname__)
        about: dict[str, str | int] = {"sojourn.status": line.status, "sojourn.outcome": outcome}
        if self.about is not None and self.about.journey_id is not None:
            about["sojourn.journey_id"] = self.about.journey_id
        failed = line.severity != "INFO"
        return Span(self.function, own, self.parent, self.began_at, self.began_at + passed, failed, about)


@dataclass(frozen=True, slots=True)
class _Publisher:
    """Publishes in the name of an invocation, and counts by topic."""

    inner: Publisher
    span_id: str
    counts: Counter[str]

    def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
        sent = self.inner.publish_many([replace(message, span_id=self.span_id) for message in messages])
        self.counts.update(message.topic for message, taken in zip(messages, sent, strict=True) if taken)
        return sent
