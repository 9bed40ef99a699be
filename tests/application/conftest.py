"""A cloud at START, for use cases that are called directly: on the memory adapters, and on Google's emulators.

A test that takes `cloud` runs on both. One that takes `memory_cloud` asks the memory store what it was asked to do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, get_args

import pytest

from emulator.scheduler import SchedulerEmulator
from sojourn.adapters.cloud_scheduler import CloudJobs
from sojourn.adapters.firestore_store import FirestoreStore
from sojourn.adapters.memory import ManualClock, MemoryMailbox, MemoryStore
from sojourn.adapters.pubsub import PubSubPublisher
from sojourn.application.catalog import Catalog
from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC, SWEEPS_TOPIC, EffectMessage, RunMessage, SweepMessage
from sojourn.application.outcome import Outcome
from sojourn.application.perform_effects import perform_effects
from sojourn.application.ports import JobScheduler, Outgoing, Publisher, Store
from sojourn.application.records import R, Record
from sojourn.application.run_journeys import run_journeys
from sojourn.application.sweep import sweep
from sojourn.application.workshop import Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.progress import Progress
from sojourn.runtime.application import in_memory
from tests.builders import START
from tests.subscriptions import Subscriptions


class Topics(Publisher, Protocol):
    """A publisher that hands over what it published."""

    def take(self, topic: str) -> list[bytes]:
        """What waits in the topic, in no order; it is gone from there then."""
        ...


@dataclass
class Cloud:
    """The use cases over one set of adapters; they work in `shop`, which a test may replace."""

    shop: Workshop
    topics: Topics
    clock: ManualClock
    mailbox: MemoryMailbox

    @property
    def store(self) -> Store:
        return self.shop.store

    @property
    def jobs(self) -> JobScheduler:
        return self.shop.jobs

    def publish(self, definition: Definition) -> None:
        publish_journey(self.shop, definition)

    def at(self, now: datetime) -> None:
        self.clock.set(now)

    def log(self, *entries: bytes) -> list[Outcome]:
        return ingest(self.shop, entries)

    def hop(self, *messages: RunMessage) -> list[Outcome]:
        """Run the given messages, or those that wait in the topic."""
        waiting = [RunMessage.model_validate_json(data) for data in self.topics.take(RUNS_TOPIC)]
        return run_journeys(self.shop, messages or waiting)

    def perform(self, *messages: EffectMessage) -> list[Outcome]:
        waiting = [EffectMessage.model_validate_json(data) for data in self.topics.take(EFFECTS_TOPIC)]
        return perform_effects(self.shop, messages or waiting)

    def settle(self) -> list[Outcome]:
        """Page after page, until a change of a journey's head has reached everybody."""
        outcomes: list[Outcome] = []
        while messages := [SweepMessage.model_validate_json(data) for data in self.topics.take(SWEEPS_TOPIC)]:
            outcomes += sweep(self.shop, messages)
        return outcomes

    def sweep(self) -> Outcome:
        return sweep(self.shop, [SweepMessage()])[0]

    def all(self, kind: type[R]) -> list[R]:
        return list(self.store.scan(kind))

    def only(self, kind: type[R]) -> R:
        found = self.all(kind)
        assert len(found) == 1, found
        return found[0]

    def documents(self) -> dict[tuple[str, str], Record]:
        """Everything that is stored; every write changes it, for it has a token of its own."""
        return {(kind.__name__, record.id): record for kind in get_args(Record) for record in self.store.scan(kind)}

    @property
    def progress(self) -> Progress:
        return self.only(Progress)

    def waiting(self, topic: str) -> list[dict[str, object]]:
        """What waits in a topic; it is gone from there then."""
        return [json.loads(data) for data in self.topics.take(topic)]


class MemoryCloud(Cloud):
    """One whose store counts what it is asked to do."""

    @property
    def store(self) -> MemoryStore:
        assert isinstance(self.shop.store, MemoryStore)
        return self.shop.store


def instead(port: object, method: str, do: Callable[..., object]) -> None:
    """`do` stands in for the next call of a port's method; by the time it runs, the method is itself again."""

    def stand_in(*arguments: object, **options: object) -> object:
        delattr(port, method)
        return do(*arguments, **options)

    setattr(port, method, stand_in)


class EmulatedTopics:
    """Pub/Sub's emulator: a topic is there as soon as something is published to it."""

    def __init__(self, publisher: Publisher, subscriptions: Subscriptions) -> None:
        self._publisher, self._subscriptions = publisher, subscriptions
        self._waiting: Counter[str] = Counter()

    def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
        for topic in {message.topic for message in messages}:
            self._subscriptions.open(topic)
        taken = self._publisher.publish_many(messages)
        self._waiting.update(message.topic for message, done in zip(messages, taken, strict=True) if done)
        return taken

    def take(self, topic: str) -> list[bytes]:
        return self._subscriptions.pull(topic, self._waiting.pop(topic, 0))


@pytest.fixture
def memory_cloud() -> MemoryCloud:
    memory = in_memory(START)
    return MemoryCloud(memory.shop, memory.publisher, memory.clock, memory.mailbox)


@pytest.fixture(scope="session")
def scheduler_host() -> Iterator[str]:
    """host:port of the Cloud Scheduler emulator; no job ever runs in it, its clock stands still."""
    with SchedulerEmulator(lambda *_: None, clock=lambda: START) as emulator:
        yield emulator.host


@pytest.fixture
def emulators_cloud(project: str, firestore_host: str, pubsub_host: str, scheduler_host: str) -> Iterator[Cloud]:
    """Store, topics and jobs are the real adapters on the emulators; time and the mailbox are the test's own."""
    memory = in_memory(START)
    with (
        closing(FirestoreStore(project, emulator_host=firestore_host)) as store,
        closing(PubSubPublisher(project, emulator_host=pubsub_host)) as publisher,
        closing(CloudJobs(project, "us-central1", emulator_host=scheduler_host)) as jobs,
        Subscriptions(project, host=pubsub_host) as subscriptions,
    ):
        topics = EmulatedTopics(publisher, subscriptions)
        catalog = Catalog(store, memory.clock)
        shop = replace(memory.shop, store=store, publisher=topics, catalog=catalog, jobs=jobs)
        yield Cloud(shop, topics, memory.clock, memory.mailbox)


@pytest.fixture(params=["memory", pytest.param("emulators", marks=pytest.mark.emulators)])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Both, one after the other."""
    found = request.getfixturevalue(f"{request.param}_cloud")
    assert isinstance(found, Cloud)
    return found
