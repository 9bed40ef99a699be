"""What there is in a seed: journeys and their next versions, log lines, what operators will do. Drawn before anything runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Literal

from pydantic import JsonValue

from sojourn.domain.definition import Definition
from sojourn.domain.event import Event
from sojourn.domain.journey import Migration
from tests.builders import BOT
from tests.simulation.baton import DAY, HOUR, MINUTE, SECOND, moment
from tests.simulation.faults import Swarm, draw_swarm
from tests.simulation.huddles import draw_huddle
from tests.simulation.journeys import BUY, EMITTED, EVENTS, OTHER_JOURNEY, STOP, TRIGGER, draw_journey

JOURNEY = "journey-1"
HUDDLES = 0.35
"""The share of seeds that are huddles."""
MEMBERS = ("ann", "ben", "cem", "dee")
LATE = (MINUTE, 10 * MINUTE, 2 * HOUR)
OPERATIONS = ("cancel_member", "advance_member", "retry_effect", "abandon_effect", "retry_progress")

Operation = Literal["pause", "resume", "extend", "edit", "end", "tend"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A log line: the event, and when it is published, once or more."""

    number: int
    event: Event
    published: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator does, and when. `edit` publishes `definition`; `tend` looks for something that can be set right."""

    at: int
    operation: str
    journey_id: str
    definition: Definition | None = None
    migration: Migration = Migration()


@dataclass(frozen=True, slots=True)
class Plan:
    """The seed's world before it begins to move."""

    seed: int
    swarm: Swarm
    journeys: tuple[Definition, ...]
    members: tuple[str, ...]
    facts: tuple[Fact, ...]
    orders: tuple[Order, ...]
    active: int
    instances: int
    shards: int
    max_nodes: int

    @property
    def size(self) -> str:
        """In a few words."""
        return (
            f"{len(self.journeys)} journeys, {len(self.members)} members, {len(self.facts)} log lines, "
            f"{len(self.orders)} orders, {self.instances} instances, {self.max_nodes} nodes a hop"
        )

    def without(self, *, faults: Collection[str] = (), members: Collection[str] = (), facts: Collection[int] = ()) -> Plan:
        """The same plan with some of it left out."""
        return replace(
            self,
            swarm=self.swarm.without(faults),
            members=tuple(name for name in self.members if name not in members),
            facts=tuple(fact for fact in self.facts if fact.number not in facts and fact.event.member_id not in members),
        )


def draw_plan(seed: int) -> Plan:
    """Everything that the seed says, but what chance does with it later."""
    dice = Random(f"plan {seed}")
    swarm = draw_swarm(dice)
    active = dice.choice((20 * MINUTE, 3 * HOUR, 12 * HOUR))
    journeys = [draw_journey(dice, JOURNEY)]
    if dice.random() < 0.4:
        journeys.append(draw_journey(dice, OTHER_JOURNEY, trigger=dice.choice((TRIGGER, EMITTED))))
    members = MEMBERS[: dice.randint(1, 3)]
    facts = _facts(dice, swarm, members, active)
    orders = _orders(dice, swarm, journeys, active, [fact.published[0] for fact in facts])
    if dice.random() < HUDDLES:
        huddle, events, pauses = draw_huddle(dice, members)
        journeys, active = [huddle], 20 * MINUTE
        facts = tuple(_fact(dice, swarm, number, *event) for number, event in enumerate(events))
        orders = tuple(Order(at, operation, huddle.id) for at, operation in pauses)
    return Plan(
        seed=seed,
        swarm=swarm,
        journeys=tuple(journeys),
        members=members,
        facts=facts,
        orders=orders,
        active=active,
        instances=dice.choice((2, 2, 3, 4)),
        shards=dice.choice((1, 2)),
        max_nodes=dice.choice((1, 2, 3, 32, 32)),
    )


