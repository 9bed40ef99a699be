"""A tea shop's fortnight: three bots in three time zones, three services that log, two journeys. The same for the same seed.

The order of lines within one step must not matter for what comes of them. So events of one member that compete (an exit and
the branch that a wait takes, a purchase of one cart while a reminder of another falls due) never arrive within the same step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from pydantic import JsonValue

from emulator.scenarios.shop_log import (
    CHECKOUT,
    IDENTITY,
    SERVICES,
    SHOP_API,
    broken_lines,
    chatter,
    event_fields,
    log_line,
    trace_id,
)
from sojourn.domain.definition import Definition
from sojourn.domain.member import Member
from sojourn.runtime.definition_file import load_definition

START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday. On Sunday, March 8th, New York changes to daylight saving time."""
DAYS = 14
STEP = timedelta(hours=4)
FOLDER = Path(__file__).with_name("shop")
FILES = ("onboarding.yaml", "abandoned_cart.yaml")
CHATTER_PER_MEMBER = 24
BROKEN_PER_BOT = 2
"""Times that each kind of broken line is written."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a service wrote, and when it reached the Log Router."""

    arrives_at: datetime
    service: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a demo plays: the lines in order of arrival, delivered and settled `step` by `step`."""

    start: datetime
    end: datetime
    step: timedelta
    definitions: tuple[Definition, ...]
    members: tuple[Member, ...]
    lines: tuple[LogLine, ...]

    def step_of(self, arrives_at: datetime) -> datetime:
        """The step at which what arrives then is delivered: the end of its interval."""
        return self.start + math.ceil((arrives_at - self.start) / self.step) * self.step


@dataclass(frozen=True, slots=True)
class Bot:
    """One branch of the shop."""

    id: str
    timezone: str
    locale: str
    first_names: tuple[str, ...]


BOTS = (
    Bot("tea-taipei", "Asia/Taipei", "zh-TW", ("Mei-ling", "Chih-wei", "Yu-ting", "Chun-hao", "Shu-fen", "Ya-wen")),
    Bot("tea-berlin", "Europe/Berlin", "de-DE", ("Anna", "Jonas", "Lena", "Felix", "Greta", "Emil")),
    Bot("tea-newyork", "America/New_York", "en-US", ("Olivia", "Liam", "Zoe", "Noah", "Ruby", "Miles")),
)
TRAVEL = ("Asia/Tokyo", "America/Los_Angeles", "Europe/London")
TEAS = ("oolong", "sencha", "darjeeling", "rooibos", "assam")


def shop(seed: int = 7, members_per_bot: int = 40) -> Scenario:
    """The shop's fortnight. About a fifth of the lines carry `support_journey`."""
    dice = Random(seed)
    end = START + timedelta(days=DAYS)
    members = tuple(_member(dice, bot, number) for bot in BOTS for number in range(1, members_per_bot + 1))
    scribe = _Scribe(dice, Scenario(START, end, STEP, definitions(), members, ()))
    for member in members:
        for event in _life(dice, member, end):
            scribe.write(event)
        scribe.chatter(CHATTER_PER_MEMBER)
    for bot in BOTS:
        scribe.broken(bot.id, members_per_bot)
    lines = sorted(scribe.lines, key=lambda line: line.arrives_at)
    return Scenario(START, end, STEP, definitions(), members, tuple(line for line in lines if line.arrives_at <= end))


def write_log(scenario: Scenario, path: Path) -> None:
    """Write the lines in order of arrival, as `sojourn logs route` reads them."""
    path.write_bytes(b"".join(line.raw + b"\n" for line in scenario.lines))


def definitions() -> tuple[Definition, ...]:
    """Each of the two files once for every bot, in the bot's own zone."""
    return tuple(_for_bot(load_definition(FOLDER / name), bot) for name in FILES for bot in BOTS)


def _for_bot(definition: Definition, bot: Bot) -> Definition:
    settings = definition.settings.model_copy(update={"timezone": bot.timezone})
    return definition.model_copy(update={"id": f"{definition.id}-{bot.id}", "bot_id": bot.id, "settings": settings})


def _member(dice: Random, bot: Bot, number: int) -> Member:
    """The ids are the same in every bot: a member is one person only within a bot. Some travel, of some no zone is known."""
    zone = dice.choice((*[bot.timezone] * 8, dice.choice(TRAVEL), None))
    attributes: dict[str, JsonValue] = {"first_name": dice.choice(bot.first_names)}
    return Member(bot.id, f"m-{number:03}", attributes, zone, bot.locale, {}, 1, "scenario", START)


@dataclass(frozen=True, slots=True)
class _Event:
    """Something that a member does."""

    service: str
    name: str
    member: Member
    at: datetime
    data: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def competes(self) -> bool:
        """Whether it may change what the member's other events bring about."""
        return self.name in ("member.joined", "profile.completed", "order.completed", "account.closed")


