"""The reference journey: event, branch, wait, branch, split, end. Figures and costs are given for it; here they are counted.

Members are led through it as the cloud would lead them in push mode: one message, one invocation. Memory and emulators
count the same, for both are asked through the same ports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

from bench.counting import CountingPublisher, Ledger, counting_store
from emulator.functions_table import load_functions_table
from emulator.google import start_firestore, start_pubsub
from emulator.pubsub import PubSub
from sojourn.application import messages as topics
from sojourn.application.catalog import Catalog
from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import SweepMessage
from sojourn.application.perform_effects import perform_effects
from sojourn.application.ports import Outgoing
from sojourn.application.run_journeys import run_journeys
from sojourn.application.sweep import sweep
from sojourn.application.workshop import Limits, Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.progress import Progress, Status
from sojourn.runtime.application import InMemory, compose, in_memory
from sojourn.runtime.settings import Settings

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WAIT = timedelta(days=1)
BOT, JOURNEY = "bench", "reference"
IDLE_TICKS = 30
"""Ticks of an idle system: three of them are deep."""


def journey() -> Definition:
    """Conditions over the event; both ways of a branch meet again."""
    nodes: list[dict[str, object]] = [
        {"id": "start", "key": "event", "settings": {"name": "joined"}},
        branch("vip", "event.data.tier == 'gold'"),
        {"id": "day", "key": "wait", "settings": {"duration": "1d"}},
        branch("big", "event.data.total > 100"),
        {"id": "ab", "key": "split", "settings": {"branches": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]}},
        {"id": "end", "key": "exit"},
    ]
    forks = [(source, target, index) for source, target in (("vip", "day"), ("big", "ab"), ("ab", "end")) for index in (0, 1)]
    paths = [("start", "vip", 0), ("day", "big", 0), *forks]
    edges = [{"source": source, "target": target, "index": index} for source, target, index in paths]
    return Definition.model_validate({"id": JOURNEY, "bot_id": BOT, "name": "Reference", "nodes": nodes, "node_paths": edges})


def branch(identifier: str, condition: str) -> dict[str, object]:
    """A node with one condition."""
    return {"id": identifier, "key": "branch", "settings": {"branches": [{"name": "yes", "condition": condition}]}}


def log_line(number: int, *, at: datetime = START, event: str = "joined") -> bytes:
    """The log entry that starts a member; with another event, what they did next."""
    data = {"bot_id": BOT, "member_id": f"m{number}", "total": number, "tier": "gold" if number % 2 else "tin"}
    identifier = f"e{number}" if event == "joined" else f"{event}{number}"
    payload = {"event": event, "metadata": {"support_journey": True, "event_id": identifier}, "data": data}
    return json.dumps({"timestamp": at.isoformat(), "jsonPayload": payload}).encode()


def count(cloud: InMemory, *, members: int, definition: Definition | None = None, then: str | None = None) -> Ledger:
    """Lead members from the log line to the end, by default of the reference journey; `then`: an event that moves them on.

    The ledger's stages: `enter`, `hop`, `effect`, `event`, `sweep`, and `idle` for a quiet tick.
    """
    ledger = Ledger()
    shop = _counted(cloud.shop, ledger)
    publish_journey(cloud.shop, definition or journey())
    for number in range(-1, members):  # the first fills the caches, and is not counted
        ledger.work("enter" if number >= 0 else "warm", partial(ingest, shop, [log_line(number)]))
        _deliver(shop, ledger, warm=number < 0)
    for number in range(-1, members if then else -1):
        line = log_line(number, at=START + timedelta(minutes=1), event=then or "")
        ledger.work("event" if number >= 0 else "warm", partial(ingest, shop, [line]))
        _deliver(shop, ledger, warm=number < 0)
    cloud.clock.set(START + WAIT)
    ledger.work("sweep", partial(sweep, shop, [SweepMessage()]))
    _deliver(shop, ledger)
    left = [progress for progress in cloud.store.scan(Progress) if progress.status is not Status.ENDED]
    assert not left, left[:3]
    for minute in range(1, IDLE_TICKS + 1):
        cloud.clock.set(START + WAIT + timedelta(minutes=minute))
        ledger.work("idle", partial(sweep, shop, [SweepMessage()]))
    return ledger


def _deliver(shop: Workshop, ledger: Ledger, *, warm: bool = False) -> None:
    """Deliver the messages, and those that they bring forth, one at a time."""
    while ledger.published:
        waiting, ledger.published = ledger.published, []
        for message in waiting:
            stage, use_case = _use_case(shop, message)
            ledger.work("warm" if warm else stage, use_case)


def _use_case(shop: Workshop, message: Outgoing) -> tuple[str, Callable[[], object]]:
    match message.topic:
        case topics.RUNS_TOPIC:
            return "hop", partial(run_journeys, shop, [topics.RunMessage.model_validate_json(message.data)])
        case topics.EFFECTS_TOPIC:
            return "effect", partial(perform_effects, shop, [topics.EffectMessage.model_validate_json(message.data)])
        case topics.EVENTS_TOPIC:
            return "event", partial(ingest, shop, [message.data])
        case _:
            raise AssertionError(message)


def _counted(shop: Workshop, ledger: Ledger) -> Workshop:
    store = counting_store(shop.store, ledger)
    return replace(shop, store=store, publisher=CountingPublisher(shop.publisher, ledger), catalog=Catalog(store, shop.clock))


def on_memory(limits: Limits = Limits()) -> InMemory:
    """A cloud in memory."""
    return in_memory(START, limits)


@contextmanager
def on_emulators(limits: Limits = Limits()) -> Iterator[InMemory]:
    """The same over Google's emulators; only the clock is still ours. Raises EmulatorsMissing."""
    with ExitStack() as stack:
        hosts: dict[str, str] = {}
        for name, start in (("firestore", start_firestore), ("pubsub", start_pubsub)):
            emulator = start(on_line=lambda line: None, on_exit=lambda code: None)
            if emulator.child:
                stack.callback(emulator.child.stop)
            emulator.await_ready()
            hosts[f"{name}_emulator_host"] = emulator.host
        project = f"bench-{uuid4().hex[:12]}"
        with PubSub(hosts["pubsub_emulator_host"], project=project) as pubsub:
            table = load_functions_table()
            pubsub.create(table, endpoints=dict.fromkeys(table.functions, "http://127.0.0.1:1/"))
        cloud = in_memory(START, limits)
        real = compose(Settings.model_validate({"project": project, **hosts}))
        shop = replace(real, clock=cloud.clock, catalog=Catalog(real.store, cloud.clock), limits=limits, jobs=cloud.jobs)
        yield replace(cloud, shop=shop, store=real.store)  # type: ignore[arg-type]  # only scanned