def _facts(dice: Random, swarm: Swarm, members: tuple[str, ...], active: int) -> tuple[Fact, ...]:
    facts: list[Fact] = []
    crowd = dice.randrange(active) if dice.random() < 0.4 else None
    for member in members:
        if crowd is not None:
            facts += [_fact(dice, swarm, len(facts) + more, TRIGGER, member, crowd) for more in range(dice.randint(1, 3))]
        names = [TRIGGER] * dice.randint(1, 2)
        names += dice.choices((*EVENTS, STOP, BUY, EMITTED), (6, 4, 2, 2, 2, 1), k=dice.randint(1, 6))
        for name in names:
            at = dice.choice((dice.randrange(active), dice.randrange(2 * MINUTE)))
            facts.append(_fact(dice, swarm, len(facts), name, member, at))
    return tuple(facts)


def _fact(dice: Random, swarm: Swarm, number: int, name: str, member: str, at: int) -> Fact:
    """Twice: the very same line, or one that the producer wrote again; late: it happened long before it is read."""
    rates = swarm.rates
    late = dice.choice(LATE) if dice.random() < rates.get("event_late", 0) else 0
    published = [at + late + dice.choice((0, 0, dice.randint(-2 * SECOND, 2 * SECOND)))]
    if dice.random() < rates.get("event_twice", 0):
        published.append(published[0] + dice.choice((0, 1, 50, 5 * SECOND, HOUR)))
    return Fact(number, make_event(dice, f"e{number}", name, member, at), tuple(max(0, when) for when in published))


def make_event(dice: Random, id: str, name: str, member: str, at: int) -> Event:
    """An event of a member, with the data that conditions look at."""
    when = (moment(at) + timedelta(minutes=dice.choice((-30, 0, 30, 90, 600)))).isoformat()
    data: dict[str, JsonValue] = {"n": dice.randint(0, 3), "order": dice.randint(1, 2), "when": when}
    return Event(id, name, BOT, member, moment(at), {**data, "bot_id": BOT, "member_id": member})


def _orders(dice: Random, swarm: Swarm, journeys: list[Definition], active: int, busy: list[int]) -> tuple[Order, ...]:
    rates = swarm.rates
    orders: list[Order] = []
    for definition in journeys:
        if dice.random() < rates.get("pause", 0):
            orders += _pauses(dice, definition.id, dice.choice((dice.randrange(active), dice.choice(busy) + 10 * SECOND)))
        if dice.random() < rates.get("republish", 0):
            orders += _republish(dice, definition, active)
        if dice.random() < rates.get("end", 0):
            orders.append(Order(dice.randrange(active // 2, active), "end", definition.id))
        for _ in range(3):
            if dice.random() < rates.get("operator", 0):
                orders.append(Order(dice.randrange(active), dice.choice(OPERATIONS), definition.id))
    return tuple(sorted(orders, key=lambda order: order.at))


def _pauses(dice: Random, journey_id: str, begins: int) -> list[Order]:
    """Some are over before a cached head is."""
    orders: list[Order] = []
    for _ in range(dice.randint(1, 3)):
        ends = begins + dice.choice((10, 2 * SECOND, 3 * SECOND, 4 * SECOND, 7 * SECOND, MINUTE, 20 * MINUTE, 3 * HOUR))
        resume = dice.choice(("resume", "extend"))
        orders += [Order(begins, "pause", journey_id), Order(ends, resume, journey_id)]
        begins = ends + dice.choice((10, 3 * SECOND, 10 * MINUTE))
    return orders


def _republish(dice: Random, definition: Definition, active: int) -> list[Order]:
    """A journey is edited while it is paused; publishing makes it go on."""
    at = dice.randrange(active)
    changed = draw_journey(dice, definition.id, trigger=definition.event_triggers[0].settings.name)
    mode: Literal["pin", "migrate", "cancel"] = dice.choice(("pin", "migrate", "migrate", "cancel"))
    known = [node.id for node in changed.nodes if node.id.startswith("n")]
    nodes = {f"n{dice.randint(1, 6)}": dice.choice(known)} if dice.random() < 0.5 else {}
    migration = Migration(mode, nodes if mode == "migrate" else {}, gone="cancel")
    publish_at = at + dice.choice((10, 8 * SECOND, 10 * MINUTE))
    return [Order(at, "pause", definition.id), Order(publish_at, "edit", definition.id, changed, migration)]


LONGEST = 2 * DAY
"""What the longest wait and a night's sleep come to."""
