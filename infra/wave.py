"""Nine o'clock: many members are due in one minute, and a slow consumer takes them. A model, and a simulation to hold it to.

::

    minute    0    1    2    3    5    9   17   33   65  125 …    a member who has not moved yet is published again at these
              └────┴── first sight, no write    └── bumped: 1, 2, 4 … 60 minutes

The simulation runs the real `ingest`, `sweep` and `run_journeys` on the memory adapters, on a clock that jumps from minute to
minute; only the consumer is ours: it takes so many messages a minute, duplicates among them. `capacity.md` has the figures.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil

from bench.reference import START, WAIT, journey, log_line, on_memory
from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import RUNS_TOPIC, RunMessage, SweepMessage
from sojourn.application.ports import Outgoing, Publisher
from sojourn.application.run_journeys import run_journeys
from sojourn.application.sweep import sweep
from sojourn.runtime.application import InMemory

BATCH = 100
FIRST_SIGHTS = (0, 1)
FIRST_BUMP, MAX_PAUSE = 2, 60
MAX_MINUTES = 1_000
SEED = 7


@dataclass(frozen=True, slots=True)
class Wave:
    """Members due at once, and messages taken in a minute. `sweep_per_minute`: where a sweep is cut off; None: never."""

    name: str
    members: int
    per_minute: int
    shuffled: bool = False
    sweep_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """Minutes until the last member has moved, and until the queue is empty; messages, bumps and most messages of a member."""

    drained: int
    emptied: int
    messages: float
    bumps: float
    most: int


def schedule(minutes: int) -> list[int]:
    """The minutes after the due one, before `minutes`, at which a member who has not moved is published."""
    moments, pause = [*FIRST_SIGHTS, FIRST_BUMP], 1
    while moments[-1] + pause < minutes:
        moments.append(moments[-1] + pause)
        pause = min(2 * pause, MAX_PAUSE)
    return [moment for moment in moments if moment < minutes]


def predict(wave: Wave) -> Course:
    """Minute by minute. A queue in order serves every first copy before any second, a shuffled one serves all alike."""
    if wave.sweep_per_minute is not None:
        return _handed_over(wave, min(wave.sweep_per_minute, wave.per_minute))
    remaining, queue, published, bumped, copies, minute = float(wave.members), 0.0, 0.0, 0.0, 0, 0
    moments = set(schedule(MAX_MINUTES))
    while remaining >= 0.5 and minute < MAX_MINUTES:
        if minute in moments:
            queue, published, copies = queue + remaining, published + remaining, copies + 1
            bumped += remaining if minute >= FIRST_BUMP else 0.0
        taken = min(float(wave.per_minute), queue)
        served = 1.0 - (1.0 - taken / queue) ** copies if wave.shuffled else min(taken / remaining, 1.0)
        remaining, queue, minute = remaining * (1.0 - served), queue - taken, minute + 1
    emptied = minute + ceil(queue / wave.per_minute)
    return Course(minute, emptied, published / wave.members, bumped / wave.members, copies)


def _handed_over(wave: Wave, per_minute: int) -> Course:
    """A sweep that hands over no more than is taken: one message each, and one bump for whoever is seen after first sight."""
    minutes = ceil(wave.members / per_minute)
    bumped = max(0, wave.members - len(FIRST_SIGHTS) * per_minute)
    return Course(minutes, minutes, 1.0, bumped / wave.members, 1)


class _Cut(Exception):
    """The time of an invocation is over."""


class _CutOff:
    """A publisher that ends an invocation after so many messages, as Cloud Run does after so many seconds."""

    def __init__(self, inner: Publisher, limit: int) -> None:
        self._inner, self._limit, self._left = inner, limit, limit

    def again(self) -> None:
        """A new invocation."""
        self._left = self._limit

    def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
        if self._left < len(messages):
            raise _Cut
        self._left -= len(messages)
        return self._inner.publish_many(messages)


def simulate(wave: Wave) -> Course:
    """The same with the real use cases. Raises RuntimeError where it does not end."""
    cloud = on_memory()
    _enter(cloud, wave.members)
    publisher = _CutOff(cloud.publisher, wave.sweep_per_minute or MAX_MINUTES * wave.members)
    sweeping, chance = replace(cloud.shop, publisher=publisher), random.Random(SEED)
    queue: deque[RunMessage] = deque()
    published: Counter[str] = Counter()
    writes, left, drained = cloud.store.writes["Progress"], wave.members, 0
    for minute in range(MAX_MINUTES):
        cloud.clock.set(START + WAIT + timedelta(minutes=minute))
        publisher.again()
        with suppress(_Cut):
            sweep(sweeping, [SweepMessage()])
        found = [RunMessage.model_validate_json(data) for data in cloud.publisher.take(RUNS_TOPIC)]
        published.update(message.progress_id for message in found)
        queue.extend(found)
        if wave.shuffled:
            chance.shuffle(queue)
        left -= _serve(cloud, queue, wave.per_minute)
        drained = drained or (minute + 1 if left == 0 else 0)
        if left == 0 and not queue:
            bumps = cloud.store.writes["Progress"] - writes - wave.members
            each = wave.members
            return Course(drained, minute + 1, published.total() / each, bumps / each, max(published.values()))
    raise RuntimeError(f"{wave}: {left} members have not moved after {MAX_MINUTES} minutes")


def _enter(cloud: InMemory, members: int) -> None:
    publish_journey(cloud.shop, journey())
    for start in range(0, members, BATCH):
        ingest(cloud.shop, [log_line(number) for number in range(start, min(start + BATCH, members))])
        run_journeys(cloud.shop, [RunMessage.model_validate_json(data) for data in cloud.publisher.take(RUNS_TOPIC)])


def _serve(cloud: InMemory, queue: deque[RunMessage], limit: int) -> int:
    """Take so many messages; how many members moved."""
    moved, taken = 0, min(limit, len(queue))
    for start in range(0, taken, BATCH):
        batch = [queue.popleft() for _ in range(min(BATCH, taken - start))]
        moved += sum(outcome.code == "advanced" for outcome in run_journeys(cloud.shop, batch))
    return moved


WAVES = (
    Wave("served within the minute", 20_000, 20_000),
    Wave("five minutes, in order", 20_000, 4_000),
    Wave("half an hour, in order", 20_000, 600),
    Wave("half an hour, in any order", 20_000, 600, shuffled=True),
    Wave("a sweep that hands over no more than is taken", 20_000, 5_000, sweep_per_minute=5_000),
)
