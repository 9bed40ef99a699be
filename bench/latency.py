"""From the log line to the first effect, pushed: ingest, run_journey and perform, one process each, a message at the mailbox.

Both ends are told by the documents: when the line says that it happened, when the effect was done. The emulator looks for
messages every 100 ms where none wait, and pushes two at a time for each subscription; what comes faster than that queues.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from statistics import quantiles

from bench.figure import Figure, figure
from bench.local import Bench, only, running
from bench.reference import BOT, log_line
from emulator.pubsub import Message
from sojourn.application.messages import EVENTS_TOPIC
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect, EffectStatus

RATES, SECONDS, QUICK_SECONDS = (10, 100, 500), 5.0, 1.0
TICK_SECONDS = 0.05
FUNCTIONS = ("ingest", "run_journey", "perform")
PATIENCE_SECONDS = 600.0


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Of all runs together. Raises EmulatorsMissing."""
    seconds = QUICK_SECONDS if quick else SECONDS
    for rate in RATES:
        passed, achieved = list[float](), list[float]()
        for _ in range(runs):
            with running(only(*FUNCTIONS), definition=_journey(), stands_still=False) as bench:
                _send(bench, 50, rate=50, first=1_000_000)  # every process takes its first messages
                begin = datetime.now(UTC)
                _send(bench, int(rate * seconds), rate=rate, first=0)
                done = [effect for effect in bench.shop.store.scan(Effect) if (effect.caused_at or begin) > begin]
                assert {effect.status for effect in done} == {EffectStatus.DONE}
                assert len(done) == int(rate * seconds)
                passed += [(each.updated_at - (each.caused_at or begin)).total_seconds() for each in done]
                achieved.append(len(done) / (max(each.updated_at for each in done) - begin).total_seconds())
        cuts = quantiles(passed, n=100)
        yield figure("latency, pushed", f"effects at {rate} lines a second", achieved, "/s")
        for percent in (50, 95, 99):
            yield figure("latency, pushed", f"p{percent} at {rate} lines a second", [1_000 * cuts[percent - 1]], "ms")


def _send(bench: Bench, count: int, *, rate: int, first: int) -> None:
    """Publish at an even rate, each line with the time at which it is; return when nothing is on its way."""
    begin, sent = time.perf_counter(), 0
    while sent < count:
        due = min(int((time.perf_counter() - begin) * rate) + 1, count)
        lines = [log_line(first + number, at=datetime.now(UTC)) for number in range(sent, due)]
        bench.cloud.publish(EVENTS_TOPIC, [Message(line) for line in lines])
        sent = due
        time.sleep(TICK_SECONDS)
    bench.cloud.wait_quiet(PATIENCE_SECONDS)


def _journey() -> Definition:
    """One message to whoever joins."""
    nodes = [
        {"id": "start", "key": "event", "settings": {"name": "joined"}},
        {"id": "hello", "key": "send_message", "settings": {"message": "Hello {{ event.data.member_id }}"}},
        {"id": "end", "key": "exit"},
    ]
    paths = [{"source": "start", "target": "hello"}, {"source": "hello", "target": "end"}]
    return Definition.model_validate({"id": "hello", "bot_id": BOT, "name": "Hello", "nodes": nodes, "node_paths": paths})