def _life(dice: Random, member: Member, end: datetime) -> list[_Event]:
    """What a member does in the fortnight, in order; nothing after the account is closed."""
    joined = START + timedelta(days=(DAYS - 2) * dice.betavariate(1, 1.8), minutes=5)
    events = [_Event(IDENTITY, "member.joined", member, joined)] if dice.random() < 0.9 else []  # the rest joined long ago
    if dice.random() < 0.12:  # signs in anew; a member is welcomed once
        events.append(_Event(IDENTITY, "member.joined", member, joined + _hours(dice, 20, 200)))
    if dice.random() < 0.5:
        favourite: dict[str, JsonValue] = {"favourite": dice.choice(TEAS)}
        events.append(_Event(IDENTITY, "profile.completed", member, joined + _hours(dice, 2, 76), favourite))
    for number in range(dice.choice((0, 1, 1, 2, 3))):
        events += _cart(dice, member, joined + _hours(dice, 0, 150), f"{member.member_id}-{number + 1}")
    if dice.random() < 0.3:
        order: dict[str, JsonValue] = {"order_id": f"o-{dice.randrange(10**6):06}", "total": dice.randint(8, 60)}
        events.append(_Event(CHECKOUT, "order.completed", member, joined + _hours(dice, 1, 160), order))
    viewed = (joined + _hours(dice, 0, 200) for _ in range(dice.randrange(4)))
    events += [_Event(SHOP_API, "product.viewed", member, at, {"tea": dice.choice(TEAS)}) for at in viewed]
    closed = joined + _hours(dice, 3, 200) if dice.random() < 0.1 else end
    events = [event for event in events if event.at < closed]
    return sorted([*events, _Event(IDENTITY, "account.closed", member, closed)], key=lambda event: event.at)


def _cart(dice: Random, member: Member, begun: datetime, number: str) -> Iterator[_Event]:
    """A cart is filled, sometimes emptied or a guest's (without an id), and bought soon, after a reminder, late, or never."""
    cart: dict[str, JsonValue] = {} if dice.random() < 0.05 else {"cart_id": f"c-{number}"}
    first, at, total = 0 if dice.random() < 0.2 else 1, begun, 0
    for items in range(first, first + dice.randint(1, 4)):
        total += items and dice.randint(6, 18)
        yield _Event(SHOP_API, "cart.updated", member, at, {**cart, "items": items, "total": total})
        at += timedelta(minutes=dice.uniform(0.5, 40))
    delay = dice.choice((_hours(dice, 0.1, 5), _hours(dice, 7, 30), _hours(dice, 70, 120), None, None))
    if delay is not None:
        yield _Event(CHECKOUT, "order.completed", member, at + delay, {**cart, "total": total})


def _hours(dice: Random, low: float, high: float) -> timedelta:
    return timedelta(hours=dice.uniform(low, high))


class _Scribe:
    """Writes events down as lines that arrive: most at once, some late, some twice."""

    def __init__(self, dice: Random, frame: Scenario) -> None:
        self.lines: list[LogLine] = []
        self._dice, self._frame = dice, frame
        self._taken: dict[tuple[str, datetime], str] = {}
        self._last_id = 0

    def write(self, event: _Event) -> None:
        """One line, or more of the same event: written twice by a service, or by two services."""
        if event.at >= self._frame.end:
            return
        dice, identifier = self._dice, self._event_id()
        nameless = event.name == "cart.updated" and dice.random() < 0.05
        subject: dict[str, JsonValue] = {"bot_id": event.member.bot_id, "member_id": event.member.member_id}
        fields = event_fields(event.name, None if nameless else identifier, {**subject, **event.data})
        delay = dice.uniform(0.1, 20) if dice.random() < 0.93 else dice.uniform(600, 10 * 3_600)
        delays = [delay]
        if dice.random() < 0.1:
            delays.append(delay + dice.choice((0.2, 45.0, 5 * 3_600.0, 70 * 3_600.0)))
        trace = trace_id(dice)
        for seconds in delays:
            service = dice.choice(SERVICES) if dice.random() < 0.02 else event.service
            arrives_at = self._free(event, identifier, event.at + timedelta(seconds=seconds))
            self.lines.append(LogLine(arrives_at, service, log_line(service, event.at, fields, trace=trace)))

    def chatter(self, count: int) -> None:
        """Lines that are none of ours."""
        for _ in range(count):
            service, at = self._dice.choice(SERVICES), self._any_time()
            self.lines.append(LogLine(at + timedelta(seconds=1), service, chatter(self._dice, service, at)))

    def broken(self, bot_id: str, members: int) -> None:
        """Lines of ours that are wrong, at any time."""
        for _ in range(BROKEN_PER_BOT):
            at, member_id = self._any_time(), f"m-{self._dice.randint(1, members):03}"
            lines = broken_lines(self._dice, at, bot_id=bot_id, member_id=member_id)
            self.lines += [LogLine(at + timedelta(seconds=1), service, raw) for service, raw in lines]

    def _any_time(self) -> datetime:
        return self._frame.start + self._dice.random() * (timedelta(days=DAYS) - timedelta(minutes=1))

    def _event_id(self) -> str:
        self._last_id += 1
        return f"evt-{self._last_id:05}"

    def _free(self, event: _Event, identifier: str, arrives_at: datetime) -> datetime:
        """The arrival, later by whole steps while an event that competes arrives in the same step."""
        while event.competes:
            slot = (event.member.id, self._frame.step_of(arrives_at))
            if self._taken.setdefault(slot, identifier) == identifier:
                break
            arrives_at += self._frame.step
        return arrives_at
