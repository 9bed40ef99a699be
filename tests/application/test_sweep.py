"""`sweep`: what should have moved is published again, without feeding a slow consumer twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pytest_mock import MockerFixture

from sojourn.application.messages import RUNS_TOPIC, SWEEPS_TOPIC, SweepMessage
from sojourn.application.records import MAX_PAGE, Create, Page, Update
from sojourn.application.sweep import STUCK_AFTER, sweep
from sojourn.application.workshop import Limits
from sojourn.domain.journey import Journey, JourneyStatus
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud
from tests.builders import START, after, definition, log, wait

SIMPLE = definition([wait()])


def test_at_first_sight_it_publishes_and_writes_nothing(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    cloud.log(log())
    cloud.waiting(RUNS_TOPIC)  # the message is lost
    assert "requeued" not in cloud.sweep().notes
    cloud.at(after(seconds=95))
    before = cloud.documents()
    assert cloud.sweep().notes == ("requeued",)
    assert cloud.documents() == before
    assert cloud.hop()[0].code == "advanced"


def test_seen_again_it_bumps_by_a_backoff_and_counts_who_is_stuck(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    cloud.log(log())
    cloud.at(after(minutes=5))
    pauses, stuck = [], []
    for _ in range(STUCK_AFTER):
        stuck.append("stuck" in cloud.sweep().notes)
        due = cloud.progress.sweep_at
        assert due is not None
        pauses.append(due - cloud.clock.now())
        cloud.at(due)
    assert pauses == [timedelta(minutes=min(2**count, 60)) for count in range(STUCK_AFTER)]
    assert stuck == [False] * (STUCK_AFTER - 1) + [True]
    assert (cloud.progress.sweep_count, cloud.progress.rev) == (STUCK_AFTER, 1)
    cloud.waiting(RUNS_TOPIC)
    cloud.at(after(days=9))
    cloud.sweep()
    assert cloud.hop()[0].code == "advanced"  # nobody is ever given up
    assert cloud.progress.sweep_count == 0


def test_who_is_ready_for_a_scheduled_time_runs_at_that_time_and_not_before(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    cloud.log(log())
    (stored,) = cloud.store.get_many(Progress, [cloud.progress.id])
    assert stored is not None
    later = replace(stored.value, schedule_at=after(hours=1), sweep_at=after(hours=1))
    cloud.store.commit_many([(Update(cloud.shop.stamp_progress(later, rev=1), stored.version),)])
    assert cloud.hop()[0].code == "nothing_due"
    cloud.at(after(minutes=59))
    assert cloud.sweep().notes == ()
    cloud.at(after(hours=1))
    assert cloud.sweep().notes == ("requeued",)
    assert cloud.hop()[0].code == "advanced"
    assert (cloud.progress.status, cloud.progress.schedule_at) == (Status.WAITING, after(days=1, hours=1))


def test_a_wait_that_is_due_moves_on_and_one_that_is_not_stays(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    cloud.log(log())
    cloud.hop()
    cloud.at(after(hours=23))
    cloud.sweep()
    assert cloud.waiting(RUNS_TOPIC) == []
    cloud.at(after(days=1))
    cloud.sweep()
    cloud.hop()
    assert cloud.progress.status is Status.ENDED
    cloud.at(after(days=30))
    assert cloud.sweep().notes == ()


def test_an_ordinary_sweep_looks_back_a_quarter_of_an_hour_and_every_tenth_minute_to_the_beginning(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    cloud.log(log())
    cloud.at(after(minutes=31))
    assert cloud.sweep().notes == ()
    cloud.at(after(minutes=40))
    assert cloud.sweep().notes == ("requeued",)


def test_many_who_are_due_at_one_moment_are_all_found_page_after_page(cloud: Cloud) -> None:
    cloud.shop = replace(cloud.shop, limits=Limits(shards=1))
    cloud.publish(SIMPLE)
    count = MAX_PAGE + 1
    cloud.log(*(log(member=f"m{number}") for number in range(count)))
    cloud.hop()
    cloud.at(after(days=1))
    assert cloud.sweep().notes.count("requeued") == count
    assert {message["progress_id"] for message in cloud.waiting(RUNS_TOPIC)} == {
        progress.id for progress in cloud.all(Progress)
    }


def test_what_cannot_be_read_is_counted_and_keeps_nobody(cloud: Cloud, mocker: MockerFixture) -> None:
    cloud.publish(SIMPLE)
    cloud.log(log(member="ann"), log(member="ben"))
    cloud.waiting(RUNS_TOPIC)
    cloud.at(after(seconds=95))
    ask = cloud.shop.store.due

    def spoilt(kind: type[Progress], shard: int, **bounds: Any) -> Page[Progress]:
        page = ask(kind, shard, **bounds)
        return replace(page, unreadable=["spoilt"]) if shard == 0 and kind is Progress else page

    mocker.patch.object(cloud.shop.store, "due", spoilt)
    assert sorted(cloud.sweep().notes) == ["requeued", "requeued", "unreadable"]


def test_a_tick_over_many_shards_fans_out_one_message_per_group(cloud: Cloud) -> None:
    cloud.shop = replace(cloud.shop, limits=Limits(shards=40))
    cloud.publish(SIMPLE)
    cloud.log(*(log(member=f"m{number}") for number in range(100)))
    cloud.waiting(RUNS_TOPIC)
    cloud.at(after(minutes=2))
    assert cloud.sweep().code == "fanned_out"
    groups = [SweepMessage.model_validate_json(data) for data in cloud.topics.take(SWEEPS_TOPIC)]
    assert sorted(shard for group in groups for shard in group.shards or ()) == list(range(40))
    assert len(groups) == 3
    outcomes = sweep(cloud.shop, groups)
    assert sum(outcome.notes.count("requeued") for outcome in outcomes) == 100


@pytest.mark.parametrize("status", [JourneyStatus.ONGOING, JourneyStatus.PAUSED])
def test_the_tick_ends_a_journey_whose_time_is_over(cloud: Cloud, status: JourneyStatus) -> None:
    head = Journey("j", "b", "J", status, 1, START, START, schedule_end_at=after(days=1))
    cloud.store.commit_many([(Create(head),)])
    cloud.at(after(hours=23))
    cloud.sweep()
    assert cloud.only(Journey).status is status
    cloud.at(after(days=1))
    assert "journey_ended" in cloud.sweep().notes
    assert (cloud.only(Journey).status, cloud.only(Journey).end_reason) == (JourneyStatus.ENDED, "schedule_end_at reached")


def test_a_hop_that_died_is_run_again_after_five_minutes(cloud: Cloud) -> None:
    cloud.shop = replace(cloud.shop, limits=Limits(max_nodes_per_hop=1))
    cloud.publish(SIMPLE)
    cloud.log(log())
    cloud.hop()
    assert cloud.progress.status is Status.RUNNING
    cloud.waiting(RUNS_TOPIC)  # the worker that took the next message died
    cloud.at(after(minutes=5))
    assert "requeued" not in cloud.sweep().notes
    cloud.at(after(minutes=8))
    assert "requeued" in cloud.sweep().notes
    assert [outcome.code for outcome in cloud.hop()] == ["advanced"]
