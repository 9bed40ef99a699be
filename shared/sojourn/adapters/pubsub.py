"""`Publisher` and `DeadLetters` on Pub/Sub, by bare requests: the client library's own publisher and subscriber work in threads
of their own, and wait.

No ordering keys: revisions give the order, and one message that fails would hold up all that follow.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import grpc
from google.api_core.exceptions import (
    Aborted,
    Cancelled,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    RetryError,
    ServerError,
    ServiceUnavailable,
)
from google.api_core.gapic_v1 import routing_header
from google.api_core.gapic_v1.method import wrap_method
from google.api_core.retry import Retry, if_exception_type
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.types import AcknowledgeRequest, PublishRequest, PubsubMessage, PullRequest

from sojourn.application.messages import DEAD_LETTERS_TOPIC, TOPIC_OF
from sojourn.application.ports import DeadLetter, Outgoing
from sojourn.domain.errors import Unavailable

REQUEST_TIMEOUT_SECONDS = 8.0
"""For one request with its repeats; several fit into a function's 60 s."""
MAX_MESSAGES = 1_000
MAX_REQUEST_BYTES = 9_000_000
"""Pub/Sub takes 1,000 messages and 10 MB in a request (https://cloud.google.com/pubsub/quotas)."""
MESSAGE_OVERHEAD_BYTES = 192
"""What comes on top of the data: lengths, and the trace."""

_log = logging.getLogger(__name__)

_RETRY = Retry(predicate=if_exception_type(ServiceUnavailable), initial=0.1, maximum=1.0, timeout=REQUEST_TIMEOUT_SECONDS)
_TRANSIENT = (Aborted, Cancelled, ResourceExhausted, RetryError, ServerError)


class PubSubPublisher:
    """Make it in the process that uses it: a gRPC channel survives no fork. With `emulator_host`, Google is not asked.

    `prefix` tells the topics of one environment from another's in the same project.
    """

    def __init__(self, project: str, *, prefix: str = "", emulator_host: str | None = None) -> None:
        self._client = PublisherClient(transport=_emulator(emulator_host)) if emulator_host else PublisherClient()
        self._topics = f"projects/{project}/topics/{prefix}"

    def close(self) -> None:
        """End the connection."""
        self._client.transport.close()

    def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
        results = [False] * len(messages)
        for places in _requests(messages):
            taken = self._publish(messages[places[0]].topic, [messages[place] for place in places])
            for place in places:
                results[place] = taken
        return results

    def _publish(self, topic: str, messages: Sequence[Outgoing]) -> bool:
        request = PublishRequest.pb()(topic=self._topics + topic)
        request.messages.extend(PubsubMessage.pb()(data=each.data, attributes=each.attributes) for each in messages)
        try:
            self._client.publish(PublishRequest.wrap(request), retry=_RETRY, timeout=REQUEST_TIMEOUT_SECONDS)
        except _TRANSIENT as error:
            _log.warning("%d messages to %s were not taken: %s", len(messages), topic, error)
            return False
        return True


class PubSubDeadLetters:
    """The pull subscription of the dead-letter topic. Its client is made on first use: only the sweep needs one.

    A minute tick must not wait for letters that are not there. `return_immediately` is for that; Google advises against it for
    who pulls all the time, so its client warns, and the bare method is called instead.
    """

    def __init__(self, project: str, *, prefix: str = "", emulator_host: str | None = None) -> None:
        self._emulator_host, self._prefix = emulator_host, prefix
        self._subscription = f"projects/{project}/subscriptions/{prefix}{DEAD_LETTERS_TOPIC}-pull"

    @cached_property
    def _transport(self) -> Any:
        from google.pubsub_v1.services.subscriber import SubscriberClient
        from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

        if self._emulator_host is None:
            return SubscriberClient().transport
        return SubscriberGrpcTransport(channel=_channel(self._emulator_host))

    def close(self) -> None:
        """End the connection, if there is one."""
        if "_transport" in self.__dict__:
            self._transport.close()

    def pull(self, limit: int) -> list[DeadLetter]:
        request = {"subscription": self._subscription, "max_messages": limit, "return_immediately": True}
        answer = self._call(self._transport.pull, PullRequest(request))
        return [self._letter(each.ack_id, each.message) for each in answer.received_messages]

    def acknowledge(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            request = {"subscription": self._subscription, "ack_ids": [letter.id for letter in letters]}
            self._call(self._transport.acknowledge, AcknowledgeRequest(request))

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        metadata = (routing_header.to_grpc_metadata({"subscription": self._subscription}),)
        with _unavailable():
            return wrap_method(method)(request, retry=_RETRY, timeout=REQUEST_TIMEOUT_SECONDS, metadata=metadata)

    def _letter(self, ack_id: str, message: Any) -> DeadLetter:
        """Pub/Sub writes onto a letter where it comes from (https://cloud.google.com/pubsub/docs/handling-failures)."""
        about = message.attributes
        subscription = about.get(f"{_SOURCE}Subscription", "").rpartition("/")[2]
        attempts = about.get(f"{_SOURCE}DeliveryCount", "")
        return DeadLetter(
            id=ack_id,
            topic=TOPIC_OF.get(_function(subscription.removeprefix(self._prefix))),
            subscription=subscription,
            attempts=int(attempts) if attempts.isdecimal() else 0,
            published_at=_published_at(message),
            data=message.data,
        )


_SOURCE = "CloudPubSubDeadLetterSource"


def _function(subscription: str) -> str:
    """The function that a push subscription feeds: `run-journey-push` in the cloud, `run_journey-push-2` on a laptop."""
    return subscription.partition("-push")[0].replace("-", "_")


def _published_at(message: Any) -> datetime:
    """When the source topic took it; when the dead-letter topic did, should a letter not say so."""
    text = message.attributes.get(f"{_SOURCE}TopicPublishTime") or message.publish_time.isoformat()
    return datetime.fromisoformat(text).astimezone(UTC)


@contextmanager
def _unavailable() -> Iterator[None]:
    """A subscription that is missing, or that we may not pull, is not there yet: the sweep goes on without it."""
    try:
        yield
    except (*_TRANSIENT, NotFound, PermissionDenied) as error:
        raise Unavailable(f"Pub/Sub: {error}") from error


def _emulator(host: str) -> PublisherGrpcTransport:
    return PublisherGrpcTransport(channel=_channel(host))


def _channel(host: str) -> grpc.Channel:
    # A proxy of the environment is not for loopback; answers are not bounded by gRPC's 4 MiB.
    return grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)])


def _requests(messages: Sequence[Outgoing]) -> Iterator[list[int]]:
    """The places of the messages of each request: one topic, within the limits. A message that is too large is in none."""
    places: dict[str, list[int]] = defaultdict(list)
    sizes: Counter[str] = Counter()
    for place, (topic, data) in enumerate((message.topic, message.data) for message in messages):
        own_size = len(data) + MESSAGE_OVERHEAD_BYTES
        if own_size > MAX_REQUEST_BYTES:
            _log.error("a message to %s of %d bytes is refused for good", topic, len(data))
            continue
        if len(places[topic]) == MAX_MESSAGES or sizes[topic] + own_size > MAX_REQUEST_BYTES:
            yield places.pop(topic)
            sizes[topic] = 0
        places[topic].append(place)
        sizes[topic] += own_size
    yield from filter(None, places.values())
