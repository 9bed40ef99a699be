"""Jobs of the Cloud Scheduler emulator running by a clock that is moved by hand: ticks, retries, targets, statuses."""

import base64
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest
from google.cloud.scheduler_v1 import CloudSchedulerClient, HttpMethod, HttpTarget, Job, PubsubTarget, RetryConfig
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from emulator.scheduler import PublishFailed, SchedulerEmulator, connect
from emulator.scheduler.job import Outcome, ScheduledJob, backoff
from emulator.scheduler.targets import Targets

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
PARENT = "projects/shop/locations/europe-west1"
TOPIC = "projects/shop/topics/sweep"
NAME = f"{PARENT}/jobs/sweep"


@dataclass
class Request:
    """What the server was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class World:
    """The emulator, its clock, and what it talks to; `answers` are statuses, then 200 for ever."""

    client: CloudSchedulerClient
    emulator: SchedulerEmulator
    url: str
    answers: deque[int]
    requests: list[Request]
    published: list[tuple[str, bytes, Mapping[str, str]]]
    failures: deque[PublishFailed] = field(default_factory=deque)
    now: datetime = START

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        self.published.append((topic, data, attributes))
        if self.failures:
            raise self.failures.popleft()

    def create(self, **fields: object) -> Job:
        target = {} if "http_target" in fields else {"pubsub_target": PubsubTarget(topic_name=TOPIC, data=b"{}")}
        return self.client.create_job(parent=PARENT, job=Job({"name": NAME, "schedule": "*/10 * * * *"} | target | fields))

    def run_until(self, end: datetime) -> list[str]:
        """Move the clock from due time to due time; the times at which something ran."""
        ran = []
        while (due := self.emulator.next_due()) and due <= end:
            self.now = max(self.now, due)
            ran += [f"{self.now:%H:%M:%S}"] * self.emulator.run_due()
        self.now = end
        return ran

    def job(self) -> Job:
        return self.client.get_job(name=NAME)


@pytest.fixture
def world() -> Iterator[World]:
    """At noon, with an HTTP server on loopback."""
    answers: deque[int] = deque()
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            requests.append(Request(self.command, self.path, dict(self.headers), body))
            status = answers.popleft() if answers else 200
            self.send_response(status)
            if status == 307:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_PUT = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    emulator = SchedulerEmulator(lambda *message: made.publish(*message), clock=lambda: made.now)
    with emulator, connect(emulator.host) as client:
        made = World(client, emulator, f"http://127.0.0.1:{server.server_port}/work?a=b", answers, requests, [])
        yield made
    server.shutdown()
    thread.join()
    server.server_close()


def after(**span: float) -> datetime:
    return START + timedelta(**span)


def test_a_job_publishes_at_every_tick_and_says_when_the_next_is(world: World) -> None:
    world.create(pubsub_target=PubsubTarget(topic_name=TOPIC, data=b"go", attributes={"kind": "sweep"}))
    assert world.run_until(after(minutes=25)) == ["12:10:00", "12:20:00"]
    assert world.published == [(TOPIC, b"go", {"kind": "sweep"})] * 2
    job = world.job()
    assert (job.last_attempt_time, job.schedule_time) == (after(minutes=20), after(minutes=30))
    assert Job.pb(job).HasField("status") and job.status.code == 0


def test_a_server_that_fails_twice_is_asked_three_times(world: World) -> None:
    world.answers.extend([500, 503])
    retries = RetryConfig(retry_count=3, min_backoff_duration=timedelta(seconds=10))
    world.create(http_target=HttpTarget(uri=world.url), retry_config=retries)
    assert world.run_until(after(minutes=10)) == ["12:10:00"]
    failed = world.job()
    assert (failed.status.code, failed.status.message) == (13, "HTTP 500 Internal Server Error")
    assert failed.schedule_time == after(minutes=10, seconds=10)
    assert world.run_until(after(minutes=19)) == ["12:10:10", "12:10:30"]
    assert world.job().status.code == 0
    assert [each.headers["X-CloudScheduler-ScheduleTime"] for each in world.requests] == ["2026-06-01T12:10:00Z"] * 3
    assert world.run_until(after(minutes=20)) == ["12:20:00"]


def test_a_request_carries_the_jobs_headers_and_the_services_own(world: World) -> None:
    headers = {"X-Shop": "1", "User-Agent": "me", "X-CloudScheduler-JobName": "other", "Content-Type": "text/plain"}
    target = HttpTarget(uri=world.url, http_method=HttpMethod.PUT, headers=headers, body=b"hello")
    world.create(http_target=target)
    world.run_until(after(minutes=10))
    (request,) = world.requests
    assert (request.method, request.path, request.body) == ("PUT", "/work?a=b", b"hello")
    expected = {"X-Shop": "1", "User-Agent": "Google-Cloud-Scheduler", "Content-Type": "text/plain", "X-CloudScheduler": "true"}
    expected |= {"X-CloudScheduler-JobName": "sweep", "X-CloudScheduler-ScheduleTime": "2026-06-01T12:10:00Z"}
    assert expected.items() <= request.headers.items()


def test_tokens_can_be_read_and_are_not_signed(world: World) -> None:
    email = {"service_account_email": "sweep@shop.iam.gserviceaccount.com"}
    world.create(http_target=HttpTarget(uri=world.url, oidc_token=email))
    world.run_until(after(minutes=10))
    head, claims, signature = world.requests[0].headers["Authorization"].removeprefix("Bearer ").split(".")
    read = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (read["aud"], read["email"], signature) == (world.url, "sweep@shop.iam.gserviceaccount.com", "")
    assert json.loads(base64.urlsafe_b64decode(head + "=="))["alg"] == "none"
    world.client.update_job(job=Job(name=NAME, http_target=HttpTarget(uri=world.url, oauth_token=email)))
    world.run_until(after(minutes=20))
    assert world.requests[1].headers["Authorization"] == "Bearer emulated-access-token"


def test_only_jobs_of_the_cron_form_say_when_they_were_due(world: World) -> None:
    world.create(schedule="every 10 minutes", http_target=HttpTarget(uri=world.url, http_method=HttpMethod.GET))
    assert world.run_until(after(minutes=10)) == ["12:10:00"]
    assert "X-CloudScheduler-ScheduleTime" not in world.requests[0].headers


def test_the_answer_of_a_redirect_counts(world: World) -> None:
    world.answers.append(307)
    world.create(http_target=HttpTarget(uri=world.url))
    world.run_until(after(minutes=10))
    assert [each.path for each in world.requests] == ["/work?a=b", "/elsewhere"]
    assert world.job().status.code == 0


@pytest.mark.parametrize(
    ("status", "code"), [(204, 0), (400, 3), (401, 16), (403, 7), (404, 5), (409, 10), (418, 2), (429, 8), (503, 14), (504, 4)]
)
def test_a_status_has_its_code(world: World, status: int, code: int) -> None:
    world.answers.append(status)
    world.create(http_target=HttpTarget(uri=world.url))
    world.run_until(after(minutes=10))
    assert world.job().status.code == code


def test_a_server_that_is_not_there_is_unavailable(world: World) -> None:
    world.create(http_target=HttpTarget(uri="http://127.0.0.1:1/"))
    world.run_until(after(minutes=10))
    assert world.job().status.code == 14
    assert world.job().status.message.startswith("ConnectError")


def test_an_answer_is_waited_for_until_the_attempts_deadline() -> None:
    asked: list[httpx.Request] = []

    def never(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ReadTimeout("too long", request=request)

    job = Job(
        name=NAME, schedule="* * * * *", http_target=HttpTarget(uri="http://host"), attempt_deadline=timedelta(seconds=20)
    )
    attempt = ScheduledJob(Job.pb(job), now=START).begin(now=START)
    targets = Targets(lambda *message: None, http=httpx.Client(transport=httpx.MockTransport(never)))
    assert targets.send(attempt).code == StatusCode.DEADLINE_EXCEEDED
    assert asked[0].extensions["timeout"] == dict.fromkeys(("connect", "read", "write", "pool"), 20.0)
    targets.close()


def test_a_message_that_cannot_be_published_is_retried(world: World) -> None:
    world.failures.append(PublishFailed("no such topic", code=StatusCode.NOT_FOUND))
    world.create(retry_config=RetryConfig(retry_count=1))
    assert world.run_until(after(minutes=10)) == ["12:10:00"]
    assert (world.job().status.code, world.job().status.message) == (5, "no such topic")
    assert world.run_until(after(minutes=15)) == ["12:10:05"]
    assert len(world.published) == 2


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (RetryConfig(), ["10:00"]),
        (RetryConfig(retry_count=2), ["10:00", "10:05", "10:15"]),
        (RetryConfig(retry_count=5, max_doublings=1), ["10:00", "10:05", "10:15", "10:35", "11:05", "11:45"]),
        (RetryConfig(retry_count=4, max_backoff_duration=timedelta(seconds=8)), ["10:00", "10:05", "10:13", "10:21", "10:29"]),
        (RetryConfig(max_retry_duration=timedelta(seconds=60)), ["10:00"]),
        (RetryConfig(retry_count=1, max_retry_duration=timedelta(seconds=40)), ["10:00", "10:05", "10:15", "10:35"]),
        (RetryConfig(retry_count=3, max_retry_duration=timedelta(seconds=1)), ["10:00", "10:05", "10:15", "10:35"]),
        (RetryConfig(retry_count=5, min_backoff_duration=timedelta(minutes=4)), ["10:00", "14:00"]),
    ],
)
def test_retries_end_when_both_limits_are_reached_or_the_next_tick_comes(
    world: World, config: RetryConfig, expected: list[str]
) -> None:
    world.answers.extend([500] * 20)
    world.create(http_target=HttpTarget(uri=world.url), retry_config=config)
    assert [each[3:] for each in world.run_until(after(minutes=19, seconds=59))] == expected


def test_backoff_doubles_then_grows_evenly_then_stays() -> None:
    """The example of Google's own documentation of max_doublings."""
    config = RetryConfig(
        min_backoff_duration=timedelta(seconds=10), max_backoff_duration=timedelta(seconds=300), max_doublings=3
    )
    waits = [backoff(RetryConfig.pb(config), retry=retry).total_seconds() for retry in range(1, 9)]
    assert waits == [10, 20, 40, 80, 160, 240, 300, 300]
    config.max_doublings = 2**31 - 1
    assert backoff(RetryConfig.pb(config), retry=5000) == timedelta(seconds=300)


