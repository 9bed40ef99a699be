"""Small values for tests: events, log entries, definitions. Everything has a default; a test names what matters to it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from sojourn.domain.definition import Definition
from sojourn.domain.event import Event
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress, Status

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday morning."""
BOT, MEMBER, JOURNEY = "bot-1", "ann", "journey-1"


def after(**duration: float) -> datetime:
    """START plus a timedelta."""
    return START + timedelta(**duration)


def event(
    name: str = "joined",
    *,
    at: datetime = START,
    id: str | None = None,
    member: str = MEMBER,
    data: Mapping[str, JsonValue] | None = None,
    depth: int = 0,
) -> Event:
    return Event(id or f"{name}-{member}-{at.isoformat()}", name, BOT, member, at, data or {}, depth)


def payload(
    name: str = "joined", *, metadata: Mapping[str, JsonValue] | None = None, **data: JsonValue
) -> dict[str, JsonValue]:
    """The jsonPayload of a log entry of ours; give a key the value None to leave it out."""
    subject: dict[str, JsonValue] = {"bot_id": BOT, "member_id": MEMBER, **data}
    about: dict[str, JsonValue] = {"support_journey": True, "event_id": f"{name}-1", "schema_version": 1, **(metadata or {})}
    return {
        "message": f"{name} happened",
        "event": name,
        "metadata": {key: value for key, value in about.items() if value is not None},
        "data": {key: value for key, value in subject.items() if value is not None},
    }


def entry(json_payload: object = None, *, at: datetime = START, insert_id: str = "i1") -> bytes:
    """A LogEntry as the sink publishes it."""
    body = payload() if json_payload is None else json_payload
    return json.dumps(
        {
            "logName": "projects/p/logs/run.googleapis.com%2Fstdout",
            "insertId": insert_id,
            "timestamp": at.isoformat(),
            "receiveTimestamp": at.isoformat(),
            "severity": "INFO",
            "resource": {"type": "cloud_run_revision", "labels": {"service_name": "shop"}},
            "jsonPayload": body,
        }
    ).encode()


def log(name: str = "joined", *, at: datetime = START, member: str = MEMBER, id: str | None = None, **data: JsonValue) -> bytes:
    """The LogEntry of an event."""
    about: dict[str, JsonValue] = {"event_id": id or f"{name}-{member}-{at.isoformat()}"}
    return entry(payload(name, metadata=about, member_id=member, **data), at=at)


def definition(
    nodes: Sequence[Mapping[str, object]],
    paths: Sequence[tuple[str, str] | tuple[str, str, int]] | None = None,
    **settings: object,
) -> Definition:
    """A definition; without `paths` the nodes are a chain in the order given, between a trigger `start` and an exit `end`."""
    listed = [{"id": "start", "key": "event", "settings": {"name": "joined"}}, *nodes, {"id": "end", "key": "exit"}]
    if paths is None:
        ids = [str(node["id"]) for node in listed]
        paths = list(itertools.pairwise(ids))
    edges = [{"source": path[0], "target": path[1], "index": path[2] if len(path) == 3 else 0} for path in paths]
    return Definition.model_validate(
        {"id": JOURNEY, "bot_id": BOT, "name": "A journey", "nodes": listed, "node_paths": edges, "settings": settings}
    )


def send(id: str = "hello", message: JsonValue = "Hello", **settings: JsonValue) -> dict[str, object]:
    return {"id": id, "key": "send_message", "settings": {"message": message, **settings}}


def wait(id: str = "pause", duration: str = "1d") -> dict[str, object]:
    return {"id": id, "key": "wait", "settings": {"duration": duration}}


def progress(of: Definition, *, trigger: Event | None = None, status: Status = Status.READY) -> Progress:
    """A member who just entered `of`."""
    started = trigger or event()
    return Progress(
        id="p1",
        journey_id=of.id,
        version=1,
        bot_id=BOT,
        member_id=started.member_id,
        member_key=started.member_key,
        entry_key="1",
        status=status,
        node_id=of.nodes[0].id,
        trigger=started,
        since=started.occurred_at,
        rev=1,
        token="t",
        created_at=START,
        updated_at=START,
        listens=tuple(sorted(of.always_listens)),
        consumed=(started.id,),
    )


def member(*, timezone: str | None = None, **attributes: JsonValue) -> Member:
    return Member(BOT, MEMBER, attributes, timezone, None, {}, 1, "t", START)
