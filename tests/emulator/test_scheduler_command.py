"""The Cloud Scheduler emulator in real time: its threads, its command, its own borders, and Google's Pub/Sub emulator."""

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Event

import grpc
import pytest
from google.cloud.scheduler_v1 import CloudSchedulerClient, Job, PubsubTarget
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

import emulator.scheduler
from emulator.google import start_pubsub
from emulator.scheduler import SchedulerEmulator, connect
from tests.spawned import spawned

PARENT = "projects/shop/locations/europe-west1"
TOPIC = "projects/shop/topics/sweep"
ANSWER_SECONDS = 30.0
Sent = SimpleQueue[tuple[str, bytes, Mapping[str, str]]]


def create(client: CloudSchedulerClient, name: str = "sweep") -> str:
    """A job that is due at midnight of 29 February; its name."""
    target = PubsubTarget(topic_name=TOPIC, data=name.encode())
    whole = f"{PARENT}/jobs/{name}"
    client.create_job(parent=PARENT, job=Job(name=whole, schedule="0 0 29 2 *", pubsub_target=target))
    return whole


def test_in_real_time_a_job_that_is_run_is_sent_at_once() -> None:
    sent: Sent = SimpleQueue()
    with SchedulerEmulator(lambda *message: sent.put(message)) as scheduler, connect(scheduler.host) as client:
        client.run_job(name=create(client))
        assert sent.get(timeout=ANSWER_SECONDS) == (TOPIC, b"sweep", {})


def test_a_slow_job_keeps_no_other_from_running() -> None:
    sent: Sent = SimpleQueue()
    released = Event()

    def publish(topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        sent.put((topic, data, attributes))
        assert data != b"slow" or released.wait(ANSWER_SECONDS)

    with SchedulerEmulator(publish) as scheduler, connect(scheduler.host) as client:
        slow, quick = create(client, "slow"), create(client, "quick")
        client.run_job(name=slow)
        assert sent.get(timeout=ANSWER_SECONDS)[1] == b"slow"
        client.run_job(name=slow)
        client.run_job(name=quick)
        assert sent.get(timeout=ANSWER_SECONDS)[1] == b"quick", "the slow job's second run waits for its first"
        assert client.get_job(name=slow).last_attempt_time < datetime.now(UTC)
        released.set()
        assert sent.get(timeout=ANSWER_SECONDS)[1] == b"slow"


def test_a_publisher_that_breaks_ends_the_attempt_not_the_job() -> None:
    def publish(topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        raise ZeroDivisionError

    now = datetime(2026, 6, 1, tzinfo=UTC)
    with SchedulerEmulator(publish, clock=lambda: now) as scheduler, connect(scheduler.host) as client:
        name = create(client)
        client.run_job(name=name)
        with pytest.raises(ZeroDivisionError):
            scheduler.run_due()
        assert client.get_job(name=name).status.code == 13
        assert scheduler.next_due() == datetime(2028, 2, 29, tzinfo=UTC)


@contextmanager
def command(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as others run it, and its first line."""
    with spawned(
        [sys.executable, "-m", "emulator.scheduler", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(emulator.scheduler.__file__).parents[2],
        env={name: value for name, value in os.environ.items() if name != "PUBSUB_EMULATOR_HOST"} | environment,
    ) as running:
        assert running.stdout is not None
        yield running, running.stdout.readline()


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_listens_and_ends_when_told(end: signal.Signals) -> None:
    with command("--project", "shop") as (running, line):
        host = line.removeprefix("Cloud Scheduler emulator listens on ").strip()
        assert host.startswith("127.0.0.1:")
        with connect(host) as client:
            create(client)
        running.send_signal(end)
        assert running.wait(ANSWER_SECONDS) == 0


@pytest.mark.slow
def test_a_port_that_is_taken_is_no_port_for_a_second_emulator() -> None:
    with SchedulerEmulator(lambda *message: None) as first:
        port = first.host.partition(":")[2]
        with command("--port", port) as (running, line):
            assert running.wait(ANSWER_SECONDS) == 1
            assert "cannot listen on" in line + (running.stdout.read() if running.stdout else "")


@pytest.mark.slow
@pytest.mark.emulators
def test_the_command_publishes_to_googles_own_pubsub_emulator() -> None:
    pubsub = start_pubsub(on_line=print, on_exit=print)
    try:
        pubsub.await_ready()
        with grpc.insecure_channel(pubsub.host) as channel, command(PUBSUB_EMULATOR_HOST=pubsub.host) as (_, line):
            PublisherClient(transport=PublisherGrpcTransport(channel=channel)).create_topic(name=TOPIC)
            subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            subscription = subscriber.create_subscription(name=TOPIC.replace("topics", "subscriptions"), topic=TOPIC).name
            with connect(line.split()[-1]) as client:
                client.run_job(name=create(client))
            pulled = subscriber.pull(subscription=subscription, max_messages=1, timeout=ANSWER_SECONDS)
            assert [each.message.data for each in pulled.received_messages] == [b"sweep"]
    finally:
        if pubsub.child:
            pubsub.child.stop()


def imported(path: Path) -> list[str]:
    """The modules that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_bytes())))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return plain + [node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)]


def test_the_emulator_is_whole_by_itself() -> None:
    files = sorted(Path(emulator.scheduler.__file__).parent.glob("*.py"))
    ours = [module for path in files for module in imported(path) if module.split(".")[0] in ("", "sojourn", "emulator")]
    assert len(files) > 10 and ours
    assert [module for module in ours if not module.startswith("emulator.scheduler")] == []
