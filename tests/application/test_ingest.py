"""`ingest`: who enters, once, and who is told; what is refused is counted, what is wrong is kept."""

from __future__ import annotations

import random

import pytest

from sojourn.application.ingest import MAX_REJECTED_BYTES
from sojourn.application.lifecycle import end, pause
from sojourn.application.messages import RUNS_TOPIC
from sojourn.application.records import CommitResult
from sojourn.domain.definition import Definition
from sojourn.domain.journey import Entries, MemberEvent, RejectedEvent
from sojourn.domain.node import EventTrigger
from sojourn.domain.progress import TERMINAL_RETENTION, Progress, Status
from tests.application.conftest import Cloud, instead
from tests.builders import START, after, definition, entry, log, payload, send, wait

SIMPLE = definition([wait()])
BY_CART = definition([wait()], entry_key="event.data.cart", repeat_journey_times=None)
TWICE = definition([wait()], repeat_journey_times=2, while_active="allow")
ALWAYS = definition([wait()], repeat_journey_times=None)


def test_an_event_that_matches_a_trigger_enters_the_member_and_starts_the_first_hop(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    assert cloud.log(log())[0].notes == ("entered",)
    assert (cloud.progress.status, cloud.progress.node_id, cloud.progress.rev) == (Status.READY, "start", 1)
    assert cloud.waiting(RUNS_TOPIC) == [{"v": 1, "progress_id": cloud.progress.id, "rev": 1}]


def test_an_event_that_no_journey_wants_writes_nothing(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    before = cloud.documents()
    assert [outcome.code for outcome in cloud.log(log("unheard"), log(bot_id="another"))] == ["unwanted", "unwanted"]
    assert cloud.documents() == before


@pytest.mark.parametrize("of", [SIMPLE, BY_CART, TWICE, ALWAYS], ids=["once", "by cart", "twice", "always"])
def test_the_same_event_delivered_again_enters_once(cloud: Cloud, of: Definition) -> None:
    cloud.publish(of)
    same = log(cart="c1")
    outcomes = [*cloud.log(same, same), *cloud.log(same)]
    assert [outcome.notes for outcome in outcomes] == [("entered",), ("duplicate",), ("duplicate",)]
    assert len(cloud.all(Progress)) == 1


def test_a_redelivery_publishes_the_first_hop_again_while_the_member_has_not_moved(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    cloud.log(log())
    cloud.waiting(RUNS_TOPIC)
    cloud.log(log())
    assert len(cloud.waiting(RUNS_TOPIC)) == 1
    cloud.log(log())
    cloud.hop()
    cloud.log(log())
    assert cloud.waiting(RUNS_TOPIC) == []


def test_one_entry_key_is_one_passage_and_another_is_another(cloud: Cloud) -> None:
    cloud.publish(BY_CART)
    entries = [log("joined", id=f"e{number}", cart=cart) for number, cart in enumerate(["c1", "c2", "c1", "c2", "c3"])]
    notes = [outcome.notes[0] for outcome in cloud.log(*entries)]
    assert notes == ["entered", "entered", "entry_key_taken", "entry_key_taken", "entered"]
    assert cloud.log(log(id="e9"))[0].notes == ("entry_key_missing",)


def test_a_member_enters_so_many_times_and_no_more_whatever_the_order(cloud: Cloud) -> None:
    cloud.publish(TWICE)
    entries = [log(id=f"e{number}") for number in range(4)] * 2
    random.Random(1).shuffle(entries)
    outcomes = [outcome for start in range(0, 8, 3) for outcome in cloud.log(*entries[start : start + 3])]
    assert len(cloud.all(Progress)) == 2
    assert sum("entered" in outcome.notes for outcome in outcomes) == 2
    assert cloud.only(Entries).count == 2


@pytest.mark.parametrize(
    ("of", "kept"),
    [(SIMPLE, True), (BY_CART, True), (TWICE, False), (ALWAYS, False)],
    ids=["once", "by cart", "twice", "always"],
)
def test_a_passage_whose_key_may_come_again_is_kept_for_ever(cloud: Cloud, of: Definition, kept: bool) -> None:
    """Once is once for ever: after the retention of other passages the member still does not enter again."""
    cloud.publish(of)
    cloud.log(log(cart="c1"))
    cloud.hop()
    cloud.at(after(days=1))
    cloud.sweep()
    cloud.hop()
    assert cloud.progress.status is Status.ENDED
    assert cloud.progress.expire_at == (None if kept else after(days=1) + TERMINAL_RETENTION)


def test_while_active_skips_until_the_last_passage_is_over(cloud: Cloud) -> None:
    cloud.publish(ALWAYS)
    cloud.log(log(id="e1"))
    assert cloud.log(log(id="e2"))[0].notes == ("already_active",)
    cloud.hop()
    cloud.at(after(days=1))
    cloud.sweep()
    cloud.hop()
    assert cloud.log(log(id="e3"))[0].notes == ("entered",)


def test_a_filter_that_does_not_hold_is_a_refusal(cloud: Cloud) -> None:
    settings = {"name": "joined", "filter": "event.data.age >= 18"}
    trigger = EventTrigger.model_validate({"id": "start", "key": "event", "settings": settings})
    cloud.publish(SIMPLE.model_copy(update={"nodes": (trigger, *SIMPLE.nodes[1:])}))
    notes = [cloud.log(log(member=f"m{age}", age=age))[0].notes for age in (17, 18)]
    assert [*notes, cloud.log(log(member="x"))[0].notes] == [("filter",), ("entered",), ("filter",)]


def test_nobody_enters_before_the_start_while_paused_or_after_the_end(cloud: Cloud) -> None:
    cloud.publish(definition([wait()], schedule_start_at=after(hours=1).isoformat(), repeat_journey_times=None))
    assert cloud.log(log(id="e1"))[0].notes == ("not_started",)
    cloud.at(after(hours=1))
    pause(cloud.shop, SIMPLE.id)
    cloud.at(after(hours=2))
    assert cloud.log(log(id="e2"))[0].notes == ("paused",)
    end(cloud.shop, SIMPLE.id)
    cloud.at(after(hours=3))
    assert cloud.log(log(id="e3"))[0].code == "unwanted"
    assert cloud.all(Progress) == []


def test_an_event_that_a_journey_listens_for_is_kept_and_told_to_those_who_wait(cloud: Cloud) -> None:
    cloud.publish(definition([wait()], exit_events=[{"event": "order"}]))
    cloud.log(log())
    cloud.waiting(RUNS_TOPIC)
    assert cloud.log(log("order", at=after(minutes=1)))[0].notes == ("signaled",)
    assert cloud.only(MemberEvent).event.name == "order"
    assert cloud.waiting(RUNS_TOPIC) == [{"v": 1, "progress_id": cloud.progress.id}]


def test_an_event_that_came_before_its_listener_is_found_by_the_first_hop(cloud: Cloud) -> None:
    cloud.publish(definition([send()], exit_events=[{"event": "order"}]))
    cloud.log(log("order", at=after(minutes=1)))
    cloud.log(log("joined", at=START))
    cloud.hop()
    assert cloud.progress.end_reason == "exit event order"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"not json", "malformed"),
        (entry(payload(member_id=None)), "malformed"),
        (entry(payload(metadata={"schema_version": 2})), "unknown_version"),
        (log(at=after(days=1)), "future"),
        (log(text="x" * 300_000), "oversized"),
    ],
    ids=["not json", "no member", "version", "future", "oversized"],
)
def test_an_entry_of_ours_that_is_wrong_is_kept_whole_once(cloud: Cloud, data: bytes, reason: str) -> None:
    assert {outcome.notes for outcome in cloud.log(data, data)} == {(reason,)}
    kept = cloud.only(RejectedEvent)
    assert (kept.data, kept.reason) == (data, reason)


