"""The demo: a scenario, played on the local cloud step by step, in-process or on Google's emulators.

::

    each step:  set the clock ─▶ route the lines that arrived ─▶ until quiet ─▶ tick ─▶ until quiet

Both clouds run the same functions; what differs is whether messages travel in lists or over HTTP. So both end with the same
figures, whatever the order of messages within a step and however often each is delivered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Protocol

from emulator.clock_file import write_clock
from emulator.in_process import InProcessCloud
from emulator.local_cloud import EVENTS_TOPIC, SINK_FILTER, TICK_TOPIC, LocalCloud, LocalCloudSettings, Say
from emulator.log_router.entry import LogSource
from emulator.log_router.filter import compile_filter
from emulator.log_router.router import LogRouter, RoutedEntry
from emulator.pubsub import Message
from emulator.scenarios.shop import LogLine, Scenario
from emulator.snapshot import Snapshot
from sojourn.application.lifecycle import publish_journey
from sojourn.application.records import Create
from sojourn.application.workshop import Limits, Workshop
from sojourn.domain.effect import Effect
from sojourn.domain.journey import RejectedEvent
from sojourn.domain.progress import Progress
from sojourn.runtime.application import compose
from sojourn.runtime.settings import VARIABLES, read_settings

PROJECT = "sojourn-demo"
QUIET_SECONDS = 60.0
"""How long the emulators may take to come to rest after one step."""


class DemoCloud(Protocol):
    """A cloud whose time can be moved."""

    @property
    def shop(self) -> Workshop:
        """A workshop on the cloud's own stores, to prepare and to inspect them."""
        ...

    def move_to(self, now: datetime) -> None:
        """Set the clock of every function."""
        ...

    def publish(self, topic: str, data: Sequence[bytes]) -> None:
        """Publish, and return when nothing is on its way any more."""
        ...

    def deliveries(self) -> dict[str, int]:
        """How often the mailbox was given each message, by effect id."""
        ...

    def outcomes(self) -> dict[str, int]:
        """What the functions answered, counted."""
        ...


def play(cloud: DemoCloud, scenario: Scenario) -> Iterator[datetime]:
    """Play the scenario; yields the time after each step, for whoever shows progress."""
    cloud.move_to(scenario.start)
    for definition in scenario.definitions:
        publish_journey(cloud.shop, definition)
    cloud.shop.store.commit_many([(Create(member),) for member in scenario.members])
    published: list[bytes] = []
    routers = {service: _router(service, published, cloud.shop) for service in {line.service for line in scenario.lines}}
    for now, lines in _steps(scenario):
        cloud.move_to(now)
        for line in lines:
            routers[line.service].route([line.raw])
        if published:
            cloud.publish(EVENTS_TOPIC, published)
            published.clear()
        cloud.publish(TICK_TOPIC, [b"{}"])
        yield now


def snapshot(cloud: DemoCloud, scenario: Scenario) -> Snapshot:
    """What the stores hold now."""
    store = cloud.shop.store
    return Snapshot(
        now=cloud.shop.now(),
        definitions=tuple(scenario.definitions),
        members=tuple(scenario.members),
        progress=tuple(store.scan(Progress)),
        effects=tuple(store.scan(Effect)),
        rejected=tuple(store.scan(RejectedEvent)),
        deliveries=cloud.deliveries(),
        outcomes=cloud.outcomes(),
    )


def _steps(scenario: Scenario) -> Iterator[tuple[datetime, list[LogLine]]]:
    lines = iter(sorted(scenario.lines, key=lambda line: line.arrives_at))
    line = next(lines, None)
    now = scenario.start
    while now < scenario.end:
        now += scenario.step
        arrived: list[LogLine] = []
        while line is not None and line.arrives_at <= now:
            arrived.append(line)
            line = next(lines, None)
        yield now, arrived


def _router(service: str, published: list[bytes], shop: Workshop) -> LogRouter:
    def publish(entries: Sequence[RoutedEntry]) -> None:
        published.extend(entry.data for entry in entries)

    sink_filter = compile_filter(SINK_FILTER.read_text())
    return LogRouter(sink_filter, source=LogSource(PROJECT, service), publish=publish, now=shop.now)


class InProcessDemo(AbstractContextManager["InProcessDemo"]):
    """The demo on lists: see `InProcessCloud`."""

    def __init__(self, start: datetime, *, limits: Limits = Limits(), copies: int = 1, seed: int | None = None) -> None:
        self._cloud = InProcessCloud(start, limits=limits, copies=copies, seed=seed)
        self.shop = self._cloud.memory.shop

    def __enter__(self) -> InProcessDemo:
        self._cloud.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._cloud.__exit__(*exc_info)

    def move_to(self, now: datetime) -> None:
        self._cloud.move_to(now)

    def publish(self, topic: str, data: Sequence[bytes]) -> None:
        self._cloud.publish(topic, data)

    def deliveries(self) -> dict[str, int]:
        return dict(self._cloud.memory.mailbox.deliveries)

    def outcomes(self) -> dict[str, int]:
        return dict(self._cloud.outcomes)


class EmulatorDemo(AbstractContextManager["EmulatorDemo"]):
    """The demo on Google's emulators: one process per function, all of them reading the time from one file."""

    def __init__(
        self, start: datetime, *, limits: Limits = Limits(), copies: int = 1, say: Say = lambda source, text: None
    ) -> None:
        self._start, self._limits, self._copies, self._say = start, limits, copies, say

    def __enter__(self) -> EmulatorDemo:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="sojourn-demo-")))
            self._clock_file = folder / "clock"
            write_clock(self._clock_file, self._start)
            self._local = stack.enter_context(LocalCloud(self._settings(folder), say=self._say))
            self.shop = compose(read_settings(self._local.environment))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _settings(self, folder: Path) -> LocalCloudSettings:
        """A project of its own: emulators that ran already may hold another demo's documents."""
        environment = {
            VARIABLES["clock_file"]: str(self._clock_file),
            VARIABLES["max_nodes_per_hop"]: str(self._limits.max_nodes_per_hop),
            VARIABLES["shards"]: str(self._limits.shards),
        }
        project = f"{PROJECT}-{token_hex(4)}"
        return LocalCloudSettings(
            project=project, copies=self._copies, ticking=False, environment=environment, state_dir=folder
        )

    def move_to(self, now: datetime) -> None:
        write_clock(self._clock_file, now)

    def publish(self, topic: str, data: Sequence[bytes]) -> None:
        self._local.publish(topic, [Message(item) for item in data])
        self._local.wait_quiet(QUIET_SECONDS)

    def deliveries(self) -> dict[str, int]:
        return {message.key: message.deliveries for message in self._local.mailbox.messages}

    def outcomes(self) -> dict[str, int]:
        return dict(self._local.traffic.outcomes)
