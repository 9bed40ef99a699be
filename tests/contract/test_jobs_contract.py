"""What every `JobScheduler` promises, in memory and on the Cloud Scheduler emulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from google.api_core.exceptions import (
    Aborted,
    DeadlineExceeded,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
    ServiceUnavailable,
)
from pytest_mock import MockerFixture

from emulator.scheduler import SchedulerEmulator
from sojourn.adapters.cloud_scheduler import CloudJobs
from sojourn.adapters.memory import MemoryJobs
from sojourn.application.ports import Job, JobScheduler, Outgoing
from sojourn.domain.errors import Unavailable

DAILY = Job("ours-daily", "0 9 * * *", "Asia/Taipei", Outgoing("journey-enrollments", b'{"v":1}'), "journey a, node b")


@pytest.fixture(params=["memory", "emulator"])
def jobs(request: pytest.FixtureRequest) -> Iterator[JobScheduler]:
    if request.param == "memory":
        yield MemoryJobs()
        return
    with SchedulerEmulator(lambda *_: None) as emulator:
        scheduler = CloudJobs("shop", "us-central1", emulator_host=emulator.host)
        yield scheduler
        scheduler.close()


def test_what_was_put_is_there_as_it_was_put(jobs: JobScheduler) -> None:
    jobs.put(DAILY)
    assert jobs.jobs("") == [DAILY]


@pytest.mark.parametrize(
    "changed",
    [
        replace(DAILY, schedule="30 8 * * *"),
        replace(DAILY, timezone="UTC"),
        replace(DAILY, message=Outgoing("journey-sweeps", b"{}")),
        replace(DAILY, paused=True),
        replace(DAILY, description="", paused=True, schedule="0 0 1 1 *"),
    ],
    ids=["schedule", "zone", "message", "paused", "all"],
)
def test_putting_it_again_makes_it_so_and_back(jobs: JobScheduler, changed: Job) -> None:
    for job in (DAILY, changed, changed, DAILY):
        jobs.put(job)
        assert jobs.jobs("") == [job]


def test_a_job_may_begin_paused(jobs: JobScheduler) -> None:
    jobs.put(replace(DAILY, paused=True))
    assert jobs.jobs("") == [replace(DAILY, paused=True)]


def test_what_was_deleted_is_gone_and_deleting_it_again_is_fine(jobs: JobScheduler) -> None:
    jobs.put(DAILY)
    for _ in range(2):
        jobs.delete(DAILY.name)
        assert jobs.jobs("") == []


def test_jobs_are_listed_by_prefix_and_name_however_many_there_are(jobs: JobScheduler) -> None:
    ours = [replace(DAILY, name=f"ours-{number:03}") for number in range(600)]
    for job in (replace(DAILY, name="theirs"), *reversed(ours)):
        jobs.put(job)
    assert jobs.jobs("ours-") == ours


@pytest.fixture
def unreachable(mocker: MockerFixture) -> Iterator[CloudJobs]:
    """A scheduler whose every request raises what the test says."""
    scheduler = CloudJobs("shop", "us-central1", emulator_host="127.0.0.1:1")
    yield scheduler
    scheduler.close()


RPCS = ("create_job", "update_job", "delete_job", "list_jobs")
PASSING = (Aborted("busy"), DeadlineExceeded("slow"), ResourceExhausted("quota"), ServiceUnavailable("down"))


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_a_passing_failure_is_unavailable(unreachable: CloudJobs, mocker: MockerFixture, error: Exception) -> None:
    for rpc in RPCS:
        mocker.patch.object(unreachable._client, rpc, side_effect=error)
    for ask in (lambda: unreachable.put(DAILY), lambda: unreachable.delete("x"), lambda: unreachable.jobs("")):
        with pytest.raises(Unavailable, match="Cloud Scheduler: "):
            ask()


@pytest.mark.parametrize("error", [PermissionDenied("no role"), InvalidArgument("schedule")], ids=lambda e: type(e).__name__)
def test_a_wrong_set_up_stays_an_error_of_google_s(unreachable: CloudJobs, mocker: MockerFixture, error: Exception) -> None:
    mocker.patch.object(unreachable._client, "update_job", side_effect=error)
    with pytest.raises(type(error)):
        unreachable.put(DAILY)


def test_no_connection_is_made_before_there_is_something_to_ask() -> None:
    scheduler = CloudJobs("shop", "us-central1")  # with a client it would look for credentials of Google's
    scheduler.close()
    assert "_client" not in vars(scheduler)


def test_environments_of_one_project_see_and_feed_only_their_own() -> None:
    with SchedulerEmulator(lambda *_: None) as emulator:
        one, other = (CloudJobs("shop", "us-central1", prefix=prefix, emulator_host=emulator.host) for prefix in ("a-", "b-"))
        one.put(DAILY)
        other.put(replace(DAILY, schedule="30 8 * * *"))
        assert (one.jobs("ours"), other.jobs("ours")) == ([DAILY], [replace(DAILY, schedule="30 8 * * *")])
        (job,) = (job for job in one._client.list_jobs(parent=one._parent) if "/a-" in job.name)
        assert job.pubsub_target.topic_name == "projects/shop/topics/a-journey-enrollments"
        one.delete(DAILY.name)
        assert (one.jobs(""), len(other.jobs(""))) == ([], 1)
        one.close()
        other.close()
