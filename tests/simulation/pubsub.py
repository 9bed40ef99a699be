"""Pub/Sub as it is at its worst: at least once, in any order, late; and for what a sweep repairs, sometimes not at all."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sojourn.application import ingest, perform_effects, run_journeys, sweep
from sojourn.application.messages import (
    EFFECTS_TOPIC,
    EVENTS_TOPIC,
    RUNS_TOPIC,
    SWEEPS_TOPIC,
    EffectMessage,
    RunMessage,
    SweepMessage,
    read_message,
)
from sojourn.application.outcome import Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.workshop import Workshop
from sojourn.domain.errors import Unavailable
from sojourn.domain.event import read_log_entry
from tests.simulation.baton import MINUTE, SECOND, Task, moment

if TYPE_CHECKING:
    from tests.simulation.world import World

ACK_DEADLINE = MINUTE
"""When a message comes again whose instance died."""
BACKOFFS = (10 * SECOND, 20 * SECOND, 60 * SECOND)
DELAYS = (5 * SECOND, 30 * SECOND, 5 * MINUTE)
BATCH_CHANCE = 0.15
MAX_BATCH = 3

Handler: TypeAlias = Callable[[Workshop, Sequence[bytes]], list[Outcome]]

HANDLERS: dict[str, tuple[str, Handler]] = {
    EVENTS_TOPIC: ("ingest", lambda shop, data: ingest.ingest(shop, data)),
    RUNS_TOPIC: ("run", lambda shop, data: run_journeys.run_journeys(shop, [read_message(RunMessage, one) for one in data])),
    EFFECTS_TOPIC: (
        "perform",
        lambda shop, data: perform_effects.perform_effects(shop, [read_message(EffectMessage, one) for one in data]),
    ),
    SWEEPS_TOPIC: ("sweep", lambda shop, data: sweep.sweep(shop, [read_message(SweepMessage, one) for one in data])),
}
"""What each topic feeds, found anew at each call, so that a mutation of a module is seen."""


@dataclass(eq=False, slots=True)
class Message:
    """A message on its way; `waiting`: no instance has it now."""

    topic: str
    data: bytes
    number: int
    attempts: int = 0
    waiting: bool = True

    def named(self, field: str) -> str | None:
        """A field of the message."""
        value = json.loads(self.data).get(field)
        return None if value is None else str(value)


class PubSub:
    """Topics, each with one push subscription; an instance is found for every delivery."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._pending: dict[str, list[Message]] = defaultdict(list)
        self._count = 0
        self.flying = 0
        """Messages that are not yet done with."""

    def publish(self, message: Outgoing, *, safely: bool = False) -> None:
        """Take a message. Events are never lost: nothing in the store would know of them."""
        world = self._world
        if message.topic == EVENTS_TOPIC and world.baton.current() is not None:
            event = read_log_entry(message.data, now=moment(world.baton.now + MINUTE))
            assert event is not None
            world.published.append((world.baton.now, event))
        if message.topic == SWEEPS_TOPIC and json.loads(message.data).get("checkup"):
            return  # the doctor comes at the end, and must find nothing to do
        copies = 2 if world.hits("duplicate") and not safely else 1
        for _ in range(copies):
            self._count += 1
            sent = Message(message.topic, message.data, self._count)
            if message.topic != EVENTS_TOPIC and not safely and world.hits("drop"):
                world.note(f"message {sent.number} of {message.topic} is lost")
                self._lost(sent)
                continue
            self.flying += 1
            late = world.hits("delay")
            self._again(sent, world.dice.choice(DELAYS) if late else world.dice.randint(0, 200))

    def _lost(self, message: Message, *, interrupted: bool = False) -> None:
        """A signal that no sweep repeats, or a hop that may have missed its second look: a member may look late."""
        if message.topic == RUNS_TOPIC and (interrupted or message.named("rev") is None):
            self._world.witness.unsignaled(message.named("progress_id") or "")
        elif message.topic == EFFECTS_TOPIC and interrupted:
            self._world.witness.unsignaled(message.named("effect_id") or "")

    def _again(self, message: Message, delay: int) -> None:
        message.waiting = True
        self._pending[message.topic].append(message)
        self._world.baton.at(self._world.baton.now + delay, lambda: self._deliver(message))

    def _deliver(self, message: Message) -> None:
        if not message.waiting:
            return
        batch = [message]
        others = self._pending[message.topic]
        others.remove(message)
        while others and len(batch) < MAX_BATCH and self._world.dice.random() < BATCH_CHANCE:
            batch.append(others.pop(self._world.dice.randrange(len(others))))
        for one in batch:
            one.waiting = False
            one.attempts += 1
        kind, handler = HANDLERS[message.topic]
        instance = self._world.any_instance()
        name = f"{kind} {'+'.join(str(one.number) for one in batch)}@{instance.name}"
        task = Task(name, kind, instance.name, self._world.baton.now, messages=list(batch))
        self._world.start(task, lambda: self._work(task, batch, handler, instance.shop))

    def _work(self, task: Task, batch: list[Message], handler: Handler, shop: Workshop) -> None:
        try:
            outcomes = handler(shop, [message.data for message in batch])
        except Unavailable as error:
            self._world.note(f"503 {error}")
            outcomes = [Outcome("unavailable", retry=True)] * len(batch)
        else:
            if not any(outcome.retry for outcome in outcomes):
                self._world.witness.answered(task)
            self._world.note("answers " + ", ".join(outcome.code for outcome in outcomes))
        for message, outcome in zip(batch, outcomes, strict=True):
            if outcome.retry:
                self._again(message, BACKOFFS[min(message.attempts, len(BACKOFFS)) - 1])
            else:
                self.flying -= 1
        task.messages.clear()

    def abandoned(self, task: Task) -> None:
        """The task's instance died: its messages come again after the deadline, or never where the sweep will find them."""
        for message in task.messages:
            assert isinstance(message, Message)
            if message.topic != EVENTS_TOPIC and self._world.hits("drop"):
                self._lost(message, interrupted=True)
                self.flying -= 1
            else:
                self._again(message, ACK_DEADLINE)
