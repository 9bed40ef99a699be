"""Topics, subscriptions and publishing on the Pub/Sub emulator, by raw requests.

The high-level client of the library batches by waiting, in threads of its own; one request with many messages is
fifty times faster here and is done when it returns.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import grpc
from google.api_core.exceptions import AlreadyExists, GoogleAPICallError
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import DeadLetterPolicy, PubsubMessage, PushConfig, Subscription

from emulator.errors import PubSubFailed
from emulator.functions_table import FunctionsTable

REQUEST_TIMEOUT_SECONDS = 10.0
MESSAGES_PER_REQUEST = 1000
DRAIN_SECONDS = 60
"""How long whoever drains dead letters has for a page of them, as in `infra/subscriptions.tf`."""


class Publishable(Protocol):
    """What the log router routes, and what the tick sends."""

    @property
    def data(self) -> bytes: ...

    @property
    def attributes(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Message:
    """A message to publish; Pub/Sub refuses one with neither data nor attributes."""

    data: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)


class PubSub:
    """The emulator at `host` (host:port), for one project. Every method raises PubSubFailed."""

    def __init__(self, host: str, *, project: str) -> None:
        self._project = project
        # A proxy of the environment is not for loopback.
        self._channel = grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0)])
        self._publisher = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))
        self._subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._channel.close()

    def create(self, table: FunctionsTable, *, endpoints: Mapping[str, str], copies: int = 1) -> None:
        """Create every topic, a push subscription for each function and a pull one for the dead letters.

        What exists already is kept, its push endpoint set anew. With two `copies`, two subscriptions push to the same
        endpoint: every message comes twice, as Pub/Sub may do at any time. `endpoints` are URLs by function.

        The table's backoff is left out, so what is not acknowledged is pushed again every second: with a retry policy this
        emulator (0.8.20) loses messages for good whose endpoint refuses connections for some seconds, as a restart does.
        """
        with _failures():
            for topic in table.topics:
                with contextlib.suppress(AlreadyExists):
                    self._publisher.create_topic(name=self._topic(topic), retry=None, timeout=REQUEST_TIMEOUT_SECONDS)
            for subscription in self._subscriptions(table, endpoints=endpoints, copies=copies):
                self._subscribe(subscription)

    def publish(self, topic: str, messages: Sequence[Publishable]) -> None:
        """Publish in order, up to a thousand messages a request; done when it returns."""
        sent = [PubsubMessage(data=message.data, attributes=dict(message.attributes)) for message in messages]
        with _failures():
            for start in range(0, len(sent), MESSAGES_PER_REQUEST):
                self._publisher.publish(
                    topic=self._topic(topic),
                    messages=sent[start : start + MESSAGES_PER_REQUEST],
                    retry=None,
                    timeout=REQUEST_TIMEOUT_SECONDS,
                )

    def _subscriptions(self, table: FunctionsTable, *, endpoints: Mapping[str, str], copies: int) -> Iterator[Subscription]:
        dead_letters = self._topic(table.dead_letter_topic)
        pull = self._subscription(f"{table.dead_letter_topic}-pull")
        yield Subscription(name=pull, topic=dead_letters, ack_deadline_seconds=DRAIN_SECONDS)
        for name, function in table.functions.items():
            for copy in range(1, copies + 1):
                yield Subscription(
                    name=self._subscription(name if copy == 1 else f"{name}-{copy}"),
                    topic=self._topic(function.topic),
                    push_config=PushConfig(push_endpoint=endpoints[name]) if function.driver == "push" else None,
                    ack_deadline_seconds=function.ack_deadline_seconds,
                    dead_letter_policy=DeadLetterPolicy(
                        dead_letter_topic=dead_letters, max_delivery_attempts=function.max_delivery_attempts
                    ),
                )

    def _subscribe(self, subscription: Subscription) -> None:
        try:
            self._subscriber.create_subscription(subscription, retry=None, timeout=REQUEST_TIMEOUT_SECONDS)
        except AlreadyExists:
            self._subscriber.modify_push_config(
                subscription=subscription.name,
                push_config=subscription.push_config,
                retry=None,
                timeout=REQUEST_TIMEOUT_SECONDS,
            )

    def _topic(self, name: str) -> str:
        return f"projects/{self._project}/topics/{name}"

    def _subscription(self, name: str) -> str:
        return f"projects/{self._project}/subscriptions/{name}"


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except GoogleAPICallError as error:
        raise PubSubFailed(f"the Pub/Sub emulator refused: {error}") from error