def started(**fields: object) -> ScheduledJob:
    """A job, to be told the time directly."""
    target = PubsubTarget(topic_name=TOPIC, data=b"x")
    return ScheduledJob(Job.pb(Job(name=NAME, schedule="* * * * *", pubsub_target=target, **fields)), now=START)


def test_there_are_never_two_executions_and_a_tick_waits_for_the_one_before() -> None:
    job = started()
    assert job.begin(now=after(minutes=1)).scheduled_at == after(minutes=1)
    assert job.due_at() is None
    job.force(now=after(minutes=2))
    assert job.due_at() is None
    job.finish(Outcome(), now=after(minutes=4, seconds=30))
    assert job.begin(now=after(minutes=4, seconds=30)).scheduled_at == after(minutes=2), "the forced one comes first"
    job.finish(Outcome(), now=after(minutes=5, seconds=30))
    assert job.due_at() == after(minutes=2), "of the ticks that were missed the first counts"
    job.begin(now=after(minutes=5, seconds=30))
    job.finish(Outcome(), now=after(minutes=5, seconds=31))
    assert job.due_at() == after(minutes=6), "the others are lost"


def test_an_interval_counts_from_the_end_of_an_execution() -> None:
    job = started()
    config = Job(name=NAME, schedule="every 5 minutes", pubsub_target=PubsubTarget(topic_name=TOPIC, data=b"x"))
    job.replace(Job.pb(config), now=START)
    job.begin(now=after(minutes=5))
    job.finish(Outcome(), now=after(minutes=22, seconds=10))
    assert job.due_at() == after(minutes=27)


