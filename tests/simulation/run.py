"""One seed from beginning to end: publish the journeys, let everything happen, wait until faults are over and all rests."""

from __future__ import annotations

import gc
import hashlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sojourn.application.lifecycle import edit_journey, end, pause, publish, publish_journey, resume
from sojourn.application.messages import EVENTS_TOPIC, SWEEPS_TOPIC, SweepMessage
from sojourn.application.operations import advance_member, cancel_member
from sojourn.application.ports import Outgoing
from sojourn.application.repair import abandon_effect, retry_effect, retry_progress
from sojourn.application.workshop import Workshop
from sojourn.domain.effect import Effect
from sojourn.domain.errors import SojournError
from sojourn.domain.event import write_log_entry
from sojourn.domain.journey import Journey, JourneyStatus
from sojourn.domain.progress import Progress
from tests.simulation import rest
from tests.simulation.baton import HOUR, MINUTE, Task, milliseconds
from tests.simulation.plan import Fact, Order, Plan, draw_plan
from tests.simulation.temptation import tempt, tempt_by_head
from tests.simulation.violation import Violation
from tests.simulation.world import World

HORIZON = 30 * HOUR
"""After the last fault: longer than any wait, sleep or backoff."""
MAX_STEPS = 12_000
QUIET = MINUTE
ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000
"""Python's own 700 cost a tenth of the time: a seed's world is small, and is garbage as a whole when the seed is over."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a seed. `violation` is None where every rule held."""

    plan: Plan
    violation: str | None
    world: World

    @property
    def digest(self) -> str:
        """The same for two runs in which the same things happened in the same order."""
        return hashlib.sha256("\n".join(map(str, self.world.trace)).encode()).hexdigest()


def run_seed(seed: int) -> Run:
    """Simulate a seed."""
    return run_plan(draw_plan(seed))


def run_block(seeds: range) -> tuple[int, int | None]:
    """Run seeds until one fails; how many were run, and which failed. In a process of its own: it collects garbage rarely."""
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS)
    for count, seed in enumerate(seeds, start=1):
        if run_seed(seed).violation is not None:
            return count, seed
    return len(seeds), None


def run_plan(plan: Plan) -> Run:
    """Simulate a plan; what chance does with it is the seed's."""
    world = World(plan, plan.swarm, Random(f"chance {plan.seed}"))
    try:
        Simulation(world).run()
    except Violation as violation:
        return Run(plan, str(violation), world)
    except Exception as error:  # noqa: BLE001 - a use case raised what it must not: that is a finding, not an end
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Run(plan, f"raised {error!r} in {place.name} ({place.filename.rpartition('/')[2]}:{place.lineno})", world)
    return Run(plan, None, world)


