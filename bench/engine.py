"""`advance` alone: no store, no messages."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from bench.figure import Figure, figure, rated
from sojourn.domain.definition import Definition
from sojourn.domain.engine import advance
from sojourn.domain.event import Event
from sojourn.domain.progress import Progress, Status
from sojourn.domain.stimulus import Resume

PASSAGES = 1_000
TARGET_PER_SECOND = 30_000
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def journey(groups: int = 3) -> Definition:
    """A trigger, `groups` of branch, split, branch and a message, a wait: the mix of a real journey, mostly rules."""
    nodes: list[dict[str, object]] = [{"id": "start", "key": "event", "settings": {"name": "joined"}}]
    paths: list[dict[str, object]] = [{"source": "start", "target": "vip-0"}]
    for group in range(groups):
        vip, ab, big, hello = (f"{name}-{group}" for name in ("vip", "ab", "big", "hello"))
        after = f"vip-{group + 1}" if group + 1 < groups else "wait"
        nodes += [
            _branch(vip, "event.data.tier == 'gold'"),
            {"id": ab, "key": "split", "settings": {"branches": [{"name": "a", "weight": 1}, {"name": "b", "weight": 3}]}},
            _branch(big, "event.data.total > 100 && context.size() == 0"),
            {"id": hello, "key": "send_message", "settings": {"message": "Hello {{ event.data.name }}"}},
        ]
        for source, target in ((vip, ab), (ab, big), (big, hello)):
            paths += [{"source": source, "target": target, "index": index} for index in (0, 1)]
        paths.append({"source": hello, "target": after})
    nodes += [{"id": "wait", "key": "wait", "settings": {"duration": "1d"}}, {"id": "end", "key": "exit"}]
    paths.append({"source": "wait", "target": "end"})
    return Definition.model_validate({"id": "j", "bot_id": "b", "name": "Bench", "nodes": nodes, "node_paths": paths})


def _branch(identifier: str, condition: str) -> dict[str, object]:
    return {"id": identifier, "key": "branch", "settings": {"branches": [{"name": "yes", "condition": condition}]}}


def entered(definition: Definition) -> Progress:
    """A member who just entered."""
    event = Event("e1", "joined", "b", "m1", NOW, {"tier": "gold", "total": 120, "name": "Ann"})
    return Progress(
        id="p",
        journey_id="j",
        version=1,
        bot_id="b",
        member_id="m1",
        member_key="k",
        entry_key="1",
        status=Status.READY,
        node_id="start",
        trigger=event,
        since=NOW,
        rev=1,
        token="t",
        created_at=NOW,
        updated_at=NOW,
        shard=None,
    )


def node_steps() -> tuple[int, float]:
    """(node steps, seconds) of passages from the entry to the wait, on one core."""
    definition = journey()
    members = [replace(entered(definition), id=f"p{number}", member_key=f"k{number}") for number in range(PASSAGES)]
    begin = time.perf_counter()
    steps = sum(len(advance(definition, one, Resume(), member=None, now=NOW).progress.trail) for one in members)
    return steps, time.perf_counter() - begin


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Each sample beside a reference loop of the same moment."""
    rates, ratios = rated(node_steps, runs)
    yield figure("engine", "advance alone, node steps", rates, "/s", least=TARGET_PER_SECOND)
    yield figure("engine", "the same to sha256 of 64 bytes", ratios, "")
