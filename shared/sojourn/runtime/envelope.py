"""The Pub/Sub push envelope, read by hand: functions-framework's own conversion drops fields and answers 400 to some
messages (gcp-facts, section 4). The body that Eventarc sends has the same `message`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sojourn.domain.errors import EnvelopeInvalid
from sojourn.domain.trace import TRACEPARENT, TraceContext, read_traceparent

MAX_BODY_BYTES = 16 * 1024 * 1024
"""A Pub/Sub message has at most 10 MB, which base64 makes a third longer."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One pushed message. `parent`: the place in a trace that it was published from."""

    data: bytes
    message_id: str
    published_at: datetime | None = None
    parent: TraceContext | None = None


def open_envelope(body: bytes) -> Envelope:
    """The message in the body of a push request. Raises EnvelopeInvalid, which names what is wrong and quotes nothing of it."""
    if len(body) > MAX_BODY_BYTES:
        raise EnvelopeInvalid(f"body: {len(body):,} bytes; at most {MAX_BODY_BYTES:,}")
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EnvelopeInvalid("body: not JSON; a Pub/Sub push request is expected") from error
    message = envelope.get("message") if isinstance(envelope, dict) else None
    if not isinstance(message, dict):
        raise EnvelopeInvalid('body: no object "message"; a Pub/Sub push request is expected')
    data = message.get("data", "")
    if not isinstance(data, str):
        raise EnvelopeInvalid(f"message.data: not base64 text but {type(data).__name__}")
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EnvelopeInvalid(f"message.data: not base64 ({error})") from error
    identifier = str(message.get("messageId") or message.get("message_id") or "")[:100]
    published_at = _moment(message.get("publishTime") or message.get("publish_time"))
    attributes = message.get("attributes")
    parent = read_traceparent(attributes.get(TRACEPARENT)) if isinstance(attributes, dict) else None
    return Envelope(decoded, identifier, published_at, parent)


def _moment(value: object) -> datetime | None:
    """None for what is no moment with a time zone: a publisher that is none of Google's may leave it out."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def push_body(data: bytes, *, attributes: Mapping[str, str] | None = None, published_at: datetime | None = None) -> bytes:
    """The body of a push request, as Pub/Sub sends it: for whoever plays Pub/Sub in-process."""
    message: dict[str, object] = {"data": base64.b64encode(data).decode(), "messageId": "1", "message_id": "1"}
    message["attributes"] = dict(attributes or {})
    if published_at is not None:
        message["publishTime"] = message["publish_time"] = published_at.isoformat()
    return json.dumps({"message": message, "subscription": "projects/local/subscriptions/local"}).encode()
