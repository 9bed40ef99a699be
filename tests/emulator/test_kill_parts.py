"""What the kill test is made of: an oracle that finds what is wrong, a receiver and a killer that keep to the dice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from emulator.kill.killer import Killer, PlannedKill, plan_kills
from emulator.kill.oracle import Fault as Wrong
from emulator.kill.oracle import Found, judge
from emulator.kill.receiver import MAX_FAULTS_PER_KEY, Call, Fault, Receiver, repeats
from emulator.kill.recovery import KINDS, Recovery, recovered
from emulator.kill.scenario import BOT, ORDERS, STARTED, TRIAL, WAYS, Happening, Plan, Scenario, journeys, moment, scenario
from emulator.kill.stage import FUNCTIONS
from emulator.mailbox import Letter
from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import RUNS_TOPIC, RunMessage
from sojourn.application.records import Update
from sojourn.application.run_journeys import run_journeys
from sojourn.domain.effect import Effect, EffectStatus, SendMessage
from sojourn.domain.event import Event
from sojourn.domain.ids import effect_id, member_key
from sojourn.domain.progress import Progress, Status, Step
from sojourn.runtime.application import InMemory, in_memory
from tests.builders import entry

PLAN = Plan(1, "silent", 1)
WAY_OF_THE_SILENT = ("started", "welcome", "patience", "profile", "reminder", "coin", "score", "verdict", "thanks", "done")
TOLD = ("welcome", "reminder", "score", "thanks")
NOBODY = "http://127.0.0.1:9"


def trial() -> Progress:
    """The passage of the silent one, to its end."""
    started = Event("m-00001-started", STARTED, BOT, PLAN.member_id, moment(1), {})
    outcomes = {"profile": "timeout", "coin": "tails"}
    return Progress(
        id="p1",
        journey_id=TRIAL,
        version=1,
        bot_id=BOT,
        member_id=PLAN.member_id,
        member_key=member_key(BOT, PLAN.member_id),
        entry_key="1",
        status=Status.ENDED,
        node_id=None,
        trigger=started,
        since=moment(1),
        rev=3,
        token="t",
        created_at=moment(1),
        updated_at=moment(12),
        visits=dict.fromkeys(WAY_OF_THE_SILENT, 1),
        trail=tuple(Step(node, moment(12), outcomes.get(node, "done")) for node in WAY_OF_THE_SILENT),
    )


def effect(node: str, progress: Progress) -> Effect:
    """What the node asked for, done."""
    about = (progress.id, TRIAL, 1, BOT, progress.member_id, progress.member_key, node, SendMessage("mailbox", "Hi"))
    return Effect(effect_id(progress.id, node, 1), *about, moment(1), moment(1), EffectStatus.DONE)


def call(of: Effect, *, key: str | None = None, began: float = 0.0, noted: bool = True, fault: Fault | None = None) -> Call:
    """The receiver was told."""
    names = ("effect_id", "journey_id", "progress_id", "bot_id", "member_id", "node_id")
    letter = Letter.model_validate({"message": "Hi", **{name: getattr(of, name, of.id) for name in names}})
    return Call(key or of.id, letter, began, fault, noted)


def right() -> Found:
    """Everything as it must be."""
    progress = trial()
    effects = [effect(node, progress) for node in TOLD]
    return Found([progress], effects, [], [call(one) for one in effects])


def faults(found: Found, plan: Plan = PLAN) -> list[Wrong]:
    """What is wrong with it."""
    return judge(Scenario((plan,), {}, 1), found)


def test_where_all_is_as_the_plans_demand_nothing_is_wrong() -> None:
    assert faults(right()) == []


def with_progress(**changes: object) -> Callable[[Found], Found]:
    return lambda found: replace(found, progress=[replace(found.progress[0], **changes)])  # type: ignore[arg-type]


def with_last_effect(**changes: object) -> Callable[[Found], Found]:
    return lambda found: replace(found, effects=[*found.effects[:-1], replace(found.effects[-1], **changes)])  # type: ignore[arg-type]


def another_effect(found: Found) -> Found:
    return replace(found, effects=[*found.effects, replace(found.effects[-1], id="another")])


def told(key: str | None = None, *, noted: bool = True) -> Callable[[Found], Found]:
    """One call more than there should be."""
    return lambda found: replace(found, calls=[*found.calls, call(found.effects[-1], key=key, began=60.0, noted=noted)])


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda found: replace(found, progress=[], effects=[], calls=[]), "lost"),
        (lambda found: replace(found, progress=[*found.progress, replace(found.progress[0], id="p2")]), "entered twice"),
        (with_progress(status=Status.WAITING, node_id="profile"), "stuck"),
        (with_progress(status=Status.ERROR), "lost"),
        (with_progress(status=Status.CANCELED), "lost"),
        (with_progress(visits=dict.fromkeys(WAY_OF_THE_SILENT[:-1], 1)), "lost"),
        (with_progress(trail=(Step("profile", moment(6), "completed"),)), "lost"),
        (with_last_effect(status=EffectStatus.PERFORMING), "stuck"),
        (with_last_effect(status=EffectStatus.DEAD), "lost"),
        (with_last_effect(status=EffectStatus.SKIPPED), "lost"),
        (lambda found: replace(found, effects=found.effects[:-1]), "lost"),
        (lambda found: replace(found, calls=found.calls[:-1]), "lost"),
        (another_effect, "effects doubled"),
        (told("another"), "effects doubled"),
        (told(noted=False), "called again"),
    ],
)
def test_the_oracle_finds_what_is_wrong(spoil: Callable[[Found], Found], kind: str) -> None:
    assert kind in {fault.kind for fault in faults(spoil(right()))}


def test_a_call_may_come_again_where_the_performer_was_killed_in_between() -> None:
    assert faults(replace(told(noted=False)(right()), killed_at=[5.0])) == []


@pytest.mark.parametrize(
    ("offsets", "kinds"),
    [((0, 10), []), ((1, 11), []), ((0,), ["lost"]), ((0, 1, 10), ["entered twice"]), ((0, 10, 18), ["entered twice"])],
)
def test_of_each_pair_of_orders_one_enters_and_the_last_does_not(offsets: tuple[int, ...], kinds: list[str]) -> None:
    plan, found = Plan(0, "silent", 1), right()
    own = replace(found.progress[0], member_id=plan.member_id)
    orders = [replace(own, id=f"o{offset}", journey_id=ORDERS, entry_key=plan.order_id(offset)) for offset in offsets]
    effects = [
        replace(effect(node, order), progress_id=order.id, journey_id=ORDERS)
        for order in orders
        for node in ("receipt", "review")
    ]
    everything = [*found.effects, *effects]
    whole = Found([own, *orders], everything, [], [call(one) for one in everything])
    assert [fault.kind for fault in faults(whole, plan)] == kinds


def test_the_same_seed_is_the_same_town_in_which_every_way_is_gone() -> None:
    town = scenario(7, members=400, entry_minutes=5)
    assert town == scenario(7, members=400, entry_minutes=5)
    assert {plan.way for plan in town.plans} == WAYS.keys()
    assert sum(way.weight for way in WAYS.values()) == 100
    assert max(town.arrivals) <= town.last_minute


def test_kills_are_spread_over_functions_and_minutes_and_the_same_for_the_same_seed() -> None:
    planned = plan_kills(7, kills=20, first_minute=2, last_minute=23)
    assert (
        planned
        == plan_kills(7, kills=20, first_minute=2, last_minute=23)
        != plan_kills(8, kills=20, first_minute=2, last_minute=23)
    )
    assert Counter(kill.function for kill in planned) == dict.fromkeys(FUNCTIONS, 5)
    assert len({kill.minute for kill in planned}) == 20


def test_a_kill_comes_after_its_share_of_the_lines_of_a_minute() -> None:
    kill = PlannedKill(2, "perform", 0.5, 0.0)
    killer = Killer([kill])
    killer.arm(1)
    for _ in range(10):
        killer.hear("perform")
    killer.arm(2)
    for _ in range(4):
        killer.hear("perform")
        killer.hear("ingest")
    assert (killer.next(), killer.done) == (None, False)
    killer.hear("perform")
    assert (killer.next(), killer.done) == (kill, True)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that may hang once."""
    with Receiver(7, hangs=1) as receiver:
        yield receiver


