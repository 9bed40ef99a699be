"""Each kind of node alone: a journey of a trigger, some nodes of the kind, and an exit."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from bench.reference import BOT
from sojourn.domain.definition import Definition

BOUGHT, EMITTED = "bought", "greeted"
"""What `wait_for_event` waits for, and what `emit_event` emits; nothing is started by either."""
SETTINGS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "wait": {"duration": "1d"},
        "wait_for_event": {"branches": [{"name": "yes", "event": BOUGHT}], "timeout": "7d"},
        "branch": {"branches": [{"name": "yes", "condition": "event.data.total > 100"}]},
        "split": {"branches": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]},
        "send_message": {"message": "Hello {{ event.data.tier }}"},
        "webhook": {"url": "https://example.com/hook", "body": {"tier": "{{ event.data.tier }}"}},
        "update_member": {"attributes": {"tier": "{{ event.data.tier }}"}},
        "emit_event": {"name": EMITTED, "data": {"tier": "{{ event.data.tier }}"}},
        "enroll_journey": {"journey_id": "other", "data": {"tier": "{{ event.data.tier }}"}},
    }
)
"""Every kind but triggers and the exit."""
_PATHS = {"wait_for_event": 2, "branch": 2, "split": 2}


def journey_of(kind: str, *, nodes: int = 1) -> Definition:
    """Every path of a node leads to the next one."""
    chain = [{"id": f"n{number}", "key": kind, "settings": dict(SETTINGS[kind])} for number in range(nodes)]
    start: dict[str, object] = {"id": "start", "key": "event", "settings": {"name": "joined"}}
    ids = ["start", *(str(node["id"]) for node in chain), "end"]
    paths = [
        {"source": source, "target": target, "index": index}
        for source, target in pairwise(ids)
        for index in range(1 if source == "start" else _PATHS.get(kind, 1))
    ]
    everything = [start, *chain, {"id": "end", "key": "exit"}]
    return Definition.model_validate({"id": kind, "bot_id": BOT, "name": kind, "nodes": everything, "node_paths": paths})


def other() -> Definition:
    """What `enroll_journey` enrolls in."""
    nodes = [{"id": "start", "key": "api"}, {"id": "end", "key": "exit"}]
    paths = [{"source": "start", "target": "end"}]
    return Definition.model_validate({"id": "other", "bot_id": BOT, "name": "Other", "nodes": nodes, "node_paths": paths})
