"""The jobs of schedule triggers: in step with their journey through its life, and repaired where they drifted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

import pytest
from typer.testing import CliRunner, Result

from sojourn.adapters.memory import MemoryJobs
from sojourn.application.lifecycle import edit_journey, end, get_journey, pause, publish, resume
from sojourn.application.messages import ENROLLMENTS_TOPIC
from sojourn.application.ports import Job, Outgoing
from sojourn.application.records import Update
from sojourn.application.schedule_jobs import GRACE, job_name, reconcile_jobs, sync_jobs
from sojourn.application.workshop import Workshop
from sojourn.cli.journeys import app
from sojourn.domain.definition import Definition
from sojourn.domain.errors import Unavailable
from sojourn.domain.journey import Journey, JourneyStatus
from sojourn.runtime.application import install
from tests.application.conftest import Cloud
from tests.builders import JOURNEY, after, definition, wait

NAME = job_name(JOURNEY, "clock")


def clocked(*, cron: str | None = "0 9 * * MON", timezone: str = "Asia/Taipei", **settings: object) -> Definition:
    clock = {"id": "clock", "key": "schedule", "settings": {"cron": cron, "timezone": timezone} | settings}
    return definition([clock, wait()], [("start", "pause"), ("clock", "pause"), ("pause", "end")])


def jobs(cloud: Cloud) -> list[Job]:
    return cloud.jobs.jobs("")


def test_publishing_makes_one_job_for_each_schedule_trigger(cloud: Cloud) -> None:
    cloud.publish(clocked())
    (job,) = jobs(cloud)
    assert (job.name, job.schedule, job.timezone, job.paused) == (NAME, "0 9 * * MON", "Asia/Taipei", False)
    assert job.message == Outgoing(ENROLLMENTS_TOPIC, b'{"v":1,"journey_id":"journey-1","node_id":"clock"}')
    assert job.description == "journey journey-1, node clock"


def test_pause_resume_and_end_keep_it_in_step(cloud: Cloud) -> None:
    shop = cloud.shop
    cloud.publish(clocked())
    pause(shop, JOURNEY)
    assert [job.paused for job in jobs(cloud)] == [True]
    resume(shop, JOURNEY)
    assert [job.paused for job in jobs(cloud)] == [False]
    end(shop, JOURNEY)
    assert jobs(cloud) == []


@pytest.mark.parametrize(
    ("second", "expected"),
    [(clocked(cron="30 8 * * *"), [(NAME, "30 8 * * *")]), (definition([wait()]), [])],
    ids=["another line", "no trigger"],
)
def test_a_new_version_changes_the_job_or_takes_it_away(
    cloud: Cloud, second: Definition, expected: list[tuple[str, str]]
) -> None:
    shop = cloud.shop
    cloud.publish(clocked())
    pause(shop, JOURNEY)
    edit_journey(shop, second)
    assert [job.schedule for job in jobs(cloud)] == ["0 9 * * MON"]  # a draft changes nothing
    publish(shop, JOURNEY)
    assert [(job.name, job.schedule) for job in jobs(cloud)] == expected


def test_one_moment_becomes_a_line_of_that_minute_in_the_zone(cloud: Cloud) -> None:
    cloud.publish(clocked(cron=None, at="2026-03-08T00:30:00Z"))
    assert [job.schedule for job in jobs(cloud)] == ["30 8 8 3 *"]


def test_a_moment_that_is_over_needs_no_job(cloud: Cloud) -> None:
    cloud.at(after(days=7) + GRACE + timedelta(seconds=1))
    cloud.publish(clocked(cron=None, at=after(days=7).isoformat()))
    assert jobs(cloud) == []


def test_names_are_what_cloud_scheduler_takes() -> None:
    name = job_name("Sommer / 夏 " * 15, "n" * 64)
    assert len(name) <= 500 and name.isascii() and name.replace("-", "").replace("_", "").isalnum()


class NoJobs(MemoryJobs):
    """A scheduler that does not answer."""

    def _fail(self, *_: object) -> NoReturn:
        raise Unavailable("Cloud Scheduler: deadline exceeded")

    put = delete = jobs = _fail  # type: ignore[assignment]


def test_a_journey_without_schedule_never_asks_the_scheduler(cloud: Cloud) -> None:
    cloud.shop = replace(cloud.shop, jobs=NoJobs())
    cloud.publish(definition([wait()]))
    pause(cloud.shop, JOURNEY)
    assert end(cloud.shop, JOURNEY).status is JourneyStatus.ENDED


def test_where_the_scheduler_does_not_answer_the_change_holds_and_reconcile_makes_up_for_it(cloud: Cloud) -> None:
    dead = replace(cloud.shop, jobs=NoJobs())
    cloud.publish(clocked())
    with pytest.raises(Unavailable, match=r"^journey 'journey-1' is PAUSED, but its jobs are not in step yet: .*reconcile"):
        pause(dead, JOURNEY)
    assert cloud.only(Journey).status is JourneyStatus.PAUSED and not jobs(cloud)[0].paused
    assert [repair.change for repair in reconcile_jobs(cloud.shop)] == ["changed"]
    assert jobs(cloud)[0].paused


def test_of_two_changes_at_once_the_later_one_stands(cloud: Cloud) -> None:
    """The pause wrote first and comes second to the scheduler: it finds the resume's head."""
    shop = cloud.shop
    cloud.publish(clocked())
    older = replace(get_journey(shop, JOURNEY), status=JourneyStatus.PAUSED)
    stored = shop.store.get_many(Journey, [JOURNEY])[0]
    assert stored
    newer = replace(stored.value, status=JourneyStatus.ONGOING, rev=older.rev + 1)
    shop.store.commit_many([(Update(newer, stored.version),)])
    sync_jobs(shop, older)
    assert [job.paused for job in jobs(cloud)] == [False]


