"""A cloud in memory at START, for use cases that are called directly."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC, SWEEPS_TOPIC, EffectMessage, RunMessage, SweepMessage
from sojourn.application.outcome import Outcome
from sojourn.application.perform_effects import perform_effects
from sojourn.application.records import R
from sojourn.application.run_journeys import run_journeys
from sojourn.application.sweep import sweep
from sojourn.domain.definition import Definition
from sojourn.domain.progress import Progress
from sojourn.runtime.application import InMemory, in_memory
from tests.builders import START


@dataclass
class Cloud:
    """The use cases over one set of memory adapters."""

    memory: InMemory = field(default_factory=lambda: in_memory(START))

    def publish(self, definition: Definition) -> None:
        publish_journey(self.memory.shop, definition)

    def at(self, now: object) -> None:
        self.memory.clock.set(now)  # type: ignore[arg-type]

    def log(self, *entries: bytes) -> list[Outcome]:
        return ingest(self.memory.shop, entries)

    def hop(self, *messages: RunMessage) -> list[Outcome]:
        """Run the given messages, or those that wait in the topic."""
        waiting = [RunMessage.model_validate_json(data) for data in self.memory.publisher.take(RUNS_TOPIC)]
        return run_journeys(self.memory.shop, messages or waiting)

    def perform(self, *messages: EffectMessage) -> list[Outcome]:
        waiting = [EffectMessage.model_validate_json(data) for data in self.memory.publisher.take(EFFECTS_TOPIC)]
        return perform_effects(self.memory.shop, messages or waiting)

    def settle(self) -> list[Outcome]:
        """Page after page, until a change of a journey's head has reached everybody."""
        outcomes: list[Outcome] = []
        while messages := [SweepMessage.model_validate_json(data) for data in self.memory.publisher.take(SWEEPS_TOPIC)]:
            outcomes += sweep(self.memory.shop, messages)
        return outcomes

    def sweep(self) -> Outcome:
        return sweep(self.memory.shop, [SweepMessage()])[0]

    def all(self, kind: type[R]) -> list[R]:
        return list(self.memory.store.scan(kind))

    def only(self, kind: type[R]) -> R:
        found = self.all(kind)
        assert len(found) == 1, found
        return found[0]

    @property
    def progress(self) -> Progress:
        return self.only(Progress)

    def waiting(self, topic: str) -> list[dict[str, object]]:
        """What waits in a topic; it is gone from there then."""
        return [json.loads(data) for data in self.memory.publisher.take(topic)]


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()
