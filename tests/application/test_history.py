"""History: a member's timeline tells what happened and why, and why an event started nothing."""

from __future__ import annotations

import pytest

from sojourn.application.history import Line, Timeline, list_passages, timeline
from sojourn.application.lifecycle import pause, resume
from sojourn.domain.errors import NotFound
from sojourn.domain.history import Refusal
from sojourn.domain.node import EventTrigger
from sojourn.domain.progress import Status
from tests.application.conftest import Cloud
from tests.builders import BOT, JOURNEY, MEMBER, after, definition, log, send, wait

BRANCHES: dict[str, object] = {
    "id": "rich",
    "key": "branch",
    "settings": {"branches": [{"name": "yes", "condition": "event.data.total > 100"}]},
}
PATHS: list[tuple[str, str] | tuple[str, str, int]] = [
    ("start", "rich"),
    ("rich", "hello", 0),
    ("rich", "end", 1),
    ("hello", "pause"),
    ("pause", "end"),
]
JOURNEYS = definition([BRANCHES, send(), wait()], PATHS, exit_events=[{"event": "left"}], repeat_journey_times=None)


def told(cloud: Cloud) -> Timeline:
    return timeline(cloud.shop, BOT, MEMBER)


def words(lines: tuple[Line, ...]) -> list[tuple[str, str | None, str]]:
    return [(line.what, line.node_id, line.outcome) for line in lines]


def test_it_tells_entry_nodes_messages_and_why_the_member_left(cloud: Cloud) -> None:
    cloud.publish(JOURNEYS)
    cloud.log(log(total=120))
    cloud.hop()
    cloud.perform()
    cloud.at(after(hours=1))
    cloud.log(log("left", at=after(hours=1)))
    cloud.hop()
    found = told(cloud)
    assert words(found.lines) == [
        ("entered", None, "entered"),
        ("step", "rich", "yes"),
        ("step", "hello", "sent"),
        ("step", "pause", "waiting"),
        ("effect", "hello", "done"),
        ("step", "pause", "canceled"),
    ]
    assert found.lines[0].reason == "event joined of 2026-03-02 09:00:00 UTC, version 1"
    assert found.lines[4].reason is not None and found.lines[4].reason.startswith("message over mailbox: mailbox-")
    assert found.lines[-1].reason == "exit event left"
    (passage,) = found.passages
    assert (passage.status, passage.event, passage.ended_at) == (Status.CANCELED, "joined", after(hours=1))


@pytest.mark.parametrize(
    ("total", "outcome", "reason"),
    [
        (120, "yes", "event.data.total > 100 (event.data.total = 120)"),
        (20, "else", "none holds (event.data.total = 20)"),
    ],
)
def test_a_branch_is_told_with_the_values_that_decided_it(cloud: Cloud, total: int, outcome: str, reason: str) -> None:
    cloud.publish(JOURNEYS)
    cloud.log(log(total=total))
    cloud.hop()
    (line,) = [line for line in told(cloud).lines if line.node_id == "rich"]
    assert (line.outcome, line.reason) == (outcome, reason)


def test_an_event_that_did_not_enter_is_told_with_the_reason(cloud: Cloud) -> None:
    settings = {"name": "joined", "filter": "event.data.age >= 18"}
    trigger = EventTrigger.model_validate({"id": "start", "key": "event", "settings": settings})
    cloud.publish(JOURNEYS.model_copy(update={"nodes": (trigger, *JOURNEYS.nodes[1:])}))
    cloud.log(log(id="young", age=17), log(id="first", age=18), log(id="second", age=18))
    pause(cloud.shop, JOURNEY)
    cloud.at(after(minutes=1))
    cloud.log(log(id="late", age=18, at=after(minutes=1)))
    refused = [line for line in told(cloud).lines if line.what == "refused"]
    outcomes = {line.event_id: line.outcome for line in refused}
    assert outcomes == {"young": "filter", "second": "already_active", "late": "paused"}
    assert refused[-1].event_id == "late"


def test_not_started_and_a_missing_or_taken_entry_key_are_refusals(cloud: Cloud) -> None:
    start = after(hours=1).isoformat()
    cloud.publish(definition([wait()], schedule_start_at=start, entry_key="event.data.cart", repeat_journey_times=None))
    cloud.log(log(id="early", cart="c1"))
    cloud.at(after(hours=1))
    at = after(hours=1)
    cloud.log(log(id="bare", at=at), log(id="one", cart="c1", at=at), log(id="two", cart="c1", at=at))
    reasons = {refusal.event_id: refusal.reason for refusal in cloud.all(Refusal)}
    assert reasons == {"early": "not_started", "bare": "entry_key_missing", "two": "entry_key_taken"}


def test_a_refusal_delivered_again_is_one_refusal(cloud: Cloud) -> None:
    cloud.publish(definition([wait()], schedule_start_at=after(hours=1).isoformat()))
    cloud.log(log(), log())
    cloud.log(log())
    assert cloud.only(Refusal).reason == "not_started"


@pytest.mark.parametrize("of", [definition([wait()]), JOURNEYS], ids=["once", "always"])
def test_an_event_that_entered_is_no_refusal_when_it_comes_again_to_a_paused_journey(cloud: Cloud, of: object) -> None:
    cloud.publish(of)  # type: ignore[arg-type]
    cloud.log(log(), log())
    pause(cloud.shop, JOURNEY)
    cloud.at(after(minutes=1))
    assert cloud.log(log())[0].notes == ("paused",)
    assert cloud.all(Refusal) == []


def test_an_event_that_enters_on_a_second_delivery_was_not_refused(cloud: Cloud) -> None:
    cloud.publish(definition([wait()]))
    pause(cloud.shop, JOURNEY)
    cloud.log(log())
    assert [line.what for line in told(cloud).lines] == ["refused"]
    resume(cloud.shop, JOURNEY)
    cloud.at(after(minutes=1))
    cloud.log(log())
    assert [line.what for line in told(cloud).lines] == ["entered"]


def test_an_event_that_nobody_wants_leaves_no_trace(cloud: Cloud) -> None:
    cloud.publish(JOURNEYS)
    cloud.log(log("unheard"))
    with pytest.raises(NotFound, match="nothing is known"):
        told(cloud)


def test_one_journey_of_several(cloud: Cloud) -> None:
    cloud.publish(JOURNEYS)
    cloud.publish(JOURNEYS.model_copy(update={"id": "other"}))
    cloud.log(log())
    both, one = told(cloud), timeline(cloud.shop, BOT, MEMBER, journey_id="other")
    assert {passage.journey_id for passage in both.passages} == {JOURNEY, "other"}
    assert {line.journey_id for line in one.lines} == {"other"} == {passage.journey_id for passage in one.passages}


def test_passages_are_listed_by_status_and_node(cloud: Cloud) -> None:
    cloud.publish(JOURNEYS)
    cloud.log(*(log(member=f"m{number}", total=number * 60) for number in range(4)))
    cloud.hop()
    shop = cloud.shop
    assert len(list_passages(shop, JOURNEY)) == 4
    assert {passage.member_id for passage in list_passages(shop, JOURNEY, status=Status.ENDED)} == {"m0", "m1"}
    waiting = list_passages(shop, JOURNEY, node_id="pause")
    assert {passage.member_id for passage in waiting} == {"m2", "m3"}
    assert list_passages(shop, JOURNEY, node_id="pause", after=waiting[0].id) == waiting[1:]
    assert list_passages(shop, "nowhere") == []
