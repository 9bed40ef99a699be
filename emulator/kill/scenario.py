"""Who does what when: members on two journeys, and the log lines they cause, minute by minute. The same for the same seed.

A trial waits for the profile from its second to its tenth minute; what members do lies before, at, inside and after that.
Offsets are minutes since the entry. A kill may hold a member up for some minutes: events inside keep that far from the edges.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from sojourn.domain.definition import Definition
from sojourn.domain.progress import Status
from sojourn.runtime.definition_file import definition_from_text

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BOT, TRIAL, ORDERS = "kill-test", "trial", "orders"
STARTED, COMPLETED, CLOSED, ORDERED = "trial.started", "profile.completed", "account.closed", "order.placed"
FOLDER = Path(__file__).parent
RECEIVER = "https://receiver.invalid"
"""Stands in the journeys' files for the address of the receiver."""
MEMBERS_PER_ORDERER = 5
ORDER_PAIRS = ((0, 1), (10, 11))
"""Of the orders of each pair one enters: the other comes while the first is on its way."""
FIRST_ORDERS = tuple(first for first, _ in ORDER_PAIRS)
ORDER_TOO_MANY = 18
LAST_OFFSET = 18
REPEATED = 0.15
"""The share of lines that are written twice, at once or a minute later."""


@dataclass(frozen=True, slots=True)
class Way:
    """What a member does, and what must come of it: how the wait may be left, how the passage may be over.

    `weight` is how many of a hundred members go this way.
    """

    weight: int
    does: tuple[tuple[int, str], ...]
    branches: frozenset[str]
    statuses: frozenset[Status]


_EITHER = frozenset({"completed", "timeout"})
_COMPLETED, _TIMEOUT = frozenset({"completed"}), frozenset({"timeout"})
_ENDS, _LEAVES = frozenset({Status.ENDED}), frozenset({Status.CANCELED})
WAYS: Mapping[str, Way] = {
    "silent": Way(10, (), _TIMEOUT, _ENDS),
    "too early": Way(10, ((1, COMPLETED),), _TIMEOUT, _ENDS),
    "as the wait begins": Way(12, ((2, COMPLETED),), _EITHER, _ENDS),
    "inside": Way(20, ((6, COMPLETED),), _COMPLETED, _ENDS),
    "inside, twice": Way(8, ((6, COMPLETED), (6, COMPLETED)), _COMPLETED, _ENDS),
    "as the wait ends": Way(10, ((10, COMPLETED),), _EITHER, _ENDS),
    "too late": Way(5, ((17, COMPLETED),), _TIMEOUT, _ENDS),
    "starts again": Way(5, ((5, STARTED),), _TIMEOUT, _ENDS),
    "leaves soon": Way(5, ((1, CLOSED),), frozenset(), _LEAVES),
    "leaves as the wait begins": Way(5, ((2, CLOSED),), frozenset(), _LEAVES),
    "leaves inside": Way(5, ((6, CLOSED),), frozenset(), _LEAVES),
    "leaves as the wait ends": Way(5, ((10, CLOSED),), _TIMEOUT, _ENDS | _LEAVES),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One member: the number, the way they go, the minute of their entry; every fifth also orders."""

    number: int
    way: str
    minute: int

    @property
    def member_id(self) -> str:
        """The member's id within the bot."""
        return f"m-{self.number:05}"

    @property
    def orders(self) -> bool:
        """Whether this member is on the journey with the repeat rules, too."""
        return self.number % MEMBERS_PER_ORDERER == 0

    def order_id(self, offset: int) -> str:
        """The id of the event of an order, which is also its passage's entry key."""
        return f"{self.member_id}-order-{offset}"


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a member; it happens at `minute`."""

    plan: Plan
    name: str
    id: str
    minute: int

    @property
    def at(self) -> datetime:
        """The event's own time."""
        return moment(self.minute)

    @property
    def enters(self) -> str | None:
        """The journey that the member must be on once this is taken in; None where that depends on what else they do."""
        if self.name == STARTED:
            return TRIAL
        return ORDERS if self.name == ORDERED and self.minute - self.plan.minute in FIRST_ORDERS else None

    @property
    def line(self) -> bytes:
        """The log line of the application."""
        metadata = {"support_journey": True, "event_id": self.id, "schema_version": 1}
        data = {"bot_id": BOT, "member_id": self.plan.member_id, "number": self.plan.number}
        fields = {"severity": "INFO", "time": self.at.isoformat(), "message": self.name, "event": self.name}
        return json.dumps({**fields, "metadata": metadata, "data": data}).encode()


@dataclass(frozen=True, slots=True)
class Scenario:
    """The members, who enter in the first minutes, and what arrives in which minute: in that order, repeats among it."""

    plans: tuple[Plan, ...]
    arrivals: Mapping[int, tuple[Happening, ...]]
    entry_minutes: int

    @property
    def last_minute(self) -> int:
        """After it nothing arrives."""
        return self.entry_minutes + LAST_OFFSET + 1


def moment(minute: int) -> datetime:
    """The time of a minute of the run."""
    return START + minute * MINUTE


def scenario(seed: int, *, members: int, entry_minutes: int) -> Scenario:
    """Members enter at any of the first minutes."""
    dice = Random(seed)
    names, weights = list(WAYS), [way.weight for way in WAYS.values()]
    plans = tuple(
        Plan(number, dice.choices(names, weights)[0], dice.randrange(1, entry_minutes + 1)) for number in range(members)
    )
    arrivals: defaultdict[int, list[Happening]] = defaultdict(list)
    for plan in plans:
        for happening in _life(plan):
            arrivals[happening.minute].append(happening)
            if dice.random() < REPEATED:
                arrivals[happening.minute + dice.randrange(2)].append(happening)
    return Scenario(plans, {minute: tuple(happenings) for minute, happenings in arrivals.items()}, entry_minutes)


def _life(plan: Plan) -> Iterator[Happening]:
    yield Happening(plan, STARTED, f"{plan.member_id}-started", plan.minute)
    for number, (offset, name) in enumerate(WAYS[plan.way].does):
        yield Happening(plan, name, f"{plan.member_id}-{number}", plan.minute + offset)
    if plan.orders:
        for offset in (*ORDER_PAIRS[0], *ORDER_PAIRS[1], ORDER_TOO_MANY):
            yield Happening(plan, ORDERED, plan.order_id(offset), plan.minute + offset)


def journeys(receiver_url: str) -> tuple[Definition, ...]:
    """Both definitions, their webhooks pointed at the receiver."""
    files = (FOLDER / f"{name}.yaml" for name in (TRIAL, ORDERS))
    texts = {file.name: file.read_text().replace(RECEIVER, receiver_url) for file in files}
    return tuple(definition_from_text(text, name=name) for name, text in texts.items())
