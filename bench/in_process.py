"""The whole in-process way of a hop: push body, real function, envelope, use case, memory store, log line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import timedelta

from bench.engine import NOW
from bench.figure import Figure, figure, rated
from emulator.functions_table import load_functions_table
from emulator.in_process import InProcessCloud, call, load_functions
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import RUNS_TOPIC, RunMessage
from sojourn.domain.definition import Definition
from sojourn.domain.progress import Progress
from sojourn.runtime.envelope import push_body

MEMBERS = 1_000
TARGET_PER_SECOND = 1_500


def waits() -> Definition:
    """Two waits: each hop leaves one and stands at the next, without effects."""
    nodes = [
        {"id": "start", "key": "event", "settings": {"name": "joined"}},
        {"id": "one", "key": "wait", "settings": {"duration": "1d"}},
        {"id": "rich", "key": "branch", "settings": {"branches": [{"name": "yes", "condition": "event.data.total > 100"}]}},
        {"id": "two", "key": "wait", "settings": {"duration": "1d"}},
        {"id": "end", "key": "exit"},
    ]
    paths = [("start", "one", 0), ("one", "rich", 0), ("rich", "two", 0), ("rich", "end", 1), ("two", "end", 0)]
    edges = [{"source": source, "target": target, "index": index} for source, target, index in paths]
    return Definition.model_validate({"id": "j", "bot_id": "b", "name": "Bench", "nodes": nodes, "node_paths": edges})


def hops() -> tuple[int, float]:
    """(hops, seconds): every member's three hops, one push request each; entering and the clock are not counted."""
    _, function = load_functions(load_functions_table())[RUNS_TOPIC]
    with InProcessCloud(NOW) as cloud:
        publish_journey(cloud.memory.shop, waits())
        cloud.publish("journey-events", [_joined(number) for number in range(MEMBERS)])
        ran, seconds = 0, 0.0
        for day in (1, 2):
            cloud.move_to(NOW + timedelta(days=day))
            messages = [RunMessage(progress_id=p.id, rev=p.rev) for p in cloud.memory.store.scan(Progress)]
            bodies = [push_body(message.model_dump_json().encode()) for message in messages]
            begin = time.perf_counter()
            answers = [call(function, body) for body in bodies]
            seconds += time.perf_counter() - begin
            ran += len(answers)
            assert {status for _, status in answers} == {204}
        assert cloud.outcomes["ended"] == MEMBERS, cloud.outcomes
        return ran, seconds


def _joined(number: int) -> bytes:
    data = {"bot_id": "b", "member_id": f"m{number}", "total": 120}
    payload = {"event": "joined", "metadata": {"support_journey": True, "event_id": f"e{number}"}, "data": data}
    return json.dumps({"timestamp": NOW.isoformat(), "jsonPayload": payload}).encode()


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Each sample beside a reference loop of the same moment."""
    rates, ratios = rated(hops, runs)
    yield figure("in-process", "a hop from push body to memory store", rates, "/s", least=TARGET_PER_SECOND)
    yield figure("in-process", "the same to sha256 of 64 bytes", ratios, "")