class Simulation:
    """Drives a world through its plan."""

    def __init__(self, world: World) -> None:
        self.world, self.plan, self.baton = world, world.plan, world.baton
        self.next_tick = MINUTE
        self.orders = 0
        self.baton.comes_next = self.comes_next
        self._looked_at: tuple[int, bool] | None = None
        self._next_work: int | None = None

    def run(self) -> None:
        """From the first publication to the last check."""
        self.world.calm = True
        for definition in self.plan.journeys:
            publish_journey(self.world.operator(), definition)
        self.world.calm = False
        self.world.tempter = self.tempt
        for fact in self.plan.facts:
            self.plan_fact(fact)
        for order in self.plan.orders:
            self.baton.at(order.at, lambda order=order: self.obey(order))  # type: ignore[misc]
        self.baton.at(self.plan.active, self.calm_down)
        while self.advance():
            if self.baton.steps > MAX_STEPS:
                self.calm_down()
            if self.baton.steps > 3 * MAX_STEPS:
                raise Violation("does not come to rest")
        rest.check_pause_between(self.world)
        rest.check_end(self.world)

    def advance(self) -> bool:
        """The next thing, the minute tick among them; False: nothing more will happen before the horizon."""
        baton, world = self.baton, self.world
        following = baton.next_at
        if following is not None and following < self.next_tick and following <= baton.now + QUIET:
            baton.step()
            return True
        tick = self.tick_at()
        if not world.busy() and (following is None or following > baton.now + QUIET):
            rest.check_pause_between(world)
            if world.calm:
                for text in rest.overdue(world):
                    raise Violation(text)
        moments = [one for one in (tick, following) if one is not None]
        if not moments or (world.calm and not world.busy() and min(moments) > self.plan.active + HORIZON):
            return False
        if tick is not None and tick == min(moments):
            self.tick(tick)
        else:
            baton.step()
        return True

    def comes_next(self, when: int) -> bool:
        """What `advance` comes to while somebody is at work: it is not yet time for the tick, nor for faults to be over."""
        baton = self.baton
        if baton.steps >= MAX_STEPS:
            return False
        if when < self.next_tick and when <= baton.now + QUIET:
            return True
        tick = self.tick_at()
        return tick is None or when < tick

    def tick_at(self) -> int | None:
        """The first minute at which the tick has something to do; the others would find nothing."""
        state = (self.world.witness.serial, self.world.calm)
        if self._looked_at != state:
            self._looked_at, self._next_work = state, self.next_work()
        if self._next_work is None:
            return None
        return max(self.next_tick, next_minute(max(self._next_work, self.baton.now)))

    def next_work(self) -> int | None:
        """When the tick will have something to do, as the store is now."""
        moments = [one.sweep_at for one in self.world.swept() if one.sweep_at is not None]
        for head in self.world.store.scan(Journey):
            if head.settling is not None or (self.world.calm and head.status is JourneyStatus.PAUSED):
                return 0
            if head.schedule_end_at is not None and head.status in (JourneyStatus.ONGOING, JourneyStatus.PAUSED):
                moments.append(head.schedule_end_at)
        return milliseconds(min(moments)) if moments else None

    def tick(self, at: int) -> None:
        self.next_tick = at + MINUTE
        self.baton.at(at, self._tick)
        self.baton.step()

    def _tick(self) -> None:
        if self.world.calm:
            self.resume_all()
        if not self.world.hits("tick_lost"):
            self.world.publish(SweepMessage().to(SWEEPS_TOPIC))

    def calm_down(self) -> None:
        """Faults are over; whatever is still paused goes on."""
        if self.world.calm:
            return
        self.world.note("faults are over")
        self.world.calm = True
        self.resume_all()

    def resume_all(self) -> None:
        """What people paused, and what failed so often that it paused itself."""
        for head in list(self.world.store.scan(Journey)):
            if head.status is JourneyStatus.PAUSED:
                self.obey(Order(self.baton.now, "resume", head.id))

    # What people do

    def tempt(self, written: Progress | Journey) -> None:
        """Whatever is written may bring events about."""
        if isinstance(written, Progress):
            fact = tempt(self.world, written)
            facts = [fact] if fact is not None else []
        else:
            facts = tempt_by_head(self.world, written)
        for one in facts:
            self.plan_fact(one)

    def plan_fact(self, fact: Fact) -> None:
        self.world.published.append((min(fact.published), fact.event))
        for when in fact.published:
            self.baton.at(when, lambda: self.log(fact))

    def log(self, fact: Fact) -> None:
        self.world.note(f"log line {fact.event.id}: {fact.event.name} of {fact.event.member_id}")
        self.world.publish(Outgoing(EVENTS_TOPIC, write_log_entry(fact.event)))

    def obey(self, order: Order) -> None:
        """An operator gives an order, and takes no for an answer."""
        self.orders += 1
        task = Task(f"operator {self.orders} {order.operation}", "operator", "operator", self.baton.now)
        shop = self.world.operator()

        def work() -> None:
            try:
                _OPERATIONS[order.operation](self, shop, order)
                self.world.note("done")
            except SojournError as error:
                self.world.note(f"is told: {error}")
                self.world.witness.refused(task, error)

        self.world.start(task, work)

    def edit(self, shop: Workshop, order: Order) -> None:
        assert order.definition is not None
        edit_journey(shop, order.definition)
        publish(shop, order.journey_id, migration=order.migration)

    def of_member(self, operation: Callable[..., object], shop: Workshop, order: Order) -> None:
        operation(shop, order.journey_id, self.world.dice.choice(self.plan.members or ("nobody",)))

    def of_effect(self, operation: Callable[..., object], shop: Workshop, order: Order) -> None:
        found = [one.id for one in self.world.store.scan(Effect) if one.status in ("DEAD", "FAILED")]
        if found:
            operation(shop, self.world.dice.choice(sorted(found)))

    def of_progress(self, operation: Callable[..., object], shop: Workshop, order: Order) -> None:
        found = [one.id for one in self.world.store.scan(Progress) if one.status == "ERROR"]
        if found:
            operation(shop, self.world.dice.choice(sorted(found)))


_OPERATIONS: dict[str, Callable[[Simulation, Workshop, Order], object]] = {
    "pause": lambda _, shop, order: pause(shop, order.journey_id),
    "resume": lambda _, shop, order: resume(shop, order.journey_id),
    "extend": lambda _, shop, order: resume(shop, order.journey_id, extend_waits=True),
    "end": lambda _, shop, order: end(shop, order.journey_id),
    "edit": lambda simulation, shop, order: simulation.edit(shop, order),
    "cancel_member": lambda simulation, shop, order: simulation.of_member(cancel_member, shop, order),
    "advance_member": lambda simulation, shop, order: simulation.of_member(advance_member, shop, order),
    "retry_effect": lambda simulation, shop, order: simulation.of_effect(retry_effect, shop, order),
    "abandon_effect": lambda simulation, shop, order: simulation.of_effect(abandon_effect, shop, order),
    "retry_progress": lambda simulation, shop, order: simulation.of_progress(retry_progress, shop, order),
}


def next_minute(at: int) -> int:
    """The first whole minute from then on."""
    return -(-at // MINUTE) * MINUTE
