"""The daily check-up: once a day, page by page, whatever is lost or delivered twice; and what it tells whoever watches."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from sojourn.application.checkup import check_page, checkup_messages, daily_checkup
from sojourn.application.messages import RUNS_TOPIC, SWEEPS_TOPIC
from sojourn.application.outcome import Outcome
from sojourn.application.records import MAX_PAGE, CommitResult, Create, Update
from sojourn.domain.checkup import HOUR, MAX_FINDINGS, PAGE_PATIENCE, Checkup, begins
from sojourn.domain.errors import Unavailable
from sojourn.domain.health import Ailment, Finding
from sojourn.domain.progress import Progress
from tests.application.conftest import Cloud, MemoryCloud, instead
from tests.builders import START, definition, log, wait
from tests.builders import progress as a_progress

NIGHT = START.replace(hour=HOUR) + timedelta(days=1)
LONG = definition([wait(duration="9d")])


def broken(cloud: Cloud) -> None:
    """A member whom no sweep will ever find."""
    cloud.publish(LONG)
    cloud.log(log())
    cloud.hop()
    (stored,) = cloud.store.get_many(Progress, [cloud.progress.id])
    assert stored is not None
    cloud.store.commit_many([(Update(replace(stored.value, sweep_at=None), stored.version),)])


def of(cloud: Cloud) -> Checkup:
    found = daily_checkup(cloud.shop)
    assert found is not None
    return found


def test_it_finds_and_repairs_once_a_day_and_leaves_word(cloud: Cloud) -> None:
    broken(cloud)
    cloud.sweep()
    assert cloud.settle() == [] and daily_checkup(cloud.shop) is None
    cloud.at(NIGHT)
    cloud.sweep()
    assert [outcome.code for outcome in cloud.settle()] == ["checking", "checking", "checked"]
    done = of(cloud)
    assert (done.looked, done.found, done.repaired) == ({"journeys": 1, "progress": 1}, {"no_future": 1}, {"no_future": 1})
    assert done.done and [(one.ailment, one.repaired) for one in done.findings] == [(Ailment.NO_FUTURE, True)]
    assert [outcome.code for outcome in cloud.hop()] == ["rearmed"]
    for minutes in (1, 30, 60 * 23):
        cloud.at(NIGHT + timedelta(minutes=minutes))
        cloud.sweep()
        assert cloud.waiting(SWEEPS_TOPIC) == []
    cloud.at(NIGHT + timedelta(days=1))
    cloud.sweep()
    cloud.settle()
    assert (of(cloud).started_at, of(cloud).found) == (NIGHT + timedelta(days=1), {})


def test_the_outcome_counts_what_was_found_and_what_was_repaired(memory_cloud: MemoryCloud) -> None:
    broken(memory_cloud)
    memory_cloud.at(NIGHT)
    memory_cloud.sweep()
    outcomes = memory_cloud.settle()
    assert [outcome.notes for outcome in outcomes] == [(), ("doctor_found", "doctor_repaired"), ()]


def test_many_members_are_many_pages(memory_cloud: MemoryCloud) -> None:
    cloud = memory_cloud
    cloud.publish(LONG)
    member = a_progress(LONG)
    count = 2 * MAX_PAGE + 1
    records = [replace(member, id=f"p{number:05}", sweep_at=NIGHT, shard=number % 8) for number in range(count)]
    cloud.store.commit_many([(Create(record),) for record in records])
    cloud.at(NIGHT)
    cloud.sweep()
    cloud.topics.take(RUNS_TOPIC)
    assert [outcome.code for outcome in cloud.settle()] == ["checking"] * 4 + ["checked"]
    assert of(cloud).looked == {"journeys": 1, "progress": count}


def test_a_page_delivered_twice_goes_on_once(memory_cloud: MemoryCloud) -> None:
    cloud = memory_cloud
    broken(cloud)
    cloud.at(NIGHT)
    cloud.sweep()
    cloud.waiting(SWEEPS_TOPIC)
    assert check_page(cloud.shop).code == "checking"
    find = cloud.store.find
    instead(cloud.store, "find", lambda *args, **options: (find(*args, **options), check_page(cloud.shop))[0])
    assert check_page(cloud.shop).code == "overtaken"
    assert of(cloud).found == {"no_future": 1}
    assert len(cloud.waiting(SWEEPS_TOPIC)) == 2


def test_a_page_whose_message_is_lost_is_asked_for_again(cloud: Cloud) -> None:
    broken(cloud)
    cloud.at(NIGHT)
    cloud.sweep()
    assert cloud.waiting(SWEEPS_TOPIC) == [{"v": 1, "checkup": True, "deep": False}]
    cloud.at(NIGHT + PAGE_PATIENCE)
    cloud.sweep()
    assert cloud.waiting(SWEEPS_TOPIC) == []
    cloud.at(NIGHT + PAGE_PATIENCE + timedelta(minutes=1))
    cloud.sweep()
    cloud.settle()
    assert of(cloud).done


def test_a_page_that_could_not_be_written_is_taken_again(memory_cloud: MemoryCloud) -> None:
    broken(memory_cloud)
    memory_cloud.at(NIGHT)
    memory_cloud.sweep()
    instead(memory_cloud.store, "commit_many", lambda commits: [CommitResult.UNKNOWN] * len(commits))
    assert check_page(memory_cloud.shop).retry
    assert of(memory_cloud).looked == {}


def test_a_message_without_a_checkup_does_nothing(cloud: Cloud) -> None:
    assert check_page(cloud.shop) == Outcome("checked")


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (None, START.replace(hour=HOUR, minute=59), True),
        (None, START.replace(hour=HOUR + 1), False),
        (START.replace(hour=HOUR), START.replace(hour=23), False),
        (START.replace(hour=HOUR, minute=40), START.replace(hour=HOUR) + timedelta(days=1), True),
        (START.replace(hour=HOUR), START.replace(hour=1) + timedelta(days=1), False),
        (START.replace(hour=HOUR), START.replace(hour=9) + timedelta(days=1), True),
    ],
    ids=["the first", "not at any other hour", "today already", "the next day", "before the hour", "late after an outage"],
)
def test_it_begins_at_its_hour_or_as_soon_after_as_it_can(last: datetime | None, now: datetime, due: bool) -> None:
    checkup = Checkup("daily", last, last, done=True) if last is not None else None
    assert begins(checkup, now) is due
    assert last is None or not begins(Checkup("daily", last, last), now)


def test_it_keeps_the_first_findings_and_counts_all(memory_cloud: MemoryCloud) -> None:
    finding = Finding(Ailment.STUCK, "progress/p", "j", "m", "…")
    checkup = Checkup("daily", START, START).turned([finding] * 150, looked=150, after="p", now=START)
    assert (len(checkup.findings), checkup.found, checkup.repaired) == (MAX_FINDINGS, {"stuck": 150}, {})
    assert checkup_messages(memory_cloud.shop, START) == []


def test_members_are_looked_at_even_where_the_scheduler_does_not_answer(memory_cloud: MemoryCloud) -> None:
    def away(prefix: str) -> object:
        raise Unavailable(f"no {prefix}")

    broken(memory_cloud)
    memory_cloud.at(NIGHT)
    memory_cloud.sweep()
    instead(memory_cloud.jobs, "jobs", away)
    memory_cloud.settle()
    assert of(memory_cloud).repaired == {"no_future": 1}
