"""One line of stdout to one LogEntry in its JSON form, as the logging agent of Cloud Run makes it.

https://cloud.google.com/run/docs/logging and https://cloud.google.com/logging/docs/structured-logging
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Never

from emulator.log_router.fields import SEVERITIES, severity_number
from emulator.log_router.timestamps import NANOS_PER_SECOND, parse_nanos, render_nanos, to_nanos

LINE_MAX_BYTES = 256 * 1024
JSON_MAX_LEVELS = 100  # protobuf's own limit, and so that of a LogEntry
LOCATION = "local"

_PREFIX = "logging.googleapis.com/"
# The special keys of a JSON line: what the LogEntry calls them, and the only JSON type that is lifted.
_SPECIAL_KEYS: Mapping[str, tuple[str, type]] = MappingProxyType(
    {
        "httpRequest": ("httpRequest", dict),
        f"{_PREFIX}insertId": ("insertId", str),
        f"{_PREFIX}labels": ("labels", dict),
        f"{_PREFIX}operation": ("operation", dict),
        f"{_PREFIX}sourceLocation": ("sourceLocation", dict),
        f"{_PREFIX}spanId": ("spanId", str),
        f"{_PREFIX}trace": ("trace", str),
        f"{_PREFIX}trace_sampled": ("traceSampled", bool),
    }
)
_SEVERITY_NAMES = MappingProxyType({number: name for name, number in SEVERITIES.items()})


@dataclass(frozen=True, slots=True)
class LogSource:
    """The Cloud Run service whose stdout is read."""

    project: str
    service: str


def log_entry(line: bytes | str, source: LogSource, *, received_at: datetime, sequence: int = 0) -> dict[str, object]:
    """The LogEntry of one line; never fails, whatever the line holds.

    A JSON object becomes jsonPayload without its special keys; anything else is textPayload. `sequence` tells apart
    equal lines of the same instant, the way the agent's insertId does. A line over LINE_MAX_BYTES is cut there and is
    text, since half an object is no JSON; Cloud Logging splits it, and its parts match no payload filter either.
    """
    raw = line.encode(errors="replace") if isinstance(line, str) else line
    text = raw.rstrip(b"\r\n")[:LINE_MAX_BYTES].decode(errors="replace")
    entry = _entry_frame(source, received_at)
    entry["insertId"] = _insert_id(source, received_at, sequence, raw)
    payload = _json_object(text)
    if payload is None:
        return entry | {"textPayload": text}
    return entry | _lift(payload) | _payload(payload)


def _entry_frame(source: LogSource, received_at: datetime) -> dict[str, object]:
    """What every entry of a service has; an application's own fields overwrite it."""
    now = render_nanos(to_nanos(received_at))
    labels = {
        "project_id": source.project,
        "location": LOCATION,
        "service_name": source.service,
        "configuration_name": source.service,
        "revision_name": f"{source.service}-{LOCATION}",
    }
    return {
        "logName": f"projects/{source.project}/logs/run.googleapis.com%2Fstdout",
        "resource": {"type": "cloud_run_revision", "labels": labels},
        "timestamp": now,
        "receiveTimestamp": now,
        "severity": "DEFAULT",
    }


def _insert_id(source: LogSource, received_at: datetime, sequence: int, raw: bytes) -> str:
    key = f"{source.project}|{source.service}|{to_nanos(received_at)}|{sequence}|".encode(errors="replace")
    return hashlib.sha256(key + raw).hexdigest()[:26]


def _json_object(text: str) -> dict[str, object] | None:
    """The object a line is, or None; NaN, Infinity, numbers beyond a double and endless nesting are no JSON to Google."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _is_shallow(value) else None


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError("beyond a double")
    return number


def _is_shallow(value: object) -> bool:
    level = [value]
    for _ in range(JSON_MAX_LEVELS):
        level = [child for node in level for child in _children(node)]
    return not level


def _children(node: object) -> list[object]:
    match node:
        case dict():
            return list(node.values())
        case list():
            return node
        case _:
            return []


def _lift(payload: dict[str, object]) -> dict[str, object]:
    """Move the special fields out of the payload; one of the wrong shape stays behind, where it can be seen."""
    lifted: dict[str, object] = {}
    for key, (field, kind) in _SPECIAL_KEYS.items():
        if isinstance(payload.get(key), kind):
            lifted[field] = payload.pop(key)
    if isinstance(labels := lifted.get("labels"), dict):
        lifted["labels"] = {key: _label(value) for key, value in labels.items()}
    return lifted | _severity(payload) | _timestamp(payload)


def _label(value: object) -> str:
    """Labels are strings: true becomes "true"."""
    return value if isinstance(value, str) else json.dumps(value)


def _severity(payload: dict[str, object]) -> dict[str, object]:
    if "severity" not in payload:
        return {}
    try:
        return {"severity": _SEVERITY_NAMES[severity_number(payload.pop("severity"))]}
    except ValueError:
        return {}


def _timestamp(payload: dict[str, object]) -> dict[str, object]:
    """The first of Google's three ways to give a time that holds one; without any, the time of receipt stands."""
    ways: Mapping[tuple[str, ...], Callable[..., int]] = {
        ("time",): _instant,
        ("timestamp",): _instant,
        ("timestampSeconds", "timestampNanos"): _seconds_and_nanos,
    }
    for keys, read in ways.items():
        try:
            timestamp = render_nanos(read(*(payload.get(key) for key in keys)))
        except (ValueError, OverflowError):
            continue
        for key in keys:
            payload.pop(key, None)
        return {"timestamp": timestamp}
    return {}


def _instant(value: object) -> int:
    match value:
        case str():
            return parse_nanos(value)
        case {"seconds": seconds, **rest}:
            return _seconds_and_nanos(seconds, rest.get("nanos"))
        case _:
            raise ValueError("no instant")


def _seconds_and_nanos(seconds: object, nanos: object) -> int:
    """Both may come as strings, the JSON form of 64-bit integers."""
    return int(str(seconds)) * NANOS_PER_SECOND + int(str(nanos or 0))


def _payload(payload: dict[str, object]) -> dict[str, object]:
    """A message that is left alone is plain text."""
    match payload:
        case {"message": str(message)} if len(payload) == 1:
            return {"textPayload": message}
        case _:
            return {"jsonPayload": payload}
