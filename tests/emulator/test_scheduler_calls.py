"""Google's own client, unchanged, against the Cloud Scheduler emulator: every call, and every refusal with its code."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core.exceptions import (
    AlreadyExists,
    FailedPrecondition,
    GoogleAPICallError,
    InvalidArgument,
    MethodNotImplemented,
    NotFound,
    PermissionDenied,
)
from google.cloud.scheduler_v1 import (
    CloudSchedulerClient,
    HttpMethod,
    HttpTarget,
    Job,
    PubsubTarget,
    RetryConfig,
    UpdateJobRequest,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from emulator.scheduler import SchedulerEmulator, connect

NOW = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)
PARENT = "projects/shop/locations/europe-west1"
URI = "http://127.0.0.1:9/work"
SWEEP = PubsubTarget(topic_name="projects/shop/topics/sweep", data=b"{}")
State = Job.State


def publish(topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
    """No job runs here."""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """An emulator in which time stands still."""
    with SchedulerEmulator(publish, clock=lambda: NOW) as emulator:
        yield emulator.host


@pytest.fixture
def client(host: str) -> Iterator[CloudSchedulerClient]:
    """The client, and no job at the end."""
    with connect(host) as client:
        yield client
        for project in ("shop", "paged"):
            for job in client.list_jobs(parent=f"projects/{project}/locations/europe-west1"):
                client.delete_job(name=job.name)


def job(name: str = "sweep", **fields: object) -> Job:
    """A job that may be created, changed; `name` is of the location, or whole, or none."""
    whole = f"{PARENT}/jobs/{name}" if name and "/" not in name else name
    target = {} if {"http_target", "app_engine_http_target"} & fields.keys() else {"pubsub_target": SWEEP}
    return Job(**({"name": whole, "schedule": "* * * * *"} | target | fields))


def http_job(**target: object) -> Job:
    """A job with an HTTP target, changed."""
    return job(http_target=HttpTarget(**({"uri": URI} | target)))


def test_a_created_job_has_defaults_and_a_next_start(client: CloudSchedulerClient) -> None:
    created = client.create_job(parent=PARENT, job=job(description="Wakes what waits"))
    assert (created.name, created.state) == (f"{PARENT}/jobs/sweep", State.ENABLED)
    assert (created.time_zone, created.description, created.pubsub_target) == ("UTC", "Wakes what waits", SWEEP)
    assert created.schedule_time == NOW.replace(minute=1, second=0)
    assert created.user_update_time == NOW
    assert created.status.code == -1 and not Job.pb(created).HasField("last_attempt_time")
    retries = created.retry_config
    assert (retries.retry_count, retries.max_doublings, retries.max_retry_duration) == (0, 5, timedelta())
    assert (retries.min_backoff_duration, retries.max_backoff_duration) == (timedelta(seconds=5), timedelta(hours=1))
    assert client.get_job(name=created.name) == created


def test_an_http_job_has_defaults_of_its_own(client: CloudSchedulerClient) -> None:
    created = client.create_job(parent=PARENT, job=http_job(body=b"x"))
    assert created.attempt_deadline == timedelta(minutes=3)
    assert created.http_target.http_method == HttpMethod.POST
    assert created.http_target.headers == {"User-Agent": "Google-Cloud-Scheduler", "Content-Type": "application/octet-stream"}


def test_what_only_the_service_sets_cannot_be_set(client: CloudSchedulerClient) -> None:
    wanted = job(state=State.PAUSED, last_attempt_time=NOW, schedule_time=NOW)
    created = client.create_job(parent=PARENT, job=wanted)
    assert created.state == State.ENABLED
    assert created.schedule_time != NOW and not Job.pb(created).HasField("last_attempt_time")


def test_a_job_without_a_name_gets_one(client: CloudSchedulerClient) -> None:
    names = {client.create_job(parent=PARENT, job=job("")).name for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith(f"{PARENT}/jobs/") for name in names)


def test_a_name_is_taken_until_its_job_is_deleted(client: CloudSchedulerClient) -> None:
    client.create_job(parent=PARENT, job=job())
    with pytest.raises(AlreadyExists, match=r"Job projects/shop/locations/europe-west1/jobs/sweep already exists\."):
        client.create_job(parent=PARENT, job=job())
    client.delete_job(name=job().name)
    assert client.create_job(parent=PARENT, job=job()).state == State.ENABLED


def test_a_job_that_is_not_there_is_not_found(client: CloudSchedulerClient) -> None:
    name = f"{PARENT}/jobs/none"
    for call in (client.get_job, client.delete_job, client.pause_job, client.resume_job, client.run_job):
        with pytest.raises(NotFound, match=r"Job not found\."):
            call(name=name)
    with pytest.raises(NotFound):
        client.update_job(job=job("none"))


def test_jobs_are_listed_by_name_in_pages(client: CloudSchedulerClient) -> None:
    parent = "projects/paged/locations/europe-west1"
    topic = PubsubTarget(topic_name="projects/paged/topics/sweep", data=b"x")
    names = [f"{parent}/jobs/{number:03}" for number in range(7)]
    for name in reversed(names):
        client.create_job(parent=parent, job=job(name, pubsub_target=topic))
    client.create_job(parent=PARENT, job=job())
    pages = list(client.list_jobs({"parent": parent, "page_size": 3}).pages)
    assert [len(page.jobs) for page in pages] == [3, 3, 1]
    assert [each.name for page in pages for each in page.jobs] == names
    assert [each.name for each in client.list_jobs(parent=parent)] == names
    assert list(client.list_jobs(parent="projects/shop/locations/asia-east1")) == []


def test_a_page_goes_on_where_it_was_though_its_last_job_is_gone(client: CloudSchedulerClient) -> None:
    for name in ("a", "b", "c"):
        client.create_job(parent=PARENT, job=job(name))
    first = next(iter(client.list_jobs({"parent": PARENT, "page_size": 2}).pages))
    client.delete_job(name=first.jobs[-1].name)
    rest = client.list_jobs({"parent": PARENT, "page_token": first.next_page_token})
    assert [each.name for each in rest] == [f"{PARENT}/jobs/c"]


@pytest.mark.parametrize(
    "request_", [{"page_size": -1}, {"page_token": "?"}, {"page_token": "/w=="}, {"parent": "projects/shop"}]
)
def test_a_page_that_cannot_be_is_refused(client: CloudSchedulerClient, request_: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        client.list_jobs({"parent": PARENT} | request_)


def test_a_mask_says_what_an_update_replaces(client: CloudSchedulerClient) -> None:
    client.create_job(parent=PARENT, job=job(description="old", time_zone="Europe/Berlin"))
    changed = job(schedule="0 9 * * *", description="new")
    updated = client.update_job(job=changed, update_mask=FieldMask(paths=["schedule", "state", "name"]))
    assert (updated.schedule, updated.description, updated.time_zone) == ("0 9 * * *", "old", "Europe/Berlin")
    assert updated.schedule_time == datetime(2026, 6, 2, 7, tzinfo=UTC)


def test_a_mask_reaches_into_a_target_and_clears_what_is_not_set(client: CloudSchedulerClient) -> None:
    client.create_job(parent=PARENT, job=http_job(body=b"x", headers={"X-Shop": "1"}))
    mask = FieldMask(paths=["http_target.body", "http_target.http_method", "http_target.headers"])
    updated = client.update_job(job=http_job(uri="http://other", http_method=HttpMethod.GET), update_mask=mask)
    assert updated.http_target == HttpTarget(
        uri=URI, http_method=HttpMethod.GET, headers={"User-Agent": "Google-Cloud-Scheduler"}
    )


def test_another_target_takes_the_place_of_the_first(client: CloudSchedulerClient) -> None:
    client.create_job(parent=PARENT, job=http_job())
    updated = client.update_job(job=job(), update_mask=FieldMask(paths=["pubsub_target"]))
    assert updated.pubsub_target == SWEEP
    assert "http_target" not in updated and "attempt_deadline" not in updated


def test_without_a_mask_what_is_set_is_replaced_and_with_a_star_everything(client: CloudSchedulerClient) -> None:
    client.create_job(parent=PARENT, job=job(description="old"))
    assert client.update_job(UpdateJobRequest(job=job(schedule="0 9 * * *"))).description == "old"
    starred = client.update_job(job=job(), update_mask=FieldMask(paths=["*"]))
    assert (starred.description, starred.schedule, starred.name) == ("", "* * * * *", job().name)


@pytest.mark.parametrize("path", ["colour", "pubsub_target.colour", "schedule.minute", "pubsub_target.attributes.a", ""])
def test_a_mask_of_fields_that_are_not_there_is_refused(client: CloudSchedulerClient, path: str) -> None:
    client.create_job(parent=PARENT, job=job())
    with pytest.raises(InvalidArgument, match="update_mask"):
        client.update_job(job=job(description="new"), update_mask=FieldMask(paths=["description", path]))
    assert client.get_job(name=job().name).description == ""


def test_an_update_that_may_not_be_changes_nothing(client: CloudSchedulerClient) -> None:
    created = client.create_job(parent=PARENT, job=job())
    with pytest.raises(InvalidArgument, match=r"Schedule or time zone is invalid\."):
        client.update_job(job=job(schedule="never", description="new"))
    assert client.get_job(name=created.name) == created


def test_a_paused_job_stays_paused_when_it_is_updated_and_goes_on_when_resumed(client: CloudSchedulerClient) -> None:
    name = client.create_job(parent=PARENT, job=job()).name
    assert client.pause_job(name=name).state == State.PAUSED
    assert client.update_job(job=job(schedule="0 9 * * *")).state == State.PAUSED
    resumed = client.resume_job(name=name)
    assert (resumed.state, resumed.schedule_time) == (State.ENABLED, datetime(2026, 6, 2, 9, tzinfo=UTC))


def test_states_say_which_calls_are_allowed(client: CloudSchedulerClient) -> None:
    name = client.create_job(parent=PARENT, job=job()).name
    with pytest.raises(FailedPrecondition, match=r"Job\.state must be PAUSED for ResumeJob\."):
        client.resume_job(name=name)
    client.pause_job(name=name)
    with pytest.raises(FailedPrecondition, match=r"Job\.state must be ENABLED for PauseJob\."):
        client.pause_job(name=name)
    with pytest.raises(FailedPrecondition, match=r"Job\.state must be ENABLED for RunJob\."):
        client.run_job(name=name)


TOO_MANY_HEADERS = {f"X-{number}": "x" * 1000 for number in range(90)}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (job("a b"), "Job name must be formatted"),
        (job("x" * 501), "Job name must be formatted"),
        (job("\u00fc" * 50_000), "Job name must be formatted"),
        (job("projects/other/locations/europe-west1/jobs/sweep"), "Job name must be formatted"),
        (job(description="x" * 501), "description"),
        (job(schedule=""), "Schedule or time zone is invalid"),
        (job(schedule="* * * * * *"), "Schedule or time zone is invalid"),
        (job(time_zone="Mars/Olympus"), "Schedule or time zone is invalid"),
        (Job(name=job().name, schedule="* * * * *"), "target"),
        (job(pubsub_target=PubsubTarget(topic_name="sweep", data=b"x")), "pubsub_target.topic_name"),
        (job(pubsub_target=PubsubTarget(topic_name="projects/other/topics/sweep", data=b"x")), "pubsub_target.topic_name"),
        (job(pubsub_target=PubsubTarget(topic_name="projects/shop/topics/sweep")), "pubsub_target"),
        (job(pubsub_target=PubsubTarget(topic_name="projects/shop/topics/sweep", data=b"x" * 2_000_000)), "job"),
        (job(retry_config=RetryConfig(retry_count=6)), "retry_config.retry_count"),
        (job(retry_config=RetryConfig(retry_count=-1)), "retry_config.retry_count"),
        (job(retry_config=RetryConfig(max_doublings=-1)), "retry_config.max_doublings"),
        (job(retry_config=RetryConfig(min_backoff_duration=Duration(seconds=-1))), "min_backoff_duration"),
        (job(retry_config=RetryConfig(max_backoff_duration=Duration(nanos=2**31 - 1))), "max_backoff_duration"),
        (job(retry_config=RetryConfig(max_retry_duration=Duration(seconds=2**62))), "max_retry_duration"),
        (job(http_target=HttpTarget(uri=URI), attempt_deadline=Duration(seconds=14)), "attempt_deadline"),
        (job(http_target=HttpTarget(uri=URI), attempt_deadline=Duration(seconds=1801)), "attempt_deadline"),
        (http_job(uri=""), "http_target.uri"),
        (http_job(uri="ftp://host"), "http_target.uri"),
        (http_job(uri="http://"), "http_target.uri"),
        (http_job(uri="http://host:999999/"), "http_target.uri"),
        (http_job(uri="http://host/" + "x" * 2083), "http_target.uri"),
        (http_job(http_method=99), "http_target.http_method"),
        (http_job(http_method=HttpMethod.GET, body=b"x"), "http_target.body"),
        (http_job(headers={"X Shop": "1"}), "http_target.headers"),
        (http_job(headers={"X-Shop": "1\r\nX-Evil: 1"}), "http_target.headers"),
        (http_job(headers=TOO_MANY_HEADERS), "http_target.headers"),
        (http_job(oidc_token={"audience": "x"}), "http_target.oidc_token.service_account_email"),
    ],
)
def test_a_job_that_may_not_be_is_refused_by_its_field(client: CloudSchedulerClient, wrong: Job, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        client.create_job(parent=PARENT, job=wrong)
    assert refused.value.message.startswith(field)
    assert list(client.list_jobs(parent=PARENT)) == []


@pytest.mark.parametrize("name", ["", "sweep", "projects/shop/jobs/sweep", f"{PARENT}/jobs/a/b", f"{PARENT}/jobs/\n"])
def test_a_name_that_is_none_is_refused(client: CloudSchedulerClient, name: str) -> None:
    with pytest.raises(InvalidArgument, match="name: must be formatted"):
        client.get_job(name=name)


def test_what_is_not_emulated_says_so(client: CloudSchedulerClient) -> None:
    with pytest.raises(MethodNotImplemented, match="app_engine_http_target"):
        client.create_job(parent=PARENT, job=job(app_engine_http_target={"relative_uri": "/"}))
    with pytest.raises(GoogleAPICallError) as refused:
        client.list_locations({"name": "projects/shop"})
    assert isinstance(refused.value, MethodNotImplemented)


def test_an_emulator_for_one_project_refuses_the_others() -> None:
    with SchedulerEmulator(publish, project="cafe", clock=lambda: NOW) as emulator, connect(emulator.host) as client:
        assert list(client.list_jobs(parent="projects/cafe/locations/europe-west1")) == []
        with pytest.raises(PermissionDenied, match="for the project cafe, not for shop"):
            client.create_job(parent=PARENT, job=job())
