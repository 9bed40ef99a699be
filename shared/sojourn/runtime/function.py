"""A function: its name, and what it makes of the messages that it is given at the same time. Both drivers run it.

::

    push   one request, one message; requests that are here at the same time ─▶ one batch     `sojourn.runtime.respond`
    pull   a worker takes up to a hundred messages                           ─▶ one batch     `sojourn.runtime.worker`

    204  every business outcome, duplicates and rejected input included       400  no Pub/Sub envelope (push alone)
    503  Firestore or Pub/Sub did not answer: redelivered with backoff        500  a bug: its stack is in the log

The one place that catches Exception. A bug in a batch is looked for message by message, so that one never fails its neighbours:
whatever was done already is found done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from sojourn.application.ingest import reject
from sojourn.application.messages import Delivered, Message, read_message
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.workshop import Workshop
from sojourn.domain.errors import MessageInvalid, Unavailable
from sojourn.runtime.application import tracing, workshop
from sojourn.runtime.coalescer import Coalescer
from sojourn.runtime.envelope import Envelope
from sojourn.runtime.invocation import Invocation, Work, finish
from sojourn.runtime.log import Line

MAX_BATCH = 100
"""Messages that a use case is given at once; as many as Firestore's adapter puts into one request."""
BATCHES = 2
"""How many at the same time: one is computed while another waits for an answer."""

Handler: TypeAlias = Callable[[Workshop, Sequence[Envelope]], list[Outcome]]
M = TypeVar("M", bound=Message)


def entries(use_case: Callable[[Workshop, Sequence[bytes]], list[Outcome]]) -> Handler:
    """A use case that takes data as it was published."""
    return lambda shop, envelopes: use_case(shop, [envelope.data for envelope in envelopes])


def messages(kind: type[M], use_case: Callable[[Workshop, Sequence[M]], list[Outcome]]) -> Handler:
    """A use case that takes messages of the engine's own. What is none is kept like a rejected event: nothing is dropped."""
    return deliveries(kind, lambda shop, delivered: use_case(shop, [delivery.message for delivery in delivered]))


def deliveries(kind: type[M], use_case: Callable[[Workshop, Sequence[Delivered[M]]], list[Outcome]]) -> Handler:
    """The same for a use case that must know when a message was published; now, where the envelope does not say."""

    def handle(shop: Workshop, envelopes: Sequence[Envelope]) -> list[Outcome]:
        read = [_read(shop, kind, envelope) for envelope in envelopes]
        outcomes = iter(use_case(shop, [each for each in read if isinstance(each, Delivered)]))
        return [next(outcomes) if isinstance(each, Delivered) else each for each in read]

    return handle


def _read(shop: Workshop, kind: type[M], envelope: Envelope) -> Delivered[M] | Outcome:
    try:
        return Delivered(read_message(kind, envelope.data), envelope.published_at or shop.now())
    except MessageInvalid as error:
        return reject(shop, envelope.data, error.code, str(error))


class Function:
    """`batch`: how many messages one call of the use case may take. 1 where one may take long, and others would wait for it."""

    def __init__(self, name: str, handle: Handler, *, batch: int = MAX_BATCH) -> None:
        self.name, self.batch, self._handle = name, batch, handle
        self._coalescer = Coalescer(self.run, most=batch, places=BATCHES)

    def run(self, envelopes: Sequence[Envelope]) -> list[Line]:
        """Run the use case; for each message the line that says what became of it. Never raises."""
        invocations = [Invocation(self.name, envelope.parent) for envelope in envelopes]
        work: Work | None = None
        try:
            for invocation, envelope in zip(invocations, envelopes, strict=True):
                invocation.queued(envelope.published_at)
            work = Work(workshop(), tracing())
            outcomes = self._handle(work.shop, envelopes)
        except Unavailable as error:
            for invocation in invocations:
                invocation.note(UNAVAILABLE)
            line = Line(self.name, 503, "WARNING", error=error)
            return finish(invocations, [line] * len(invocations), work)
        except Exception as error:  # noqa: BLE001 - the entry wrapper (style, rule 8)
            if len(envelopes) > 1:
                return [line for envelope in envelopes for line in self.run([envelope])]
            return finish(invocations, [Line(self.name, 500, "ERROR", error=error, bug=True)], work)
        for invocation, outcome in zip(invocations, outcomes, strict=True):
            invocation.note(outcome)
        taken, again = Line(self.name, 204, "INFO"), Line(self.name, 503, "WARNING")
        return finish(invocations, [again if outcome.retry else taken for outcome in outcomes], work)

    def answer(self, envelope: Envelope) -> Line:
        """Run it with whatever else is in this process now."""
        return self._coalescer.submit(envelope) if self.batch > 1 else self.run([envelope])[0]
