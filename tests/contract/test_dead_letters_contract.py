"""What every `DeadLetters` promises, in memory and on Google's Pub/Sub emulator; and how the one for Pub/Sub fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Protocol

import pytest
from google.api_core.exceptions import InvalidArgument, NotFound, PermissionDenied, RetryError, ServiceUnavailable
from google.pubsub_v1.types import PullResponse
from pytest_mock import MockerFixture

from emulator.functions_table import FunctionsTable, load_functions_table
from emulator.pubsub import Message, PubSub
from sojourn.adapters.memory_dead_letters import MemoryDeadLetters
from sojourn.adapters.pubsub import PubSubDeadLetters
from sojourn.application.messages import DEAD_LETTERS_TOPIC, EVENTS_TOPIC, RUNS_TOPIC, TOPIC_OF
from sojourn.application.ports import DeadLetter, DeadLetters
from sojourn.domain.errors import Unavailable

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PATIENCE_SECONDS = 60.0
TABLE = load_functions_table()


class Box(Protocol):
    """Letters, and a way to forward one."""

    @property
    def letters(self) -> DeadLetters: ...

    def forward(self, data: bytes) -> None:
        """A run message that nobody acknowledged, published at noon."""
        ...


class MemoryBox:
    """The memory adapter is told what Pub/Sub would tell."""

    def __init__(self) -> None:
        self.letters, self._ids = MemoryDeadLetters(), count()

    def forward(self, data: bytes) -> None:
        self.letters.put(DeadLetter(f"{next(self._ids)}", RUNS_TOPIC, "run_journey", 20, NOON, data))


@dataclass
class EmulatedBox:
    """Letters with the attributes that Pub/Sub gives them, published to the topic of dead letters."""

    letters: PubSubDeadLetters
    pubsub: PubSub
    subscription: str = "run_journey"

    def forward(self, data: bytes) -> None:
        source = "CloudPubSubDeadLetterSource"
        attributes = {
            f"{source}Subscription": self.subscription,
            f"{source}SubscriptionProject": "p",
            f"{source}DeliveryCount": "20",
            f"{source}TopicPublishTime": NOON.isoformat(timespec="milliseconds"),
        }
        self.pubsub.publish(DEAD_LETTERS_TOPIC, [Message(data, attributes)])


@pytest.fixture
def emulated(project: str, pubsub_host: str) -> Iterator[EmulatedBox]:
    letters = PubSubDeadLetters(project, emulator_host=pubsub_host)
    with PubSub(pubsub_host, project=project) as pubsub:
        pubsub.create(TABLE, endpoints=dict.fromkeys(TABLE.functions, "http://127.0.0.1:1/"))
        yield EmulatedBox(letters, pubsub)
    letters.close()


@pytest.fixture(params=["memory", pytest.param("pubsub", marks=pytest.mark.emulators)])
def box(request: pytest.FixtureRequest) -> Box:
    if request.param == "memory":
        return MemoryBox()
    found: Box = request.getfixturevalue("emulated")
    return found


def pulled(letters: DeadLetters, wanted: int, *, limit: int = 100) -> list[DeadLetter]:
    """At least so many, each acknowledged; Pub/Sub may say "none just now" and have some."""
    found: list[DeadLetter] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < wanted and time.monotonic() < deadline:
        page = letters.pull(limit)
        assert len(page) <= limit
        letters.acknowledge(page)
        found += page
    return found


def test_where_nothing_waits_nothing_is_pulled_and_nobody_waits(box: Box) -> None:
    begin = time.monotonic()
    assert box.letters.pull(10) == []
    assert time.monotonic() - begin < 3  # without the flag, four seconds


def test_a_letter_says_what_it_was_where_it_comes_from_and_when_that_was(box: Box) -> None:
    box.forward(b'{"progress_id":"p"}')
    (letter,) = pulled(box.letters, 1)
    assert (letter.data, letter.topic, letter.subscription) == (b'{"progress_id":"p"}', RUNS_TOPIC, "run_journey")
    assert (letter.published_at, letter.attempts) == (NOON, 20)


def test_more_letters_than_are_asked_for_come_page_by_page_and_once_acknowledged_no_more(box: Box) -> None:
    sent = {f"{number}".encode() for number in range(25)}
    for data in sent:
        box.forward(data)
    found = pulled(box.letters, len(sent), limit=10)
    assert sorted(letter.data for letter in found) == sorted(sent)
    assert box.letters.pull(10) == []


def test_nothing_to_acknowledge(box: Box) -> None:
    box.forward(b"x")
    box.letters.acknowledge([])
    assert [letter.data for letter in pulled(box.letters, 1)] == [b"x"]


class _Failing(BaseHTTPRequestHandler):
    """A function that always answers 500."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