def test_an_entry_that_no_document_can_hold_is_kept_in_part_and_says_so(cloud: Cloud) -> None:
    data = random.Random(1).randbytes(2_000_000)
    assert cloud.log(data)[0].notes == ("oversized",)
    kept = cloud.only(RejectedEvent)
    assert kept.data == data[:MAX_REJECTED_BYTES]
    assert kept.detail.endswith("(the first 700,000 of 2,000,000 bytes are kept)")


def test_one_bad_entry_does_not_fail_its_neighbours(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    codes = [outcome.code for outcome in cloud.log(b"[]", entry({"message": "x"}), log())]
    assert codes == ["rejected", "not_ours", "taken"]


def test_an_unclear_answer_of_the_store_asks_for_the_entry_again_and_the_next_try_is_one_entry(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.publish(SIMPLE)
    instead(cloud.store, "commit_many", lambda commits: [CommitResult.UNKNOWN for _ in cloud.store.commit_many(commits)])
    assert cloud.log(log())[0].notes == ("entered",)  # its own token says that it was applied
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(cloud.store, "commit_many", lambda commits: [CommitResult.UNKNOWN for _ in commits])
        assert cloud.log(log(member="bob"))[0].retry
    assert cloud.log(log(member="bob"))[0].notes == ("entered",)
    assert len(cloud.all(Progress)) == 2


def test_a_publish_that_is_not_taken_asks_for_the_entry_again(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    instead(cloud.topics, "publish_many", lambda messages: [False for _ in messages])
    assert cloud.log(log())[0].retry
    assert cloud.log(log())[0].notes == ("duplicate",)
    assert len(cloud.waiting(RUNS_TOPIC)) == 1
