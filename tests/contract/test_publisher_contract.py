"""What every `Publisher` promises, in memory and on Google's Pub/Sub emulator; and how the one for Pub/Sub fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import grpc
import pytest
from google.api_core.exceptions import DeadlineExceeded, NotFound, RetryError, ServiceUnavailable
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from pytest_mock import MockerFixture

from sojourn.adapters.memory import MemoryPublisher
from sojourn.adapters.pubsub import MAX_MESSAGES, MAX_REQUEST_BYTES, PubSubPublisher
from sojourn.application.ports import Outgoing, Publisher

TOPICS = ("journey-runs", "journey-effects")
PULL_ROUNDS = 200
CHANNEL = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]

Pull: TypeAlias = Callable[[str, int], list[bytes]]


@pytest.fixture(params=["memory", pytest.param("pubsub", marks=pytest.mark.emulators)])
def topics(request: pytest.FixtureRequest, project: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Publisher, Pull]]:
    """A publisher, and how to pull what a topic holds: up to so many messages."""
    if request.param == "memory":
        memory = MemoryPublisher()
        yield memory, lambda topic, wanted: memory.take(topic)
        return
    host = request.getfixturevalue("pubsub_host")
    publisher = PubSubPublisher(project, emulator_host=host)
    with grpc.insecure_channel(host, options=CHANNEL) as channel:
        yield publisher, _pull_from(channel, project)
    publisher.close()


def _pull_from(channel: grpc.Channel, project: str) -> Pull:
    admin = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
    for topic in TOPICS:
        admin.create_topic(name=f"projects/{project}/topics/{topic}")
        subscriber.create_subscription(
            name=f"projects/{project}/subscriptions/{topic}", topic=f"projects/{project}/topics/{topic}"
        )

    def pull(topic: str, wanted: int) -> list[bytes]:
        found: list[bytes] = []
        for _ in range(PULL_ROUNDS):
            name = f"projects/{project}/subscriptions/{topic}"
            answer = subscriber.pull(subscription=name, max_messages=100, timeout=5)
            if answer.received_messages:
                found += [each.message.data for each in answer.received_messages]
                subscriber.acknowledge(subscription=name, ack_ids=[each.ack_id for each in answer.received_messages])
            if len(found) >= wanted:
                break
        return found

    return pull


def test_what_was_published_can_be_pulled(topics: tuple[Publisher, Pull]) -> None:
    publisher, pull = topics
    assert (
        publisher.publish_many([Outgoing("journey-runs", b'{"rev":1}'), Outgoing("journey-runs", b'{"rev":2}')]) == [True] * 2
    )
    assert sorted(pull("journey-runs", 2)) == [b'{"rev":1}', b'{"rev":2}']


def test_each_message_goes_to_its_topic(topics: tuple[Publisher, Pull]) -> None:
    publisher, pull = topics
    names = ["journey-runs", "journey-effects", "journey-runs"]
    assert publisher.publish_many([Outgoing(name, f"{place}".encode()) for place, name in enumerate(names)]) == [True] * 3
    assert sorted(pull("journey-runs", 2)) == [b"0", b"2"] and pull("journey-effects", 1) == [b"1"]


def test_nothing_to_publish(topics: tuple[Publisher, Pull]) -> None:
    assert topics[0].publish_many([]) == []


def test_more_messages_than_one_request_takes(topics: tuple[Publisher, Pull]) -> None:
    publisher, pull = topics
    sent = [f"{number}".encode() for number in range(MAX_MESSAGES + 5)]
    assert publisher.publish_many([Outgoing("journey-runs", data) for data in sent]) == [True] * len(sent)
    assert sorted(pull("journey-runs", len(sent))) == sorted(sent)


def test_more_bytes_than_one_request_takes(topics: tuple[Publisher, Pull]) -> None:
    publisher, pull = topics
    sent = [bytes([number]) * (MAX_REQUEST_BYTES // 3) for number in range(4)]
    assert publisher.publish_many([Outgoing("journey-runs", data) for data in sent]) == [True] * 4
    assert [data[:1] for data in sorted(pull("journey-runs", 4))] == [b"\0", b"\1", b"\2", b"\3"]


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[PubSubPublisher]:
    """One that must not be asked for real."""
    publisher = PubSubPublisher("nowhere", emulator_host="127.0.0.1:1")
    yield publisher
    publisher.close()


@pytest.mark.parametrize("error", [ServiceUnavailable("down"), DeadlineExceeded("slow"), RetryError("gave up", cause=None)])
def test_a_topic_that_takes_nothing_does_not_fail_the_others(
    publisher: PubSubPublisher, mocker: MockerFixture, error: Exception
) -> None:
    mocker.patch.object(publisher._client, "publish", side_effect=[error, mocker.DEFAULT])
    messages = [Outgoing("journey-runs", b"a"), Outgoing("journey-effects", b"b"), Outgoing("journey-runs", b"c")]
    assert publisher.publish_many(messages) == [False, True, False]


def test_a_message_that_no_request_takes_does_not_fail_the_others(publisher: PubSubPublisher, mocker: MockerFixture) -> None:
    mocker.patch.object(publisher._client, "publish")
    messages = [Outgoing("journey-runs", b"a"), Outgoing("journey-runs", b"x" * MAX_REQUEST_BYTES)]
    assert publisher.publish_many(messages) == [True, False]


def test_a_topic_that_is_not_there_stays_an_error_of_google_s(publisher: PubSubPublisher, mocker: MockerFixture) -> None:
    mocker.patch.object(publisher._client, "publish", side_effect=NotFound("no such topic"))
    with pytest.raises(NotFound, match="no such topic"):
        publisher.publish_many([Outgoing("jorney-runs", b"a")])
