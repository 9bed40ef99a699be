"""What a filter can name: the fields of a LogEntry, how values of each type compare, and where they lie in an entry.

One converter serves both sides of a comparison, because Cloud Logging converts the query's value to the type of the
field first. Fields of the LogEntry type have a declared type and a default; payload and labels are open, there the
JSON value decides. https://cloud.google.com/logging/docs/view/logging-query-language#values_conversions
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from emulator.log_router.timestamps import NANOS_PER_SECOND, parse_nanos

SEVERITIES = MappingProxyType(
    {
        "DEFAULT": 0,
        "DEBUG": 100,
        "INFO": 200,
        "NOTICE": 300,
        "WARNING": 400,
        "ERROR": 500,
        "CRITICAL": 600,
        "ALERT": 700,
        "EMERGENCY": 800,
    }
)
_DURATION = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(ns|us|ms|s|m|h)", re.ASCII)
_UNIT_NANOS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": NANOS_PER_SECOND, "m": 60 * 10**9, "h": 3600 * 10**9}

Comparable = str | int | float


@dataclass(frozen=True, slots=True)
class Kind:
    """A field type: its name for messages, the JSON value of an absent field, and the form in which values compare.

    `convert` takes the field's JSON value or the text of the query and raises ValueError if it is no such value.
    """

    name: str
    default: object
    convert: Callable[[object], Comparable]


def _fold(value: object) -> str:
    """NFKC_Casefold, the normalisation under which Cloud Logging compares strings."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", str(value)).casefold())


def _number(value: object) -> float:
    return float(str(value))


def _boolean(value: object) -> bool:
    try:
        return {"true": True, "false": False}[str(value).casefold()]
    except KeyError as error:
        raise ValueError(f"neither true nor false: {value!r}") from error


def severity_number(value: object) -> int:
    """The number of a severity given by name in any case, or by number; raises ValueError if there is no such one."""
    name = str(value).upper()
    number = int(name) if name.isdecimal() else SEVERITIES.get(name, -1)
    if number not in SEVERITIES.values():
        raise ValueError(f"no severity {value!r}")
    return number


def _timestamp(value: object) -> int:
    """A date alone means its midnight in UTC."""
    text = str(value)
    return parse_nanos(text if "T" in text.upper() else f"{text}T00:00:00Z")


def _duration(value: object) -> int:
    if not (found := _DURATION.fullmatch(str(value))):
        raise ValueError(f"not a number with a unit: {value!r}")
    return int(Decimal(found[1]) * _UNIT_NANOS[found[2]])


STRING = Kind("string", "", _fold)
NUMBER = Kind("number", 0, _number)
BOOLEAN = Kind("boolean", False, _boolean)
SEVERITY = Kind("severity", "DEFAULT", severity_number)
TIMESTAMP = Kind("RFC 3339 timestamp", "1970-01-01T00:00:00Z", _timestamp)
DURATION = Kind("duration", "0s", _duration)

_OPEN = object()
_HTTP_REQUEST = {
    **dict.fromkeys(("protocol", "referer", "remoteIp", "requestMethod", "requestUrl", "serverIp", "userAgent"), STRING),
    **dict.fromkeys(("cacheFillBytes", "requestSize", "responseSize", "status"), NUMBER),
    **dict.fromkeys(("cacheHit", "cacheLookup", "cacheValidatedWithOriginServer"), BOOLEAN),
    "latency": DURATION,
}
_LOG_ENTRY: Mapping[str, object] = {
    **dict.fromkeys(("insertId", "logName", "spanId", "textPayload", "trace"), STRING),
    **dict.fromkeys(("jsonPayload", "protoPayload", "labels"), _OPEN),
    "severity": SEVERITY,
    "timestamp": TIMESTAMP,
    "receiveTimestamp": TIMESTAMP,
    "traceSampled": BOOLEAN,
    "httpRequest": _HTTP_REQUEST,
    "metadata": {"systemLabels": _OPEN, "userLabels": _OPEN},
    "operation": {"id": STRING, "producer": STRING, "first": BOOLEAN, "last": BOOLEAN},
    "resource": {"type": STRING, "labels": _OPEN},
    "sourceLocation": {"file": STRING, "line": NUMBER, "function": STRING},
    "split": {"uid": STRING, "index": NUMBER, "totalSplits": NUMBER},
}


def declared_kind(path: Sequence[str]) -> Kind | None:
    """The type the LogEntry declares at a path; None where the JSON value decides. Raises KeyError if undefined."""
    node: object = _LOG_ENTRY
    for name in path:
        if node is _OPEN:
            return None
        if not isinstance(node, Mapping):
            raise KeyError(name)
        node = node[name]
    return node if isinstance(node, Kind) else None


def json_kind(value: object) -> Kind | None:
    """The type of a payload field: that of its JSON value; None for null and objects, which compare with nothing."""
    match value:
        case bool():
            return BOOLEAN
        case int() | float():
            return NUMBER
        case str():
            return STRING
        case _:
            return None


def reach(value: object, path: Sequence[str]) -> Iterator[object]:
    """Every value at a path; an array stands for each of its elements, on the way and at the end."""
    if isinstance(value, list):
        for element in value:
            yield from reach(element, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from reach(value[path[0]], path[1:])


def leaves(value: object) -> Iterator[object]:
    """Every scalar in a value, however deep."""
    match value:
        case Mapping():
            for inner in value.values():
                yield from leaves(inner)
        case list():
            for element in value:
                yield from leaves(element)
        case _:
            yield value
