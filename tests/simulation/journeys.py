"""Random journeys: every kind of node, cycles through waits, all the settings, small enough that much meets at one point.

A journey is a chain of nodes from the trigger to the exit, with branches that jump ahead, and jumps back that leave a wait.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

from sojourn.domain.definition import Definition
from sojourn.domain.loading import parse_definition
from tests.builders import BOT

Raw: TypeAlias = dict[str, Any]

EVENTS = ("a", "b", "c")
TRIGGER, STOP, BUY, EMITTED = "join", "stop", "buy", "emitted"
DURATIONS = ("20s", "90s", "5m", "30m", "2h", "9h", "1d")
LOOP_DURATIONS = ("30m", "2h", "9h")
CONDITIONS = (
    "trigger.data.n > 1",
    "member.attributes.score == 1",
    "journey.goal_reached",
    "context.n1.branch == 'b0'",
    "context.n2.event == 'a'",
    "journey.version > 1",
    "trigger.data.nowhere == 1",
)
FILTERS = (None, None, "event.data.n > 0", "event.data.n == trigger.data.n", "event.data.order == trigger.data.order")
OTHER_JOURNEY = "journey-2"


def draw_journey(dice: Random, journey_id: str, *, trigger: str = TRIGGER) -> Definition:
    """A journey of three to eight nodes that loads without a fault."""
    count = dice.randint(2, 6)
    nodes: list[Raw] = [{"id": "start", "key": "event", "settings": _trigger(dice, trigger)}]
    nodes += [_node(dice, f"n{number}", journey_id) for number in range(1, count + 1)]
    if journey_id == OTHER_JOURNEY:
        nodes.append({"id": "door", "key": "api"})
    paths: list[Raw] = [{"source": "start", "target": "n1"}]
    paths += [{"source": "door", "target": "n1"}] if journey_id == OTHER_JOURNEY else []
    for number in range(1, count + 1):
        paths += _paths(dice, nodes[number], number, count)
    return parse_definition(
        {
            "id": journey_id,
            "bot_id": BOT,
            "name": journey_id,
            "nodes": [*nodes, {"id": "end", "key": "exit"}],
            "node_paths": paths,
            "settings": _settings(dice),
        }
    )


def _trigger(dice: Random, name: str) -> Raw:
    return {"name": name} | ({"filter": "event.data.n > 0"} if dice.random() < 0.15 else {})


def _paths(dice: Random, node: Raw, number: int, count: int) -> list[Raw]:
    """The first path leads on; others anywhere ahead; out of a wait also back, which is where cycles come from."""
    after = [*(f"n{ahead}" for ahead in range(number + 1, count + 1)), "end"]
    back = [f"n{behind}" for behind in range(1, number + 1)]
    ways = {"branch": 1, "wait_for_event": 1, "split": 0}.get(node["key"])
    total = 1 if ways is None else len(node["settings"]["branches"]) + ways
    paths = [{"source": node["id"], "target": after[0], "index": dice.randrange(total)}]
    for index in sorted(set(range(total)) - {paths[0]["index"]}):
        loops = node["key"] == "wait_for_event" and node["settings"]["timeout"] in LOOP_DURATIONS and dice.random() < 0.4
        paths.append({"source": node["id"], "target": dice.choice(back if loops else after), "index": index})
    return paths


def _node(dice: Random, id: str, journey_id: str) -> Raw:
    key = dice.choices(
        ("wait", "wait_for_event", "branch", "split", "send_message", "webhook", "update_member", "emit_event"),
        (3, 5, 2, 2, 4, 1, 1, 1),
    )[0]
    if key == "emit_event" and journey_id != OTHER_JOURNEY and dice.random() < 0.5:
        return {"id": id, "key": "enroll_journey", "settings": {"journey_id": OTHER_JOURNEY, "data": {"n": 1}}}
    return {"id": id, "key": key, "settings": _NODES[key](dice)}


def _wait(dice: Random) -> Raw:
    kind = dice.random()
    if kind < 0.75:
        return {"duration": dice.choice(DURATIONS)}
    if kind < 0.9:
        return {"until_time": {"time": dice.choice(("09:00", "09:05", "18:00"))}}
    return {"until_date": {"date": "trigger.data.when", "offset": dice.choice(("0s", "-1h", "30m"))}}


def _match(dice: Random, event: str) -> Raw:
    found = dice.choice(FILTERS)
    return {"event": event} | ({"filter": found} if found else {})


def _wait_for_event(dice: Random) -> Raw:
    branches = [{"name": f"b{number}", **_match(dice, dice.choice(EVENTS))} for number in range(dice.randint(1, 2))]
    restart = {"restart": _match(dice, dice.choice(EVENTS))} if dice.random() < 0.25 else {}
    return {"branches": branches, "timeout": dice.choice(DURATIONS), **restart}


def _branch(dice: Random) -> Raw:
    conditions = dice.sample(CONDITIONS, dice.randint(1, 2))
    return {"branches": [{"name": f"b{number}", "condition": one} for number, one in enumerate(conditions)]}


def _split(dice: Random) -> Raw:
    branches = [{"name": f"b{number}", "weight": dice.choice((1, 2, 5))} for number in range(dice.randint(2, 3))]
    return {"branches": branches, "sticky": dice.random() < 0.5}


def _send(dice: Random) -> Raw:
    message = dice.choice(("Hello", "{{ trigger.data.n }} for {{ member.id }}", {"text": "{{ context.n1.event }}"}))
    return {"message": message, "channel": dice.choice(("mailbox", "letter")), "await_result": dice.random() < 0.3}


def _webhook(dice: Random) -> Raw:
    return {"url": "https://example.invalid/hook", "body": {"n": "{{ trigger.data.n }}"}, "await_result": dice.random() < 0.5}


_NODES: dict[str, Callable[[Random], Raw]] = {
    "wait": _wait,
    "wait_for_event": _wait_for_event,
    "branch": _branch,
    "split": _split,
    "send_message": _send,
    "webhook": _webhook,
    "update_member": lambda dice: {"attributes": {"score": dice.choice((1, "{{ trigger.data.n }}", None))}},
    "emit_event": lambda dice: {"name": dice.choice((EMITTED, *EVENTS)), "data": {"n": dice.randint(0, 2), "order": 1}},
}


def _settings(dice: Random) -> Raw:
    chosen: Raw = {"repeat_journey_times": dice.choice((1, 1, 2, 3, None))}
    if dice.random() < 0.3:
        chosen["while_active"] = dice.choice(("skip", "allow"))
    if dice.random() < 0.25:
        chosen["entry_key"] = "trigger.data.order"
    if dice.random() < 0.3:
        chosen["message_quota"] = dice.choice((1, 1, 2, 3, 20))
    if dice.random() < 0.25:
        start, end = dice.choice((("09:10", "11:00"), ("22:00", "08:00"), ("09:00", "09:03")))
        chosen |= {"sleep_start_time": start, "sleep_end_time": end}
    if dice.random() < 0.4:
        chosen["exit_events"] = [_match(dice, STOP)]
    if dice.random() < 0.35:
        chosen["goal"] = {**_match(dice, BUY), "window": dice.choice(("1h", "1d")), "exit": dice.random() < 0.4}
    if dice.random() < 0.08:
        chosen["schedule_end_at"] = "2026-03-02T15:30:00Z"
    return chosen
