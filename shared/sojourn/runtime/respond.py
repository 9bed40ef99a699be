"""From a push request to an answer: decode, call one use case, answer. The one place that catches Exception.

::

    204  every business outcome, duplicates and rejected input included       400  no Pub/Sub envelope
    503  Firestore or Pub/Sub did not answer: redelivered with backoff        500  a bug: its stack is in the log
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from flask import Request

from sojourn.application.ingest import reject
from sojourn.application.messages import Delivered, Message, read_message
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.workshop import Workshop
from sojourn.domain.errors import EnvelopeInvalid, MessageInvalid, Unavailable
from sojourn.runtime.application import tracing, workshop
from sojourn.runtime.envelope import Envelope, open_envelope
from sojourn.runtime.invocation import Invocation
from sojourn.runtime.log import Line

Answer: TypeAlias = tuple[str, int]
M = TypeVar("M", bound=Message)

Handler: TypeAlias = Callable[[Workshop, Envelope], Outcome]


def entries(use_case: Callable[[Workshop, Sequence[bytes]], list[Outcome]]) -> Handler:
    """A use case that takes data as it was published."""
    return lambda shop, envelope: use_case(shop, [envelope.data])[0]


def messages(kind: type[M], use_case: Callable[[Workshop, Sequence[M]], list[Outcome]]) -> Handler:
    """A use case that takes messages of the engine's own. What is none is kept like a rejected event: nothing is dropped."""
    return deliveries(kind, lambda shop, delivered: use_case(shop, [delivery.message for delivery in delivered]))


def deliveries(kind: type[M], use_case: Callable[[Workshop, Sequence[Delivered[M]]], list[Outcome]]) -> Handler:
    """The same for a use case that must know when a message was published; now, where the envelope does not say."""

    def handle(shop: Workshop, envelope: Envelope) -> Outcome:
        try:
            message = read_message(kind, envelope.data)
        except MessageInvalid as error:
            return reject(shop, envelope.data, error.code, str(error))
        return use_case(shop, [Delivered(message, envelope.published_at or shop.now())])[0]

    return handle


def respond(request: Request, name: str, handle: Handler) -> Answer:
    """Answer one push request with what `handle` makes of its data, and write its line into the log. GET: alive."""
    if request.method in ("GET", "HEAD"):
        return "ok", 200
    invocation = Invocation(name)
    line = _run(request, invocation, handle)
    invocation.finish(line)
    return "" if line.status == 204 else str(line.status), line.status


def _run(request: Request, invocation: Invocation, handle: Handler) -> Line:
    name = invocation.function
    try:
        envelope = open_envelope(request.get_data(cache=False))
        invocation.parent = envelope.parent
        invocation.queued(envelope.published_at)
        outcome = handle(invocation.enter(workshop(), tracing()), envelope)
        invocation.note(outcome)
        return Line(name, 503, "WARNING") if outcome.retry else Line(name, 204, "INFO")
    except EnvelopeInvalid as error:
        return Line(name, 400, "ERROR", error=error)
    except Unavailable as error:
        invocation.note(UNAVAILABLE)
        return Line(name, 503, "WARNING", error=error)
    except Exception as error:  # noqa: BLE001 - the entry wrapper (style, rule 8)
        return Line(name, 500, "ERROR", error=error, bug=True)
