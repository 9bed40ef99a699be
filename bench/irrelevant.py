"""Log lines that no journey wants, in-process: push body, function, answer. Not one document is read or written for them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from bench.figure import Figure, figure
from bench.reference import START, journey, log_line
from emulator.functions_table import load_functions_table
from emulator.in_process import InProcessCloud, call, load_functions, request_of
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import EVENTS_TOPIC
from sojourn.runtime.envelope import push_body

EVENTS, QUICK_EVENTS = 5_000, 500
TARGET_PER_SECOND = 3_000


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Events of another name, of a bot that has a journey."""
    events = QUICK_EVENTS if quick else EVENTS
    _, function = load_functions(load_functions_table())[EVENTS_TOPIC]
    samples = []
    for _ in range(runs):
        with InProcessCloud(START) as cloud:
            publish_journey(cloud.memory.shop, journey())
            bodies = [push_body(log_line(number).replace(b'"joined"', b'"looked"')) for number in range(events)]
            call(function, bodies[0])  # fills the cache of journeys
            store = cloud.memory.store
            store.forget_counts()
            requests = [request_of(body) for body in bodies]  # which is the server's work
            begin = time.perf_counter()
            answers = {function(request) for request in requests}
            samples.append(events / (time.perf_counter() - begin))
            assert answers == {("", 204)}
            assert not store.reads + store.writes + store.queries, (store.reads, store.writes, store.queries)
            assert cloud.outcomes["unwanted"] == events + 1, cloud.outcomes
    yield figure("irrelevant events", "in-process, no document read or written", samples, "/s", least=TARGET_PER_SECOND)