def test_the_receiver_fails_in_every_way_but_never_more_often_than_a_channel_tries(receiver: Receiver) -> None:
    letter = call(right().effects[0]).letter
    for number in range(2_000):
        taken = [receiver.take(f"key {number}", letter) for _ in range(MAX_FAULTS_PER_KEY + 1)]
        assert taken[-1].fault is None
    calls = receiver.calls
    seen = Counter(one.fault for one in calls)
    assert seen[Fault.HANGS_BEFORE_NOTING] + seen[Fault.HANGS_AFTER_NOTING] == 1
    assert all(seen[fault] for fault in Fault if not fault.hangs)
    assert Counter(one.key for one in calls if one.noted) == dict.fromkeys((f"key {number}" for number in range(2_000)), 1)
    assert list(repeats(calls[:2])) == [calls[0]]


def test_what_a_caller_meets_is_what_the_ledger_says(receiver: Receiver) -> None:
    body = call(right().effects[0]).letter.model_dump_json()
    met: set[object] = set()
    with httpx.Client(trust_env=False, timeout=0.5) as client:
        for number in range(300):
            try:
                answer = client.post(receiver.url, content=body, headers={"Idempotency-Key": f"key {number}"})
                met.add(answer.status_code)
            except httpx.TransportError as error:
                met.add(isinstance(error, httpx.TimeoutException))
    assert met == {200, 503, 500, False, True}
    assert {one.fault for one in receiver.calls} >= {None, Fault.UNAVAILABLE, Fault.DROPS_AFTER_NOTING}


