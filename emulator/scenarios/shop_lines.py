"""The oracle's eyes: what a raw line says, read with nothing but `json`, by the contract (design, sections 9 and 10)."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from emulator.scenarios.shop import LogLine
from emulator.scenarios.shop_log import MAX_LINE_BYTES, TRACE

AGENT_BYTES = 300
"""The logging agent adds more than this to a line, so one that comes closer to the limit is too large as a LogEntry."""
LATE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Happening:
    """A line of ours that is right."""

    name: str
    bot_id: str
    member_id: str
    event_id: str | None
    at: datetime
    cart_id: str | None
    items: int


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line of ours that must be rejected."""

    trace: str
    reason: str


@dataclass(frozen=True, slots=True)
class LineCounts:
    """What there was in the log; `repeated`, `late` and `out_of_order` are of ours, and one line may be all three."""

    seen: int
    ours: int
    wrong: int
    repeated: int
    late: int
    out_of_order: int


def read_line(line: LogLine) -> Happening | Wrong | None:
    """What the line says; None where it is none of ours."""
    if len(line.raw) > MAX_LINE_BYTES:
        return None
    try:
        fields = json.loads(line.raw)
    except ValueError:
        return None
    metadata = fields.get("metadata") if isinstance(fields, dict) else None
    if not isinstance(metadata, dict) or metadata.get("support_journey") is not True:
        return None
    at = _time(fields)
    reason = _fault(line, fields, metadata, at)
    if reason is not None:
        return Wrong(fields[TRACE], reason)
    data = fields["data"]
    names = (fields["event"], data["bot_id"], data["member_id"], metadata.get("event_id"))
    return Happening(*names, at, data.get("cart_id"), data.get("items", 0))


def _fault(line: LogLine, fields: dict[str, Any], metadata: dict[str, Any], at: datetime) -> str | None:
    data = fields.get("data")
    texts = [fields.get("event"), metadata.get("event_id", "none")]
    texts += [data.get("bot_id"), data.get("member_id")] if isinstance(data, dict) else [None]
    if len(line.raw) > MAX_LINE_BYTES - AGENT_BYTES:
        return "oversized"
    if metadata.get("schema_version", 1) != 1:
        return "unknown_version"
    if not all(isinstance(text, str) and text for text in texts) or not re.fullmatch(r"[\w.:-]+", fields["event"]):
        return "malformed"
    if _depth(data) > 16:
        return "too_deep"
    if metadata.get("depth", 0) > 8:
        return "loop"
    return "future" if at > line.arrives_at + timedelta(days=1) else None


def _depth(value: object) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(_depth, children), default=0)


def _time(fields: dict[str, Any]) -> datetime:
    """The agent's three ways."""
    match fields:
        case {"time": text}:
            return datetime.fromisoformat(text)
        case {"timestamp": {"seconds": seconds, "nanos": nanos}}:
            pass
        case {"timestampSeconds": seconds, "timestampNanos": nanos}:
            pass
        case _:
            raise ValueError(f"a line of the shop without a time: {fields}")
    return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(nanos) // 1_000)


def count_lines(lines: Iterable[LogLine]) -> LineCounts:
    """Count, in the order of arrival."""
    seen = ours = wrong = repeated = late = out_of_order = 0
    known: set[str] = set()
    newest: defaultdict[tuple[str, str], datetime] = defaultdict(lambda: datetime.min.replace(tzinfo=UTC))
    for line in lines:
        reading = read_line(line)
        seen += 1
        ours += reading is not None
        wrong += isinstance(reading, Wrong)
        if isinstance(reading, Happening):
            member = (reading.bot_id, reading.member_id)
            repeated += reading.event_id in known
            late += line.arrives_at - reading.at > LATE
            out_of_order += reading.at < newest[member]
            newest[member] = max(newest[member], reading.at)
            known |= {reading.event_id} if reading.event_id else set()
    return LineCounts(seen, ours, wrong, repeated, late, out_of_order)