@pytest.fixture
def failing() -> Iterator[str]:
    """The URL of a function with a bug."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Failing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def impatient() -> FunctionsTable:
    """The table with the fewest deliveries that Pub/Sub allows, one after the other."""
    return TABLE.only("ingest", max_delivery_attempts=5, minimum_backoff_seconds=0, maximum_backoff_seconds=0)


@pytest.mark.emulators
@pytest.mark.slow
def test_a_message_that_a_function_always_answers_with_500_can_be_drained(project: str, pubsub_host: str, failing: str) -> None:
    letters = PubSubDeadLetters(project, emulator_host=pubsub_host)
    begin = datetime.now(UTC)
    with PubSub(pubsub_host, project=project) as pubsub:
        pubsub.create(impatient(), endpoints={"ingest": failing})
        pubsub.publish(EVENTS_TOPIC, [Message(b"a log entry")])
    (letter,) = pulled(letters, 1)
    letters.close()
    assert (letter.data, letter.topic, letter.subscription) == (b"a log entry", EVENTS_TOPIC, "ingest")
    assert letter.attempts == 5
    assert begin - timedelta(seconds=1) <= letter.published_at < begin + timedelta(seconds=5)


@pytest.mark.emulators
@pytest.mark.parametrize(
    ("subscription", "topic"),
    [("run_journey-2", RUNS_TOPIC), ("ingest", EVENTS_TOPIC), ("elsewhere", None), ("", None)],
)
def test_a_letter_is_told_by_its_subscription(emulated: EmulatedBox, subscription: str, topic: str | None) -> None:
    emulated.subscription = subscription
    emulated.forward(b"x")
    assert [letter.topic for letter in pulled(emulated.letters, 1)] == [topic]


@pytest.mark.emulators
def test_in_the_cloud_subscriptions_have_a_prefix_and_dashes(project: str, pubsub_host: str) -> None:
    letters = PubSubDeadLetters(project, prefix="shop-", emulator_host=pubsub_host)
    topic = DEAD_LETTERS_TOPIC
    with PubSub(pubsub_host, project=project) as pubsub:
        cloud = TABLE.model_copy(update={"functions": {}, "topics": {f"shop-{topic}": TABLE.topics[topic]}})
        pubsub.create(cloud, endpoints={})
        attributes = {"CloudPubSubDeadLetterSourceSubscription": "shop-run-journey"}
        pubsub.publish(f"shop-{topic}", [Message(b"x", attributes)])
    assert [letter.topic for letter in pulled(letters, 1)] == [RUNS_TOPIC]
    letters.close()


@pytest.mark.emulators
def test_a_subscription_that_is_not_there_is_unavailable_until_it_is(project: str, pubsub_host: str) -> None:
    letters = PubSubDeadLetters(project, emulator_host=pubsub_host)
    with pytest.raises(Unavailable, match="does not exist"):
        letters.pull(1)
    letters.close()


@pytest.fixture
def unreachable() -> Iterator[PubSubDeadLetters]:
    """One that must not be asked for real."""
    letters = PubSubDeadLetters("nowhere", emulator_host="127.0.0.1:1")
    yield letters
    letters.close()


@pytest.mark.parametrize("error", [RetryError("gave up", cause=None), NotFound("none"), PermissionDenied("no role")])
def test_what_may_pass_and_what_is_not_set_up_yet_is_unavailable(
    unreachable: PubSubDeadLetters, mocker: MockerFixture, error: Exception
) -> None:
    mocker.patch.object(unreachable._subscription, "_transport", mocker.Mock(pull=mocker.Mock(side_effect=error)))
    with pytest.raises(Unavailable, match="Pub/Sub"):
        unreachable.pull(1)


def test_what_passes_at_the_second_try_is_no_failure(unreachable: PubSubDeadLetters, mocker: MockerFixture) -> None:
    pull = mocker.Mock(side_effect=[ServiceUnavailable("down"), PullResponse()])
    mocker.patch.object(unreachable._subscription, "_transport", mocker.Mock(pull=pull))
    assert unreachable.pull(1) == []


def test_anything_else_stays_an_error_of_google_s(unreachable: PubSubDeadLetters, mocker: MockerFixture) -> None:
    mocker.patch.object(
        unreachable._subscription, "_transport", mocker.Mock(pull=mocker.Mock(side_effect=InvalidArgument("odd")))
    )
    with pytest.raises(InvalidArgument, match="odd"):
        unreachable.pull(1)


def test_the_functions_and_their_topics_are_those_of_the_table() -> None:
    assert {name: function.topic for name, function in TABLE.functions.items()} == TOPIC_OF
    assert TABLE.dead_letter_topic == DEAD_LETTERS_TOPIC
