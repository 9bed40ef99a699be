"""Schedule triggers in the whole local cloud: real functions, Google's emulators and the one of Cloud Scheduler."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.cloud.scheduler_v1.types import Job

from emulator.local_cloud import LOCATION, TICK_JOB, LocalCloud, LocalCloudSettings
from emulator.scheduler import connect
from sojourn.application.lifecycle import end, pause, publish_journey, resume
from sojourn.application.records import CommitResult, Create
from sojourn.application.schedule_jobs import job_name
from sojourn.application.workshop import Workshop
from sojourn.domain.progress import Progress, Status
from sojourn.runtime.application import compose
from sojourn.runtime.settings import read_settings
from tests.builders import JOURNEY, definition, member, wait

pytestmark = [pytest.mark.emulators, pytest.mark.slow]
DEADLINE_SECONDS = 60.0


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    settings = LocalCloudSettings(state_dir=Path(tmp_path_factory.mktemp("state")), copies=2, project="schedules")
    with LocalCloud(settings, say=lambda *_: None) as cloud:
        yield cloud


@pytest.fixture
def shop(cloud: LocalCloud) -> Workshop:
    return compose(read_settings(cloud.environment))


@pytest.fixture
def scheduler(cloud: LocalCloud) -> Iterator[CloudSchedulerClient]:
    with connect(cloud.addresses.scheduler_emulator_host or "") as client:
        yield client


def job(cloud: LocalCloud, name: str) -> str:
    return f"projects/{cloud.settings.project}/locations/{LOCATION}/jobs/{name}"


def run(scheduler: CloudSchedulerClient, name: str) -> None:
    """Run a job, and wait until it has published."""
    before = scheduler.get_job(name=name).last_attempt_time
    scheduler.run_job(name=name)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while scheduler.get_job(name=name).last_attempt_time == before:
        assert time.monotonic() < deadline, "the job never ran"


def test_the_minute_tick_is_a_job(cloud: LocalCloud, scheduler: CloudSchedulerClient) -> None:
    tick = scheduler.get_job(name=job(cloud, TICK_JOB))
    assert (tick.schedule, tick.pubsub_target.data) == ("* * * * *", b"{}")


def test_a_job_enrolls_the_audience_once_however_often_it_runs_and_follows_its_journey(
    cloud: LocalCloud, shop: Workshop, scheduler: CloudSchedulerClient
) -> None:
    clock = {"id": "clock", "key": "schedule", "settings": {"cron": "0 9 1 1 *"}}
    paths = [("start", "pause"), ("clock", "pause"), ("pause", "end")]
    name = job(cloud, job_name(JOURNEY, "clock"))
    assert shop.store.commit_many([(Create(member()),)]) == [CommitResult.APPLIED]
    publish_journey(shop, definition([clock, wait()], paths, repeat_journey_times=None, while_active="allow"))
    for _ in range(2):
        run(scheduler, name)
        cloud.wait_quiet(DEADLINE_SECONDS)
    (progress,) = shop.store.scan(Progress)
    assert (progress.member_id, progress.status) == (member().member_id, Status.WAITING)
    pause(shop, JOURNEY)
    assert scheduler.get_job(name=name).state == Job.State.PAUSED
    resume(shop, JOURNEY)
    assert scheduler.get_job(name=name).state == Job.State.ENABLED
    end(shop, JOURNEY)
    assert [one.name for one in scheduler.list_jobs(parent=name.rpartition("/jobs/")[0])] == [job(cloud, TICK_JOB)]
