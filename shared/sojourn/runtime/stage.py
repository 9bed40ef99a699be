"""The stage of a rehearsal: a cloud in memory around the real use cases, whose clock jumps from one due moment to the next.

Nothing leaves it: every channel answers what it was told to. It gives up after `MAX_MESSAGES` messages or `PATIENCE_SECONDS`:
journeys may feed themselves for longer than anybody waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import TypeAlias

from pydantic import JsonValue

from sojourn.application.enroll import enroll
from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import publish
from sojourn.application.messages import (
    EFFECTS_TOPIC,
    ENROLLMENTS_TOPIC,
    EVENTS_TOPIC,
    RUNS_TOPIC,
    SWEEPS_TOPIC,
    Delivered,
    EffectMessage,
    EnrollMessage,
    RunMessage,
    SweepMessage,
    read_message,
)
from sojourn.application.outcome import Outcome
from sojourn.application.perform_effects import perform_effects
from sojourn.application.ports import Channel
from sojourn.application.records import Create
from sojourn.application.run_journeys import run_journeys
from sojourn.application.sweep import sweep
from sojourn.application.workshop import Limits, Workshop
from sojourn.domain.breaker import BreakerPolicy
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Delivery, Effect
from sojourn.domain.journey import Journey, JourneyStatus
from sojourn.domain.loading import dump_definition
from sojourn.domain.progress import Progress
from sojourn.domain.retry import RetryPolicy
from sojourn.runtime.application import in_memory

MAX_MESSAGES = 5_000
PATIENCE_SECONDS = 10.0
BATCH = 20
"""Messages that a use case is given at once; then patience is looked at."""
TICK = timedelta(minutes=1)

UseCase: TypeAlias = Callable[[Workshop, list[bytes]], list[Outcome]]
USE_CASES: Mapping[str, UseCase] = {
    EVENTS_TOPIC: ingest,
    EFFECTS_TOPIC: lambda shop, data: perform_effects(shop, [read_message(EffectMessage, one) for one in data]),
    RUNS_TOPIC: lambda shop, data: run_journeys(shop, [read_message(RunMessage, one) for one in data]),
    SWEEPS_TOPIC: lambda shop, data: sweep(shop, [read_message(SweepMessage, one) for one in data]),
    ENROLLMENTS_TOPIC: lambda shop, data: enroll(
        shop, [Delivered(read_message(EnrollMessage, one), shop.now()) for one in data]
    ),
}
"""What each topic feeds, as in `infra/functions.json`."""


class Stage:
    """A cloud in memory at `start`, with the limits and channels of `shop`, if any.

    Channels answer what `answers` says by node. One that nobody configured is there too: how long a fault of the cloud lasts is
    not the journey's.
    """

    def __init__(
        self, start: datetime, answers: Mapping[str, Delivery], *, shop: Workshop | None, channels: Iterable[str]
    ) -> None:
        limits = Limits(shards=1) if shop is None else replace(shop.limits, shards=1)
        self._memory = in_memory(start, limits)
        known = (shop or self._memory.shop).channels
        played = {name: _Played(answers) for name in channels} | {name: _played(known[name], answers) for name in known}
        self.shop = replace(self._memory.shop, channels=played)
        self._deadline = monotonic() + PATIENCE_SECONDS

    @property
    def exhausted(self) -> bool:
        """Whether it has given up."""
        return sum(self._memory.publisher.published.values()) > MAX_MESSAGES or monotonic() > self._deadline

    def publish(self, definition: Definition, version: int) -> None:
        """Publish the definition as that version, whatever became of the journey before. Scripted failures do not pause it."""
        settings = definition.settings.model_copy(update={"pause_on_failures": None})
        now, draft = self.shop.now(), dump_definition(definition.model_copy(update={"settings": settings}))
        head = Journey(definition.id, definition.bot_id, definition.name, JourneyStatus.DRAFT, version - 1 or None, now, now)
        self.shop.store.commit_many([(Create(replace(head, draft=draft)),)])
        publish(self.shop, definition.id)
        self.settle()

    def settle(self) -> None:
        """Deliver what the topics hold, and what that brings forth, until all is quiet, or too much."""
        queue: deque[tuple[str, bytes]] = deque()
        while not self.exhausted:
            queue.extend((topic, data) for topic in USE_CASES for data in self._memory.publisher.take(topic))
            if not queue:
                return
            topic = queue[0][0]
            batch = [queue.popleft()[1] for _ in range(BATCH) if queue and queue[0][0] == topic]
            USE_CASES[topic](self.shop, batch)

    def move_to(self, moment: datetime) -> None:
        """Set the clock; it never goes back."""
        self._memory.clock.set(moment)

    def tick(self) -> None:
        """What the minute tick does: whatever is due goes on."""
        sweep(self.shop, [SweepMessage()])
        self.settle()

    def due(self) -> datetime | None:
        """The next moment at which something is due by itself; None: nothing ever will be."""
        store, now = self.shop.store, self.shop.now()
        moments = {*(one.sweep_at for one in store.scan(Progress)), *(one.sweep_at for one in store.scan(Effect))} - {None}
        if not moments:
            return None
        ends = {head.schedule_end_at for head in store.journeys([JourneyStatus.ONGOING])}
        first = min(moment for moment in moments | ends if moment is not None)
        return first if first > now else now + TICK


@dataclass(slots=True)
class _Played:
    """A channel that sends nothing. What it was given is kept in the effect; what fails for one member opens no breaker."""

    answers: Mapping[str, Delivery]
    idempotent: bool = True
    resend_when_uncertain: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerPolicy | None = None

    def deliver(self, effect: Effect, message: JsonValue, *, url: str | None = None) -> Delivery:
        return self.answers.get(effect.node_id, Delivery("delivered"))


def _played(channel: Channel, answers: Mapping[str, Delivery]) -> _Played:
    return _Played(answers, channel.idempotent, channel.resend_when_uncertain, channel.retry)
