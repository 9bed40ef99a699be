"""Huddles: plans in which much meets at one point, where chance alone would rarely bring it together.

A third of all seeds is one. Faults, latencies and the rest are drawn as for every seed.
"""

from __future__ import annotations

from random import Random
from typing import TypeAlias

from sojourn.domain.definition import Definition
from tests.builders import definition, send
from tests.simulation.baton import MINUTE, SECOND
from tests.simulation.journeys import TRIGGER

Appearance: TypeAlias = tuple[str, str, int]
"""The event, the member, when."""
OrderOfPause: TypeAlias = tuple[int, str]


def draw_huddle(dice: Random, members: tuple[str, ...]) -> tuple[Definition, list[Appearance], list[OrderOfPause]]:
    """The journey, the events, and when it is paused and goes on."""
    return dice.choice((_short_pauses, _events_as_a_wait_begins, _a_rush_on_a_quota))(dice, members)


def _waits(*, branch: str, restart: str | None = None) -> dict[str, object]:
    settings: dict[str, object] = {"branches": [{"name": "came", "event": branch}], "timeout": "2h"}
    again = {"restart": {"event": restart}} if restart else {}
    return {"id": "n1", "key": "wait_for_event", "settings": {**settings, **again}}


def _journey(nodes: list[dict[str, object]], paths: list[tuple[str, str, int]], **settings: object) -> Definition:
    made = definition(nodes, paths, **settings)
    renamed = [{**node.model_dump(mode="json"), "settings": {"name": TRIGGER}} for node in made.nodes[:1]]
    return Definition.model_validate(
        {**made.model_dump(mode="json"), "nodes": [*renamed, *made.model_dump(mode="json")["nodes"][1:]]}
    )


def _short_pauses(dice: Random, members: tuple[str, ...]) -> tuple[Definition, list[Appearance], list[OrderOfPause]]:
    """Members who listen get events all the time, while the journey is paused for less than a cached head lives."""
    journey = _journey([_waits(branch="b", restart="a")], [("start", "n1", 0), ("n1", "end", 0), ("n1", "end", 1)])
    events = [(TRIGGER, member, dice.randrange(10 * SECOND)) for member in members]
    orders: list[OrderOfPause] = []
    at = MINUTE
    for _ in range(dice.randint(1, 3)):
        pause = dice.choice((1, 2, 3, 4)) * SECOND
        orders += [(at, "pause"), (at + pause, dice.choice(("resume", "extend")))]
        events += [("a", dice.choice(members), at + dice.randrange(pause + 5 * SECOND)) for _ in range(8)]
        at += pause + dice.choice((2, 6, 20)) * SECOND
    return journey, events, orders


def _events_as_a_wait_begins(dice: Random, members: tuple[str, ...]) -> tuple[Definition, list[Appearance], list[OrderOfPause]]:
    """What is waited for is logged in the moment in which the wait begins."""
    paths = [("start", "n1", 0), ("n1", "end", 0), ("n1", "end", 1)]
    journey = _journey([_waits(branch="b")], paths, repeat_journey_times=None, while_active="allow")
    events: list[Appearance] = []
    for number in range(6):
        at, member = number * 3 * MINUTE + MINUTE, dice.choice(members)
        events += [(TRIGGER, member, at), ("b", member, at + dice.randrange(600))]
    return journey, events, []


def _a_rush_on_a_quota(dice: Random, members: tuple[str, ...]) -> tuple[Definition, list[Appearance], list[OrderOfPause]]:
    """More messages at once than the quota lets through."""
    paths = [("start", "n1", 0), ("n1", "n2", 0), ("n2", "end", 0)]
    settings = {"repeat_journey_times": None, "while_active": "allow", "message_quota": dice.choice((1, 2, 17))}
    journey = _journey([send("n1"), send("n2", channel="letter")], paths, **settings)
    moments = [MINUTE + number * 2 * MINUTE for number in range(3)]
    return journey, [(TRIGGER, member, at) for at in moments for member in members for _ in range(2)], []