DRIFT: dict[str, tuple[Callable[[Workshop, Job], object], str]] = {
    "lost": (lambda shop, job: shop.jobs.delete(job.name), "created"),
    "paused by hand": (lambda shop, job: shop.jobs.put(replace(job, paused=True)), "changed"),
    "another line": (lambda shop, job: shop.jobs.put(replace(job, schedule="* * * * *")), "changed"),
    "left over": (lambda shop, job: shop.jobs.put(replace(job, name=job_name("gone", "clock"))), "deleted"),
}


@pytest.mark.parametrize(("drift", "change"), DRIFT.values(), ids=DRIFT.keys())
def test_reconcile_repairs_drift_and_says_so(cloud: Cloud, drift: Callable[[Workshop, Job], object], change: str) -> None:
    shop = cloud.shop
    cloud.publish(clocked())
    (job,) = jobs(cloud)
    shop.jobs.put(replace(job, name="journey-sweep-every-minute"))  # somebody else's
    drift(shop, job)
    assert [repair.change for repair in reconcile_jobs(shop)] == [change]
    assert jobs(cloud) == [job, replace(job, name="journey-sweep-every-minute")]
    assert reconcile_jobs(shop) == []


@pytest.fixture
def command(cloud: Cloud) -> Iterator[Callable[..., Result]]:
    """`sojourn journeys reconcile` over the cloud."""
    install(cloud.shop)
    yield lambda *options: CliRunner().invoke(app, ["reconcile", *options])
    install(None)


def test_the_command_says_what_it_repaired(cloud: Cloud, command: Callable[..., Result]) -> None:
    cloud.publish(clocked())
    cloud.jobs.delete(NAME)
    found = command()
    assert (found.exit_code, found.output) == (0, f"created {NAME} (journey journey-1, node clock)\n")
    assert command().output == "every job is as it should be\n"


def test_the_command_prints_json_where_it_is_asked_to(cloud: Cloud, command: Callable[..., Result]) -> None:
    cloud.publish(clocked())
    cloud.jobs.delete(NAME)
    repaired = [{"name": NAME, "change": "created", "description": "journey journey-1, node clock"}]
    assert json.loads(command("--json").output) == repaired
    assert json.loads(command("--json").output) == []