@pytest.fixture
def memory() -> InMemory:
    """Both journeys, published."""
    memory = in_memory(moment(0))
    for one in journeys(NOBODY):
        publish_journey(memory.shop, one)
    return memory


def arrive(memory: InMemory, *happenings: Happening) -> None:
    """`ingest` takes it in."""
    for one in happenings:
        fields = json.loads(one.line)
        ingest(memory.shop, [entry({name: fields[name] for name in ("message", "event", "metadata", "data")}, at=one.at)])


def test_recovery_is_measured_from_what_a_kill_leaves_lying(memory: InMemory) -> None:
    recovery = Recovery(memory.shop)
    first, second = (Happening(Plan(number, "silent", 0), STARTED, f"s{number}", 0) for number in (1, 2))
    arrive(memory, first)
    recovery.killed("ingest", 0, [first, second], at=0.0)
    recovery.killed("run_journey", 0, [first, second], at=0.0)
    assert [dict(kill.affected) for kill in recovery.kills] == [{"entry": 1, "hop": 1}, {"hop": 1}]
    recovery.look(0)
    arrive(memory, second)
    recovery.look(1)
    run_journeys(memory.shop, [RunMessage.model_validate_json(data) for data in memory.publisher.take(RUNS_TOPIC)])
    recovery.look(3)
    assert recovered(recovery.kills, ["entry"]).moved == (0, 1, 0)
    assert recovered(recovery.kills, ["hop"]).moved == (0, 0, 0)
    assert recovered(recovery.kills, KINDS).share == 1 / 3


def test_effects_that_a_performer_had_in_hand_are_told_from_those_that_wait(memory: InMemory) -> None:
    arrive(memory, *(Happening(Plan(number, "silent", 0), STARTED, f"s{number}", 0) for number in (1, 2)))
    run_journeys(memory.shop, [RunMessage.model_validate_json(data) for data in memory.publisher.take(RUNS_TOPIC)])
    found = memory.store.find(Effect, {"status": EffectStatus.PENDING.value})[0]
    memory.store.commit_many([(Update(replace(found.value, status=EffectStatus.PERFORMING), found.version),)])
    recovery = Recovery(memory.shop)
    recovery.killed("perform", 0, [], at=0.0)
    assert dict(recovery.kills[0].affected) == {"effect": 1, "effect in hand": 1}
