"""Pull subscriptions on Google's Pub/Sub emulator: what a topic holds, for tests that know how much that is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Self

import grpc
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage

PATIENCE_SECONDS = 30.0
ACK_DEADLINE_SECONDS = 600
MAX_PULLED = 1_000
CHANNEL = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]


class Subscriptions:
    """One for each topic that was opened, in one project."""

    def __init__(self, project: str, *, host: str) -> None:
        self._project = project
        self._opened: set[str] = set()
        self._channel = grpc.insecure_channel(host, options=CHANNEL)
        self._admin = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))
        self._subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel))

    def open(self, topic: str) -> None:
        """Make the topic and its subscription, which gets all that is published from now on; once."""
        if topic in self._opened:
            return
        self._opened.add(topic)
        name = f"projects/{self._project}/topics/{topic}"
        self._admin.create_topic(name=name)
        self._subscriber.create_subscription(
            {"name": self._name(topic), "topic": name, "ack_deadline_seconds": ACK_DEADLINE_SECONDS}
        )

    def pull(self, topic: str, wanted: int) -> list[bytes]:
        """Each message once, until there are as many as `wanted`; acknowledged."""
        return [message.data for message in self.pull_messages(topic, wanted)]

    def pull_messages(self, topic: str, wanted: int) -> list[PubsubMessage]:
        """The same, as they came."""
        found: dict[str, PubsubMessage] = {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(found) < wanted:
            assert time.monotonic() < deadline, f"{topic}: {len(found)} of {wanted} messages came"
            found |= self._received(topic)
        return list(found.values())

    def _received(self, topic: str) -> dict[str, PubsubMessage]:
        answer = self._subscriber.pull(subscription=self._name(topic), max_messages=MAX_PULLED, timeout=PATIENCE_SECONDS)
        received = answer.received_messages
        if received:
            self._acknowledge(topic, [each.ack_id for each in received])
        return {each.message.message_id: each.message for each in received}

    def _acknowledge(self, topic: str, ack_ids: Sequence[str]) -> None:
        self._subscriber.acknowledge(subscription=self._name(topic), ack_ids=ack_ids, timeout=PATIENCE_SECONDS)

    def _name(self, topic: str) -> str:
        return f"projects/{self._project}/subscriptions/{topic}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._channel.close()
