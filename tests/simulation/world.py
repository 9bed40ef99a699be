"""The world of one seed: a store, Pub/Sub, instances with clocks of their own, people who do things, operators who interfere.

Everything that happens is drawn from one seed. Two sources of dice: `plan` for what there is (journeys, members, events), so
that leaving something out of it leaves the rest as it was; `dice` for what befalls it on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, cast

from pydantic import JsonValue

from sojourn.adapters.memory import MemoryStore
from sojourn.application.catalog import Catalog
from sojourn.application.ports import Outgoing, Store
from sojourn.application.records import Commit, CommitResult
from sojourn.application.workshop import Limits, Workshop
from sojourn.domain.effect import Effect
from sojourn.domain.event import Event
from sojourn.domain.journey import Journey
from sojourn.domain.progress import Progress
from sojourn.runtime.application import in_memory
from tests.builders import START
from tests.simulation.baton import Baton, Crash, Task, moment
from tests.simulation.faults import Swarm
from tests.simulation.ports import (
    LATENCIES,
    SLOW_CALLS,
    STALLS,
    SimulatedChannel,
    SimulatedClock,
    SimulatedPublisher,
    SimulatedStore,
    SimulatedTokens,
)
from tests.simulation.pubsub import PubSub
from tests.simulation.witness import Witness

if TYPE_CHECKING:
    from tests.simulation.plan import Plan

MAX_SKEW_SECONDS = 4
NOBODY = "world"


@dataclass(eq=False, slots=True)
class Instance:
    """A process of the engine: its workshop, whose catalog is its own and dies with it."""

    name: str
    skew: int
    shop: Workshop


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the trace."""

    at: int
    who: str
    what: str

    def __str__(self) -> str:
        return f"{moment(self.at):%d %H:%M:%S.%f}"[:-3] + f"  {self.who:<22} {self.what}"


@dataclass(eq=False)
class World:
    """What the simulated instances share. `calm`: faults are over."""

    plan: Plan
    swarm: Swarm
    dice: Random
    baton: Baton = field(init=False)
    store: MemoryStore = field(default_factory=MemoryStore)
    calm: bool = False
    tokens: int = 0
    temptations: int = 0
    trace: list[Line] = field(default_factory=list)
    published: list[tuple[int, Event]] = field(default_factory=list)
    """Events that producers log and journeys emit, and when they do so first."""

    def __post_init__(self) -> None:
        self.baton = Baton(self.dice)
        self.limits = Limits(max_nodes_per_hop=self.plan.max_nodes, shards=self.plan.shards)
        self.witness = Witness(self)
        self.pubsub = PubSub(self)
        self.instances = [self._instance(f"i{number}") for number in range(self.plan.instances)]
        self._busy: dict[str, dict[Task, None]] = {instance.name: {} for instance in self.instances}
        self.fired: set[str] = set()
        """Faults that struck."""
        self.tempter: Callable[[Progress | Journey], None] = lambda _: None
        """Told of every passage as it is written."""

    def _instance(self, name: str) -> Instance:
        furthest = MAX_SKEW_SECONDS * 1_000
        skew = self.dice.randint(-furthest, furthest) if "skew" in self.swarm.rates else 0
        return Instance(name, skew, self._shop(name, skew))

    def _shop(self, name: str, skew: int) -> Workshop:
        """Composed as the product composes one in memory, with the simulated ports in the places of those."""
        composed = in_memory(START, self.limits).shop
        store, clock = cast(Store, SimulatedStore(self, name)), SimulatedClock(self, skew)
        channels = {
            "mailbox": SimulatedChannel(self, "mailbox", idempotent=True),
            "letter": SimulatedChannel(self, "letter", idempotent=False),
            "webhook": SimulatedChannel(self, "webhook", idempotent=True),
        }
        return replace(
            composed,
            store=store,
            publisher=SimulatedPublisher(self),
            clock=clock,
            tokens=SimulatedTokens(self),
            channels=channels,
            catalog=Catalog(store, clock),
        )

    def operator(self) -> Workshop:
        """A workshop for an operator's command: a process of its own."""
        return self._shop("operator", 0)

    def any_instance(self) -> Instance:
        """One of them, at random."""
        return self.dice.choice(self.instances)

    # What goes wrong

    def hits(self, fault: str) -> bool:
        """Whether the fault strikes now."""
        rate = self.swarm.rates.get(fault)
        if rate is None or self.calm or self.dice.random() >= rate:
            return False
        self.fired.add(fault)
        return True

    def breathe(self) -> None:
        """A call of a port takes its time, and others have the baton meanwhile."""
        if self.hits("stall"):
            self.doubt()
            self.baton.wait(self.dice.choice(STALLS))
        else:
            self.baton.wait(self.dice.choice(SLOW_CALLS if self.hits("slow_call") else LATENCIES))

    def crash(self, fault: str) -> None:
        """Perhaps the instance of this task dies here, with all that it was doing; a new one takes its place."""
        task = self.baton.current()
        if task is None or not self.hits(fault):
            return
        self.note(f"{task.instance} dies: {fault}")
        for other in list(self._busy[task.instance]):
            self._doubtful(other)
            if other is not task:
                self.baton.at(self.baton.now, lambda other=other: self.baton.kill(other))  # type: ignore[misc]
        for instance in self.instances:
            if instance.name == task.instance:
                instance.shop = self._shop(instance.name, instance.skew)
        raise Crash

    def doubt(self) -> None:
        """What this task does is uncertain from here on: its effects may be delivered more than once, or given up."""
        task = self.baton.current()
        if task is not None:
            self._doubtful(task)

    def _doubtful(self, task: Task) -> None:
        if task.kind == "perform":
            self.witness.doubtful(task)

    # What happens

    def start(self, task: Task, work: Callable[[], None]) -> None:
        """Run a task in an instance; should it crash, its messages come again."""
        busy = self._busy.setdefault(task.instance, {})
        busy[task] = None

        def guarded() -> None:
            try:
                work()
            except Crash:
                self.pubsub.abandoned(task)
                raise
            finally:
                busy.pop(task, None)

        self.baton.start(task, guarded)

    def commit(self, commit: Commit) -> CommitResult:
        """Apply a commit, in front of the witness."""
        before = [self.store.get_many(type(write.record), [write.record.id])[0] for write in commit]  # type: ignore[type-var]
        result = self.store.commit_many([commit])[0]
        task = self.baton.current()
        if result is CommitResult.APPLIED:
            self.witness.committed(task, commit, [one.value if one else None for one in before])
        else:
            self.note(f"commit of {type(commit[0].record).__name__} {commit[0].record.id[:6]}: {result.name}")
        return result

    def arrived(self, effect: Effect, message: JsonValue, channel: SimulatedChannel) -> None:
        """A message has reached the member."""
        self.note(f"delivered {effect.id[:6]} over {channel.name}")
        self.witness.arrived(effect, message, idempotent=channel.idempotent)

    def publish(self, message: Outgoing) -> None:
        """The world itself publishes: a producer's log line, the minute tick."""
        self.pubsub.publish(message)

    def note(self, what: str) -> None:
        """Write a line of the trace."""
        task = self.baton.current()
        self.trace.append(Line(self.baton.now, task.name if task else NOBODY, what))

    def swept(self) -> list[Progress | Effect]:
        """All that the sweep may have to look at."""
        return [*self.store.scan(Progress), *self.store.scan(Effect)]

    def busy(self) -> bool:
        """Whether any message or task is on its way."""
        return self.pubsub.flying > 0 or any(self._busy.values())
