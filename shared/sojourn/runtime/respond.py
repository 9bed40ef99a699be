"""From a push request to an answer: decode, call one use case, answer. The one place that catches Exception.

::

    204  every business outcome, duplicates and rejected input included       400  no Pub/Sub envelope
    503  Firestore or Pub/Sub did not answer: redelivered with backoff        500  a bug: the stack is in the log
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from flask import Request

from sojourn.application.ingest import reject
from sojourn.application.messages import Delivered, Message, read_message
from sojourn.application.outcome import Outcome
from sojourn.application.ports import Outgoing, Publisher
from sojourn.application.workshop import Workshop
from sojourn.domain.errors import EnvelopeInvalid, MessageInvalid, Unavailable
from sojourn.runtime.application import workshop
from sojourn.runtime.envelope import Envelope, open_envelope
from sojourn.runtime.log import write_line

Answer: TypeAlias = tuple[str, int]
M = TypeVar("M", bound=Message)


@dataclass(slots=True)
class CountingPublisher:
    """Counts what one request publishes, by topic, for its log line."""

    inner: Publisher
    counts: Counter[str]

    def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
        sent = self.inner.publish_many(messages)
        self.counts.update(message.topic for message, taken in zip(messages, sent, strict=True) if taken)
        return sent


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
    published: Counter[str] = Counter()
    status, fields = _run(request, handle, published)
    severity = {204: "INFO", 503: "WARNING"}.get(status, "ERROR")
    sentence = ", ".join(f"{word} {count}" for word, count in fields.get("outcomes", {}).items()) or fields.get("error", "")
    write_line(severity, f"{name}: {sentence}", function=name, status=status, published=published, **fields)
    return "" if status == 204 else str(status), status


def _run(request: Request, handle: Handler, published: Counter[str]) -> tuple[int, dict[str, Any]]:
    try:
        envelope = open_envelope(request.get_data(cache=False))
        shop = workshop()
        outcome = handle(replace(shop, publisher=CountingPublisher(shop.publisher, published)), envelope)
        return 503 if outcome.retry else 204, {"outcomes": Counter((outcome.code, *outcome.notes))}
    except EnvelopeInvalid as error:
        return 400, {"error": str(error)}
    except Unavailable as error:
        return 503, {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - the entry wrapper (style, rule 8)
        return 500, {"error": repr(error), "stack_trace": traceback.format_exc()}
