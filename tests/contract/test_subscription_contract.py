"""What every `Subscription` promises, in memory and on Google's Pub/Sub emulator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from emulator.functions_table import load_functions_table
from emulator.pubsub import PubSub
from sojourn.adapters.memory import MemoryPublisher
from sojourn.adapters.memory_subscription import MemorySubscription
from sojourn.adapters.pubsub import PubSubPublisher
from sojourn.adapters.pubsub_subscription import PubSubSubscription
from sojourn.application.messages import RUNS_TOPIC
from sojourn.application.ports import Outgoing, Publisher, PulledMessage, Subscription
from sojourn.domain.errors import Unavailable

PATIENCE_SECONDS = 60.0
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TABLE = load_functions_table().pulled("run_journey")


@pytest.fixture(params=["memory", pytest.param("pubsub", marks=pytest.mark.emulators)])
def topic(request: pytest.FixtureRequest, project: str) -> Iterator[tuple[Publisher, Subscription]]:
    """A publisher, and a subscription of the topic of hops."""
    if request.param == "memory":
        memory = MemoryPublisher()
        yield memory, MemorySubscription(memory, RUNS_TOPIC)
        return
    host: str = request.getfixturevalue("pubsub_host")
    with PubSub(host, project=project) as pubsub:
        pubsub.create(TABLE, endpoints=dict.fromkeys(TABLE.functions, "http://127.0.0.1:1/"))
    publisher = PubSubPublisher(project, emulator_host=host)
    subscription = PubSubSubscription(project, "run_journey", emulator_host=host)
    yield publisher, subscription
    subscription.close()
    publisher.close()


def pull_until(source: Subscription, enough: Callable[[Sequence[PulledMessage]], bool], *, limit: int) -> list[PulledMessage]:
    """Pull until it is enough; Pub/Sub may give fewer at a time than there are."""
    found: list[PulledMessage] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not enough(found) and time.monotonic() < deadline:
        page = source.pull(limit)
        assert len(page) <= limit
        found += page
    return found


def test_a_message_comes_with_its_attributes_page_by_page(topic: tuple[Publisher, Subscription]) -> None:
    publisher, subscription = topic
    sent = [Outgoing(RUNS_TOPIC, f"{number}".encode(), TRACE, "00f067aa0ba902b7") for number in range(25)]
    assert publisher.publish_many(sent) == [True] * 25
    found = pull_until(subscription, lambda pulled: len(pulled) >= 25, limit=10)
    assert sorted(message.data for message in found) == sorted(message.data for message in sent)
    assert {message.attributes["traceparent"] for message in found} == {f"00-{TRACE}-00f067aa0ba902b7-01"}
    assert len({message.message_id for message in found}) == 25
    subscription.acknowledge([message.ack_id for message in found])


def test_what_is_released_comes_again_and_what_is_acknowledged_does_not(topic: tuple[Publisher, Subscription]) -> None:
    publisher, subscription = topic
    publisher.publish_many([Outgoing(RUNS_TOPIC, b"done"), Outgoing(RUNS_TOPIC, b"again")])
    found = pull_until(subscription, lambda pulled: len(pulled) >= 2, limit=10)
    by_data = {message.data: message.ack_id for message in found}
    subscription.acknowledge([by_data[b"done"]])
    subscription.release([by_data[b"again"]])
    (again,) = pull_until(subscription, lambda pulled: len(pulled) >= 1, limit=10)
    assert again.data == b"again"
    subscription.acknowledge([again.ack_id])


@pytest.mark.emulators
def test_a_subscription_that_is_not_there_is_unavailable(project: str, pubsub_host: str) -> None:
    subscription = PubSubSubscription(project, "nowhere", emulator_host=pubsub_host)
    with pytest.raises(Unavailable, match="Pub/Sub"):
        subscription.pull(1)
    subscription.close()
