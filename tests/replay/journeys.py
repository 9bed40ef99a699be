"""The members in flight that goldens were made of: every kind of node, each way to leave it, all that can be done to one.

A script that is changed here changes no golden: those that exist are records. `python -m tests.replay new` makes missing ones.
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import JsonValue

from sojourn.application.entry import ENROLLED_EVENT
from sojourn.domain.enrollment import SCHEDULED_EVENT
from sojourn.domain.event import Event
from sojourn.domain.member import Member
from tests.builders import BOT, MEMBER, START
from tests.replay.script import (
    Node,
    Script,
    breaks,
    comes,
    due,
    extended_by,
    finished,
    leaves,
    migrates,
    paused,
    resume,
    resumed,
    retried,
)

ANN = Member(
    BOT, MEMBER, {"first_name": "Ann", "birthday": "2026-03-20", "plan": "gold"}, "Asia/Tokyo", "ja", {}, 3, "t", START
)


def event(name: str, **data: JsonValue) -> Event:
    return Event(f"{name}-1", name, BOT, MEMBER, START, {"bot_id": BOT, "member_id": MEMBER, **data})


def start(then: str) -> Node:
    return {"id": "start", "key": "event", "settings": {"name": "joined"}, "next": then}


def wait(identifier: str, then: str, **settings: JsonValue) -> Node:
    return {"id": identifier, "key": "wait", "settings": settings or {"duration": "1d"}, "next": then}


def send(identifier: str, then: str, message: JsonValue = "Hello", **settings: JsonValue) -> Node:
    return {"id": identifier, "key": "send_message", "settings": {"message": message, **settings}, "next": then}


END: Node = {"id": "end", "key": "exit"}
LISTENING: Node = {
    "id": "cart",
    "key": "wait_for_event",
    "settings": {"timeout": "2d", "restart": {"event": "cart.updated", "filter": "event.data.items > 0"}},
    "branches": [
        {"name": "bought", "event": "order.completed", "filter": "event.data.total >= trigger.data.total", "next": "thanks"},
        {"name": "emptied", "event": "cart.emptied", "next": "end"},
    ],
    "else": "remind",
}
CART_EVENTS = (
    event("order.completed", total=50, cart="c1"),
    event("order.completed", total=10),
    event("order.completed"),
    event("cart.emptied"),
    event("cart.updated", items=2),
    event("cart.updated", items=0),
    event("account.closed", for_good=True),
    event("account.closed", for_good=False),
)
CART: tuple[Node, ...] = (
    start("cart"),
    LISTENING,
    send("remind", "cart", {"text": "Dear {{ member.attributes.first_name }}", "items": "{{ event.data.total }}"}),
    send("thanks", "end", "Thank you for {{ context.cart.data.total }}, {{ context.cart.data.nobody }}"),
    END,
)
CART_SETTINGS: JsonValue = {
    "exit_events": [{"event": "account.closed", "filter": "event.data.for_good"}],
    "goal": {"event": "order.completed", "filter": "event.data.total > 20", "revenue": "event.data.total", "window": "5d"},
}
AWAITING: tuple[Node, ...] = (
    start("ask"),
    {**send("ask", "call", "How do you like it?"), "settings": {"message": "How do you like it?", "await_result": True}},
    {
        "id": "call",
        "key": "webhook",
        "settings": {
            "url": "https://crm.example.com/members",
            "body": {"how": "{{ context.ask.outcome }}"},
            "await_result": True,
        },
        "next": "sort",
    },
    {
        "id": "sort",
        "key": "branch",
        "branches": [
            {"name": "reached", "condition": "context.call.outcome == 'DONE' && context.call.result.id == 'm1'", "next": "end"},
            {"name": "asked", "condition": "context.ask.outcome == 'DONE'", "next": "pause"},
        ],
        "else": "end",
    },
    wait("pause", "end"),
    END,
)
ACTIONS: tuple[Node, ...] = (
    start("hello"),
    send(
        "hello",
        "call",
        {"text": "Welcome {{ member.attributes.first_name }}", "plan": "{{ trigger.data.plan }}"},
        channel="line",
    ),
    {
        "id": "call",
        "key": "webhook",
        "settings": {"url": "https://crm.example.com/in", "body": ["{{ trigger }}"]},
        "next": "mark",
    },
    {
        "id": "mark",
        "key": "update_member",
        "settings": {"attributes": {"welcomed_at": "{{ now }}", "trial": None, "total": "{{ trigger.data.total * 2 }}"}},
        "next": "tell",
    },
    {
        "id": "tell",
        "key": "emit_event",
        "settings": {"name": "member.welcomed", "data": {"plan": "{{ trigger.data.plan }}", "gone": "{{ trigger.data.gone }}"}},
        "next": "enroll",
    },
    {
        "id": "enroll",
        "key": "enroll_journey",
        "settings": {"journey_id": "upsell", "data": {"since": "{{ now }}"}},
        "next": "pause",
    },
    wait("pause", "end"),
    END,
)
SORTING: tuple[Node, ...] = (
    start("sort"),
    {
        "id": "sort",
        "key": "branch",
        "branches": [
            {"name": "missing", "condition": "trigger.data.nobody == 1", "next": "end"},
            {
                "name": "rich",
                "condition": "trigger.data.total > 40 && member.attributes.plan == trigger.data.plan",
                "next": "dice",
            },
        ],
        "else": "end",
    },
    {"id": "dice", "key": "split", "branches": [{"name": one, "weight": 1, "next": one} for one in ("a", "b")]},
    {
        "id": "again",
        "key": "split",
        "settings": {"sticky": False},
        "branches": [{"name": "home", "weight": 1, "next": "end"}, {"name": "round", "weight": 3, "next": "a"}],
    },
    wait("a", "again"),
    wait("b", "again"),
    END,
)
WAITS: tuple[Node, ...] = (
    start("day"),
    wait("day", "monday", duration="1d 2h"),
    wait("monday", "birthday", until_time={"time": "09:30", "weekdays": ["mon"]}),
    wait("birthday", "gone", until_date={"date": "member.attributes.birthday", "time": "08:00", "offset": "-3d"}),
    wait("gone", "never", until_date={"date": "trigger.data.occurred"}),
    wait("never", "end", until_date={"date": "trigger.data.nobody"}),
    END,
)
SLEEPING: JsonValue = {
    "sleep_start_time": "18:00",
    "sleep_end_time": "09:00",
    "timezone": "Europe/Berlin",
    "timezone_of": "member",
}
TRIGGERS: tuple[Node, ...] = (
    {"id": "clock", "key": "schedule", "settings": {"cron": "0 9 * * 1", "timezone": "Asia/Taipei"}, "next": "pause"},
    {"id": "hand", "key": "api", "next": "pause"},
    wait("pause", "end"),
    END,
)
PAUSE: tuple[Node, ...] = (start("pause"), wait("pause", "hello"), send("hello", "end"), END)
NEWER: tuple[Node, ...] = (start("longer"), wait("longer", "hello", duration="9d"), send("hello", "end", "Hello anew"), END)
OTHER_KIND: tuple[Node, ...] = (start("pause"), send("pause", "end", "No more pause"), END)
WITHOUT: tuple[Node, ...] = (start("hello"), send("hello", "end"), END)

SCRIPTS: dict[str, Script] = {
    "waits": Script(
        "Waits for a duration, for a time on a weekday, until a date of the member's and until dates that are none.",
        WAITS,
        (resume(), due(), due(late=timedelta(minutes=7)), due()),
        member=ANN,
        settings={"timezone": "America/New_York"},
    ),
    "bought": Script(
        "Waits for events: a restart, then a purchase with its revenue, and the goal after that.",
        CART,
        (resume(), comes(CART_EVENTS[4]), comes(CART_EVENTS[1]), comes(CART_EVENTS[0])),
        member=ANN,
        events=CART_EVENTS,
        settings=CART_SETTINGS,
    ),
    "reminded": Script(
        "Waits for events, is reminded after the timeout, waits again, and leaves by an exit event.",
        CART,
        (resume(), due(late=timedelta(hours=3)), comes(CART_EVENTS[6], hours=30)),
        member=ANN,
        events=CART_EVENTS[:1],
        settings=CART_SETTINGS,
    ),
    "goal_after_the_end": Script(
        "Leaves early; the goal counts in its window all the same.",
        CART,
        (resume(), comes(CART_EVENTS[3]), comes(CART_EVENTS[0], hours=20)),
        events=CART_EVENTS[:2],
        settings=CART_SETTINGS,
    ),
    "goal_exits": Script(
        "The goal itself ends the passage.",
        CART,
        (resume(), comes(CART_EVENTS[0])),
        events=CART_EVENTS[:1],
        settings={"goal": {"event": "order.completed", "exit": True}},
    ),
    "awaits": Script(
        "Awaits what became of a message, then of a webhook, and branches by both.",
        AWAITING,
        (resume(), finished("DONE"), finished("FAILED"), due()),
    ),
    "awaits_in_vain": Script(
        "Awaits a message that is skipped, is then taken off.",
        AWAITING,
        (resume(), finished("SKIPPED"), leaves("by an operator")),
    ),
    "actions": Script("Every action, in one hop, and the end.", ACTIONS, (resume(), due()), member=ANN),
    "one_node_a_hop": Script(
        "Every action, a node a hop: RUNNING in between.", ACTIONS, tuple(resume(max_nodes=1) for _ in range(7)), member=ANN
    ),
    "sorted_one_node_a_hop": Script(
        "A branch and a split, a node a hop.", SORTING, tuple(resume(max_nodes=1) for _ in range(4)), member=ANN
    ),
    "ends_one_node_a_hop": Script(
        "A message and the end, a node a hop.", WITHOUT, tuple(resume(max_nodes=1) for _ in range(3))
    ),
    "sorted": Script(
        "A branch with a missing field, a sticky split, and one that throws the dice at every visit, in a loop.",
        SORTING,
        (resume(), due(), due(), due()),
        member=ANN,
    ),
    "asleep": Script(
        "A message that falls into the sleep window of the member's zone waits for the morning.",
        (start("hello"), send("hello", "end"), END),
        (resume(), due()),
        member=ANN,
        settings=SLEEPING,
    ),
    "by_schedule": Script(
        "In by a schedule.",
        TRIGGERS,
        (resume(), due()),
        by="clock",
        came=Event("firing-1", SCHEDULED_EVENT, BOT, MEMBER, START, {"node_id": "clock"}),
        member=ANN,
    ),
    "by_hand": Script("In by hand.", TRIGGERS, (resume(), due()), by="hand", came=event(ENROLLED_EVENT)),
    "paused": Script(
        "The journey is paused while the member waits; the wait lasts longer for it.",
        PAUSE,
        (resume(), paused(), resumed(), extended_by(10_800), due()),
    ),
    "paused_at_once": Script("The journey is paused before the first hop.", PAUSE, (paused(), resumed(), resume(), due())),
    "migrated": Script(
        "Published anew: the wait goes on at the node that took its place.",
        PAUSE,
        (resume(), migrates(NEWER, version=2, pause="longer"), due()),
    ),
    "migrated_to_another_kind": Script(
        "Published anew: the node is of another kind now, which runs at once.",
        PAUSE,
        (resume(), migrates(OTHER_KIND, version=2), resume()),
    ),
    "migrated_away": Script("Published anew without the node.", PAUSE, (resume(), migrates(WITHOUT, version=3))),
    "failed": Script(
        "The hop could not be delivered while the member waited; an operator lets them wait on.",
        PAUSE,
        (resume(), breaks("5 deliveries failed: journey-runs"), retried(), due()),
    ),
    "too_large": Script(
        "A message that grows beyond its limit stops the member, also after a retry.",
        (start("hello"), send("hello", "end", {f"part{part}": "{{ trigger.data }}" for part in range(20)}), END),
        (resume(), retried(), resume()),
        came=event("joined", text="x" * 4_000),
    ),
}
"""By the name of the golden's file."""