def test_a_paused_job_does_not_run_until_it_is_resumed(world: World) -> None:
    world.create()
    world.client.pause_job(name=NAME)
    assert world.emulator.next_due() is None
    assert world.run_until(after(minutes=35)) == []
    world.client.resume_job(name=NAME)
    assert world.run_until(after(minutes=45)) == ["12:40:00"]


def test_pausing_gives_up_the_retries(world: World) -> None:
    world.answers.extend([500] * 5)
    world.create(http_target=HttpTarget(uri=world.url), retry_config=RetryConfig(retry_count=5))
    world.run_until(after(minutes=10))
    world.client.pause_job(name=NAME)
    assert world.run_until(after(minutes=15)) == []
    world.client.resume_job(name=NAME)
    assert world.run_until(after(minutes=19)) == []


def test_a_job_that_is_run_runs_now_and_keeps_its_ticks(world: World) -> None:
    world.create()
    world.now = after(minutes=3)
    assert world.client.run_job(name=NAME).schedule_time == after(minutes=10)
    assert world.run_until(after(minutes=11)) == ["12:03:00", "12:10:00"]


def test_an_updated_schedule_counts_from_now_on(world: World) -> None:
    world.create()
    world.now = after(minutes=9)
    world.client.update_job(job=Job(name=NAME, schedule="30 * * * *"), update_mask=FieldMask(paths=["schedule"]))
    assert world.run_until(after(minutes=59)) == ["12:30:00"]


def test_a_deleted_job_does_not_run(world: World) -> None:
    world.create()
    world.client.delete_job(name=NAME)
    assert world.run_until(after(hours=1)) == []
