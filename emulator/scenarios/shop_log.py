"""How the shop's three services write their logs: JSON lines as Cloud Run's agent reads them, and what is no such thing.

Each service gives the time in another of the agent's three ways
(https://cloud.google.com/logging/docs/agent/logging/configuration#timestamp-processing).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random

from pydantic import JsonValue

SHOP_API, IDENTITY, CHECKOUT = "shop-api", "identity", "checkout"
SERVICES = (SHOP_API, IDENTITY, CHECKOUT)
TRACE = "logging.googleapis.com/trace"
MAX_LINE_BYTES = 256 * 1024
"""A longer line is split by Cloud Logging, and half an object is no JSON."""
FUTURE = timedelta(days=3)

_PATHS = ("/", "/teas", "/teas/oolong", "/teas/sencha", "/teas/darjeeling", "/cart", "/login", "/account", "/healthz")
_TALK = (
    "cache refreshed",
    "connection pool: 7 of 20 in use",
    "session renewed",
    "stock level read",
    "prices recalculated",
    "retrying the payment provider",
)
_TEXT = (
    "Listening on :8080",
    "WARNING: slow query (1.8 s) on table orders",
    "Traceback (most recent call last):",
    '  File "/app/cart.py", line 88, in total',
    "GC pause 112 ms",
    "[]",
    "[1, 2, 3]",
    "42",
    '"support_journey"',
    "null",
    '{"severity": "INFO", "message": "cut off in the mid',
    '{"event": "order.completed", "metadata": {"support_journey": true}, "data": {"bot_id": "tea-ber',
    "support_journey=true event=order.completed",
)


def log_line(service: str, at: datetime, fields: Mapping[str, JsonValue], *, trace: str) -> bytes:
    """One JSON line of a service: the fields, the time as that service gives it, and the trace of the request."""
    whole = {"severity": "INFO", **_time(service, at), TRACE: f"projects/tea-shop/traces/{trace}", **fields}
    return json.dumps(whole, ensure_ascii=False).encode()


def _time(service: str, at: datetime) -> dict[str, JsonValue]:
    seconds, nanos = int(at.timestamp()), at.microsecond * 1_000
    match service:
        case "identity":
            return {"timestamp": {"seconds": seconds, "nanos": nanos}}
        case "checkout":
            return {"timestampSeconds": str(seconds), "timestampNanos": nanos}
        case _:
            return {"time": at.astimezone(UTC).isoformat().replace("+00:00", "Z")}


def event_fields(name: str, event_id: str | None, data: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What makes a line one of ours (design, section 9). Without `event_id` the entry's insertId stands in for it."""
    metadata: dict[str, JsonValue] = {"support_journey": True, "schema_version": 1}
    if event_id is not None:
        metadata["event_id"] = event_id
    return {"message": f"{name} {data.get('member_id')}", "event": name, "metadata": metadata, "data": dict(data)}


def chatter(dice: Random, service: str, at: datetime) -> bytes:
    """A line that is none of ours: a request, talk of a service, text, or something that tried to be JSON."""
    kind, trace = dice.random(), trace_id(dice)
    if kind < 0.62:
        return log_line(service, at, _request(dice), trace=trace)
    if kind < 0.86:
        return log_line(
            service, at, {"severity": "DEBUG", "message": dice.choice(_TALK), "ms": dice.randint(1, 900)}, trace=trace
        )
    if kind < 0.93:
        return log_line(service, at, {"message": "audit", "metadata": dice.choice(_OTHER_METADATA)}, trace=trace)
    return f"{at:%Y/%m/%d %H:%M:%S} {dice.choice(_TEXT)}".encode() if dice.random() < 0.4 else _stray(dice)


_OTHER_METADATA: tuple[JsonValue, ...] = (
    None,
    "support_journey",
    [],
    {},
    {"support_journey": False},
    {"support_journey": None},
    {"support_journey": "no"},
    {"supportJourney": True},
)


def _request(dice: Random) -> dict[str, JsonValue]:
    path, status = dice.choice(_PATHS), dice.choice((200, 200, 200, 200, 304, 404, 500))
    request: JsonValue = {
        "requestMethod": "GET",
        "requestUrl": f"https://tea.example{path}",
        "status": status,
        "latency": f"{dice.uniform(0.002, 0.9):.3f}s",
    }
    return {"severity": "ERROR" if status == 500 else "INFO", "message": f"GET {path} {status}", "httpRequest": request}


def _stray(dice: Random) -> bytes:
    return dice.choice((*(text.encode() for text in _TEXT), b"caf\xe9 au lait: price changed"))


def trace_id(dice: Random) -> str:
    """32 hexadecimal digits, as Cloud Trace has them."""
    return f"{dice.getrandbits(128):032x}"


def broken_lines(dice: Random, at: datetime, *, bot_id: str, member_id: str) -> list[tuple[str, bytes]]:
    """(service, line) for each way in which a line of ours can be wrong; the last two only look like ours."""
    subject: dict[str, JsonValue] = {"bot_id": bot_id, "member_id": member_id}
    good = event_fields("order.completed", f"broken-{trace_id(dice)[:8]}", {**subject, "total": 5})
    metadata = {"support_journey": True}
    wrong: list[dict[str, JsonValue]] = [
        {**good, "data": {"bot_id": bot_id}},
        {**good, "data": {**subject, "member_id": 4711}},
        {**good, "data": [bot_id, member_id]},
        {**good, "data": "see message"},
        {**good, "event": None},
        {**good, "event": "order completed!"},
        {**good, "metadata": {**metadata, "event_id": 17}},
        {**good, "metadata": {**metadata, "schema_version": 2}},
        {**good, "metadata": {**metadata, "schema_version": "1"}},
        {**good, "metadata": {**metadata, "depth": 9}},
        {**good, "data": {**subject, "note": nested(20)}},
        {"message": "a tag, and nothing else", "metadata": {**metadata}},
    ]
    lines = [(dice.choice(SERVICES), at, fields) for fields in wrong]
    lines += [(CHECKOUT, at + FUTURE, good)]
    written = [(service, log_line(service, time, fields, trace=trace_id(dice))) for service, time, fields in lines]
    sizes = (MAX_LINE_BYTES - 100, MAX_LINE_BYTES + 1)  # too large as a LogEntry; split, since already the line is too long
    written += [(CHECKOUT, padded(log_line(CHECKOUT, at, good, trace=trace_id(dice)), size)) for size in sizes]
    not_quite: dict[str, JsonValue] = {**good, "metadata": {"support_journey": "true"}}
    return [*written, (SHOP_API, log_line(SHOP_API, at, not_quite, trace=trace_id(dice)))]


def nested(levels: int) -> JsonValue:
    """A list in a list, and so on."""
    value: JsonValue = "deep"
    for _ in range(levels):
        value = [value]
    return value


def padded(line: bytes, size: int) -> bytes:
    """The line with a field more, so that it has `size` bytes."""
    field = b', "stack": "'
    return line[:-1] + field + b"x" * (size - len(line) - len(field) - 1) + b'"}'
