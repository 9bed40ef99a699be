"""What every `Publisher` promises, in memory and on Google's Pub/Sub emulator; and how the one for Pub/Sub fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from google.api_core.exceptions import DeadlineExceeded, NotFound, RetryError, ServiceUnavailable
from pytest_mock import MockerFixture

from sojourn.adapters.memory import MemoryPublisher
from sojourn.adapters.pubsub import MAX_MESSAGES, MAX_REQUEST_BYTES, PubSubPublisher
from sojourn.application.ports import Outgoing, Publisher
from tests.subscriptions import Subscriptions

TOPICS = ("journey-runs", "journey-effects")

Pull: TypeAlias = Callable[[str, int], list[bytes]]


@pytest.fixture(params=["memory", pytest.param("pubsub", marks=pytest.mark.emulators)])
def topics(request: pytest.FixtureRequest, project: str) -> Iterator[tuple[Publisher, Pull]]:
    """A publisher, and how to pull what a topic holds: up to so many messages."""
    if request.param == "memory":
        memory = MemoryPublisher()
        yield memory, lambda topic, wanted: memory.take(topic)
        return
    host = request.getfixturevalue("pubsub_host")
    publisher = PubSubPublisher(project, emulator_host=host)
    with Subscriptions(project, host=host) as subscriptions:
        for topic in TOPICS:
            subscriptions.open(topic)
        yield publisher, subscriptions.pull
    publisher.close()


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


@pytest.mark.emulators
def test_a_message_about_somebody_carries_their_trace_as_an_attribute(project: str, pubsub_host: str) -> None:
    publisher = PubSubPublisher(project, emulator_host=pubsub_host)
    traced = Outgoing("journey-runs", b"a", trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7")
    with Subscriptions(project, host=pubsub_host) as subscriptions:
        subscriptions.open("journey-runs")
        assert publisher.publish_many([traced, Outgoing("journey-runs", b"b")]) == [True, True]
        found = {message.data: dict(message.attributes) for message in subscriptions.pull_messages("journey-runs", 2)}
    publisher.close()
    assert found == {b"a": {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, b"b": {}}


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
