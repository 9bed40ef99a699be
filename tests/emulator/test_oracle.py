"""The oracle on hand-made logs and stores: it sees who is missing, who is there twice, and what was sent too often."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pydantic import JsonValue

from emulator.scenarios.oracle import Demands, Passage, Stay, Verdict, demands, judge
from emulator.scenarios.shop import START, STEP, LogLine, Scenario
from emulator.scenarios.shop_log import CHECKOUT, IDENTITY, SHOP_API, event_fields, log_line
from emulator.snapshot import Snapshot
from sojourn.domain.effect import Effect, EffectStatus, SendMessage
from sojourn.domain.event import Event
from sojourn.domain.ids import effect_id, member_key, progress_id
from sojourn.domain.journey import RejectedEvent
from sojourn.domain.progress import Progress, Status

BOT, MEMBER = "tea-berlin", "m-001"
NOW = START + timedelta(hours=20)
WHO: Mapping[str, JsonValue] = {"bot_id": BOT, "member_id": MEMBER}
CART: Mapping[str, JsonValue] = {**WHO, "cart_id": "c-1", "items": 2}


def line(service: str, name: str, hours: float, data: Mapping[str, JsonValue] = WHO) -> LogLine:
    at = START + timedelta(hours=hours)
    return LogLine(at, service, log_line(service, at, event_fields(name, f"{name}-{hours}", data), trace=f"{hours}"))


def asked(*lines: LogLine, days: float = 14) -> Demands:
    return demands(Scenario(START, START + timedelta(days=days), STEP, (), (), lines))


JOINED = Passage("onboarding", BOT, MEMBER, "1")
FILLED = Passage("abandoned-cart", BOT, MEMBER, "key:c-1")
ONE_JOINED = asked(line(IDENTITY, "member.joined", 1))


def passage(status: Status = Status.WAITING, *, journey: str = "onboarding", entry_key: str = "1", hours: int = 4) -> Progress:
    at = START + timedelta(hours=hours)
    journey_id, terminal = f"{journey}-{BOT}", status.terminal
    return Progress(
        id=progress_id(BOT, journey_id, MEMBER, entry_key),
        journey_id=journey_id,
        version=1,
        bot_id=BOT,
        member_id=MEMBER,
        member_key=member_key(BOT, MEMBER),
        entry_key=entry_key,
        status=status,
        node_id=None if terminal else "settle_in",
        trigger=Event("e-1", "member.joined", BOT, MEMBER, at, {}),
        since=at,
        rev=1,
        token="t",
        created_at=at,
        updated_at=at,
        schedule_at=None if terminal else at + timedelta(days=1),
        ended_at=NOW if terminal else None,
    )


def message(progress: Progress, node_id: str = "welcome", *, visit: int = 1, at: datetime = START + STEP) -> Effect:
    return Effect(
        id=effect_id(progress.id, node_id, visit),
        progress_id=progress.id,
        journey_id=progress.journey_id,
        version=1,
        bot_id=BOT,
        member_id=MEMBER,
        member_key=progress.member_key,
        node_id=node_id,
        payload=SendMessage("mailbox", "hello"),
        created_at=at,
        updated_at=at,
        status=EffectStatus.DONE,
    )


def stores(*records: Progress | Effect | RejectedEvent, now: datetime = NOW, deliveries: int = 1) -> Snapshot:
    effects = tuple(record for record in records if isinstance(record, Effect))
    return Snapshot(
        now=now,
        definitions=(),
        members=(),
        progress=tuple(record for record in records if isinstance(record, Progress)),
        effects=effects,
        rejected=tuple(record for record in records if isinstance(record, RejectedEvent)),
        deliveries={effect.id: deliveries for effect in effects if effect.status is EffectStatus.DONE},
        outcomes={},
    )


WELCOMED = (passage(), message(passage()))


def counts(verdict: Verdict) -> tuple[int, int]:
    return verdict.duplicates, verdict.lost


def test_a_line_that_joins_demands_one_passage_however_often_it_comes() -> None:
    found = asked(line(IDENTITY, "member.joined", 1), line(IDENTITY, "member.joined", 30))
    assert found.passages == {JOINED: Stay(START + STEP, None)}


def test_each_cart_with_something_in_it_is_a_passage_until_it_is_bought() -> None:
    other = {**CART, "cart_id": "c-2"}
    empty, guest = {**CART, "cart_id": "c-3", "items": 0}, {**WHO, "items": 1}
    carts = [line(SHOP_API, "cart.updated", 1 + number, data) for number, data in enumerate((CART, other, empty, guest))]
    found = asked(*carts, line(CHECKOUT, "order.completed", 9, CART))
    assert found.passages == {
        FILLED: Stay(START + STEP, START + 3 * STEP),
        replace(FILLED, entry_key="key:c-2"): Stay(START + STEP, None),
    }


def test_an_exit_that_arrives_before_its_entry_ends_it_at_once() -> None:
    found = asked(line(CHECKOUT, "order.completed", 1, CART), line(SHOP_API, "cart.updated", 5, CART))
    assert found.passages == {FILLED: Stay(START + 2 * STEP, START + 2 * STEP)}


def test_what_is_as_it_must_be_has_no_fault() -> None:
    verdict = judge(ONE_JOINED, stores(*WELCOMED))
    assert verdict.line == "demo: entered=1 ended=0 canceled=0 waiting=1 effects=1 duplicates=0 lost=0"
    assert verdict.faults == ()


def test_a_missing_passage_is_lost() -> None:
    verdict = judge(ONE_JOINED, stores())
    assert counts(verdict) == (0, 1)
    assert "never entered" in verdict.faults[0]


def test_a_passage_that_no_line_asks_for_is_a_duplicate() -> None:
    assert counts(judge(asked(), stores(passage()))) == (1, 0)


def test_a_second_passage_for_one_demand_is_a_duplicate() -> None:
    twin = replace(passage(), id="twin")
    assert counts(judge(ONE_JOINED, stores(*WELCOMED, twin, message(twin)))) == (1, 0)


def test_a_message_sent_twice_is_a_duplicate() -> None:
    assert counts(judge(ONE_JOINED, stores(*WELCOMED, message(passage(), visit=2)))) == (1, 0)


def test_a_message_delivered_twice_is_a_duplicate() -> None:
    assert counts(judge(ONE_JOINED, stores(*WELCOMED, deliveries=2))) == (1, 0)


def test_a_message_that_the_mailbox_never_got_is_lost() -> None:
    assert counts(judge(ONE_JOINED, stores(*WELCOMED, deliveries=0))) == (0, 1)


def test_a_welcome_that_never_came_is_lost() -> None:
    assert counts(judge(ONE_JOINED, stores(passage()))) == (0, 1)


@pytest.mark.parametrize("status", [Status.READY, Status.RUNNING, Status.ERROR, Status.CANCELED])
def test_a_passage_that_nothing_ended_must_be_waiting(status: Status) -> None:
    assert counts(judge(ONE_JOINED, stores(passage(status), message(passage())))) == (0, 1)


def test_a_wait_that_nobody_noticed_is_lost() -> None:
    stuck = replace(passage(), schedule_at=NOW - 2 * STEP)
    assert counts(judge(ONE_JOINED, stores(stuck, message(stuck)))) == (0, 1)


def test_an_end_that_comes_before_the_waits_are_over_is_lost() -> None:
    later = NOW + timedelta(days=3)
    assert counts(judge(ONE_JOINED, stores(passage(Status.ENDED), message(passage()), now=later))) == (0, 1)


def test_who_bought_must_be_canceled_and_hears_nothing_more() -> None:
    bought = asked(line(SHOP_API, "cart.updated", 1, CART), line(CHECKOUT, "order.completed", 5, CART))
    left = passage(Status.CANCELED, journey="abandoned-cart", entry_key="key:c-1")
    assert counts(judge(bought, stores(left))) == (0, 0)
    assert counts(judge(bought, stores(replace(left, status=Status.WAITING, schedule_at=NOW)))) == (0, 1)
    assert counts(judge(bought, stores(left, message(left, "first_reminder", at=START + 3 * STEP)))) == (1, 0)


@pytest.mark.parametrize("status", [EffectStatus.FAILED, EffectStatus.DEAD, EffectStatus.PENDING, EffectStatus.PERFORMING])
def test_an_effect_that_is_not_performed_in_its_time_is_lost(status: EffectStatus) -> None:
    undone = replace(message(passage(), "favourite"), status=status)
    assert counts(judge(ONE_JOINED, stores(*WELCOMED, undone))) == (0, 1)


def test_a_rejected_line_must_be_kept_with_its_reason() -> None:
    wrong = asked(line(IDENTITY, "member.joined", 1, {"bot_id": BOT}))
    data = json.dumps({"trace": "projects/tea-shop/traces/1"}).encode()
    kept = RejectedEvent("r-1", "malformed", "data.member_id: Field required", data, NOW, NOW)
    assert counts(judge(wrong, stores(kept))) == (0, 0)
    assert counts(judge(wrong, stores())) == (0, 1)
    assert counts(judge(wrong, stores(replace(kept, reason="future")))) == (0, 1)
    assert counts(judge(asked(), stores(kept))) == (0, 1)
