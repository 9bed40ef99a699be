"""`advance` alone: no store, no messages. For a mix of rules, for the reference journey, and for each kind of node."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from bench.figure import Figure, figure, rated
from bench.kinds import BOUGHT, SETTINGS, journey_of
from bench.reference import branch
from bench.reference import journey as reference
from sojourn.domain.definition import Definition
from sojourn.domain.engine import advance
from sojourn.domain.event import Event
from sojourn.domain.progress import Progress, Status
from sojourn.domain.stimulus import Due, EventReceived, Resume, Stimulus

PASSAGES, QUICK_PASSAGES = 1_000, 50
NODES = 10
"""Of one kind, in a row."""
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
            branch(vip, "event.data.tier == 'gold'"),
            {"id": ab, "key": "split", "settings": {"branches": [{"name": "a", "weight": 1}, {"name": "b", "weight": 3}]}},
            branch(big, "event.data.total > 100 && context.size() == 0"),
            {"id": hello, "key": "send_message", "settings": {"message": "Hello {{ event.data.name }}"}},
        ]
        for source, target in ((vip, ab), (ab, big), (big, hello)):
            paths += [{"source": source, "target": target, "index": index} for index in (0, 1)]
        paths.append({"source": hello, "target": after})
    nodes += [{"id": "wait", "key": "wait", "settings": {"duration": "1d"}}, {"id": "end", "key": "exit"}]
    paths.append({"source": "wait", "target": "end"})
    return Definition.model_validate({"id": "j", "bot_id": "b", "name": "Bench", "nodes": nodes, "node_paths": paths})


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


def visits(definition: Definition, passages: int) -> tuple[int, float]:
    """(nodes visited, seconds) of passages to the very end, the clock and events among what moves them."""
    members = [replace(entered(definition), id=f"p{number}", member_key=f"k{number}") for number in range(passages)]
    bought = Event("e2", BOUGHT, "b", "m1", NOW, {})
    begin = time.perf_counter()
    for member in members:
        progress = member
        while not progress.status.terminal:
            progress = advance(definition, progress, _stimulus(progress, bought), member=None, now=NOW).progress
        assert progress.status is Status.ENDED, progress
    seconds = time.perf_counter() - begin
    return passages * len(definition.nodes), seconds


def _stimulus(progress: Progress, bought: Event) -> Stimulus:
    if progress.listens:
        return EventReceived(replace(bought, id=progress.node_id or "", occurred_at=progress.since))
    return Due(progress.schedule_at) if progress.schedule_at else Resume()


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Each sample beside a reference loop of the same moment."""
    rates, ratios = rated(node_steps, runs)
    yield figure("engine", "advance alone, node steps", rates, "/s", least=TARGET_PER_SECOND)
    yield figure("engine", "the same to sha256 of 64 bytes", ratios, "")
    loops = [rate / ratio for rate, ratio in zip(rates, ratios, strict=True)]
    yield figure("machine", "sha256 of 64 bytes in a loop", loops, "/s")
    passages = QUICK_PASSAGES if quick else PASSAGES
    whole, _ = rated(partial(visits, reference(), passages), runs)
    yield figure("engine", "reference journey, nodes", whole, "/s")
    for kind in SETTINGS:
        rates, _ = rated(partial(visits, journey_of(kind, nodes=NODES), passages), runs)
        yield figure("engine", f"{NODES} of {kind}, nodes", rates, "/s")
