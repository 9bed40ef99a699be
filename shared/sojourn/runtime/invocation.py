"""Invocations of a function, from the message to the line in the log and the span in a trace.

::

    traceparent of the message ─▶ parent ─┐
    outcome.about ─▶ trace of the passage ├─▶ line: trace, span      ─▶ span, where tracing is on
    token of the work, trace ─▶ span ─────┘        └─▶ traceparent of every message that it publishes

The passage decides which trace it is: a signal comes from an event of another trace, which is then what the span links to.
Several invocations may be carried out as one piece of work; whose message is whose then follows from the trace it is about.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

from sojourn.application.outcome import About, Measure, Outcome
from sojourn.application.ports import Outgoing, Publisher, Span
from sojourn.application.workshop import Workshop
from sojourn.domain.trace import TraceContext, derived_span_id, trace_name
from sojourn.runtime.log import Line
from sojourn.runtime.tracing import Tracing


class Work:
    """What invocations that are carried out together share. `shop`: what it publishes is counted, and names the invocation."""

    def __init__(self, shop: Workshop, tracing: Tracing) -> None:
        self.tracing, self._token = tracing, shop.tokens.token()
        self._published: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
        self.shop = replace(shop, publisher=_Publisher(shop.publisher, self))

    def span_id(self, trace_id: str | None) -> str:
        """The invocation that is about this trace, as a span of it."""
        return derived_span_id(self._token, trace_id or "")

    def note(self, message: Outgoing) -> None:
        """It was published."""
        self._published[message.trace_id][message.topic] += 1

    def take(self, trace_id: str) -> Counter[str]:
        """How many messages were published about a trace, by topic; told once."""
        return self._published.pop(trace_id, Counter())

    def take_rest(self) -> Counter[str]:
        """The same of those that nobody has asked for."""
        rest = Counter[str]()
        for counts in self._published.values():
            rest.update(counts)
        self._published.clear()
        return rest


@dataclass(slots=True)
class Invocation:
    """What is known of it so far. `parent`: the place in a trace that the request named."""

    function: str
    parent: TraceContext | None = None
    about: About | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    measures: dict[Measure, float] = field(default_factory=dict)
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _began: float = field(default_factory=perf_counter, init=False)

    def queued(self, since: datetime | None) -> None:
        """When Pub/Sub took the message. By the wall clock, whatever the engine's says: that is Pub/Sub's too."""
        if since is not None:
            self.measures["queue_seconds"] = max((self.began_at - since).total_seconds(), 0.0)

    def note(self, outcome: Outcome) -> None:
        """What the use case answered."""
        self.outcomes.update((outcome.code, *outcome.notes))
        self.about = outcome.about
        self.measures |= outcome.measures

    def finish(self, line: Line, work: Work | None) -> Line:
        """The line with all that is known; the span is shown. Without `work` it came to nothing before it began."""
        passed = timedelta(seconds=perf_counter() - self._began)
        known: dict[str, Any] = {
            "outcomes": self.outcomes,
            "measures": self.measures,
            "duration_ms": passed // timedelta(milliseconds=1),
        }
        trace_id = (self.about and self.about.trace_id) or (self.parent and self.parent.trace_id)
        if work is None or not trace_id:  # it is about many, or about nobody
            return replace(line, **known)
        own, tracing = TraceContext(trace_id, work.span_id(trace_id)), work.tracing
        trace = trace_name(tracing.project, own.trace_id)
        line = replace(line, **known, published=work.take(trace_id), trace=trace, span=own.span_id)
        if tracing.spans is not None:
            tracing.spans.record(self._span(line, own, passed))
        return line

    def _span(self, line: Line, own: TraceContext, passed: timedelta) -> Span:
        outcome = next(iter(self.outcomes), type(line.error).__qualname__)
        about: dict[str, str | int] = {"sojourn.status": line.status, "sojourn.outcome": outcome}
        if self.about is not None and self.about.journey_id is not None:
            about["sojourn.journey_id"] = self.about.journey_id
        failed = line.severity != "INFO"
        return Span(self.function, own, self.parent, self.began_at, self.began_at + passed, failed, about)


def finish(invocations: Sequence[Invocation], lines: Sequence[Line], work: Work | None) -> list[Line]:
    """The line of each invocation, complete. What was published about none of their traces stands on the first."""
    first, *others = [invocation.finish(line, work) for invocation, line in zip(invocations, lines, strict=True)]
    rest = work.take_rest() if work is not None else None
    return [replace(first, published=Counter(first.published or {}) + rest) if rest else first, *others]


@dataclass(frozen=True, slots=True)
class _Publisher:
    """Publishes in the name of the invocations, and notes what was taken."""

    inner: Publisher
    work: Work

    def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
        sent = self.inner.publish_many([replace(one, span_id=self.work.span_id(one.trace_id)) for one in messages])
        for message, taken in zip(messages, sent, strict=True):
            if taken:
                self.work.note(message)
        return sent
