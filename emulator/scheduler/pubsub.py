"""Publishes to Google's Pub/Sub emulator, and never to the real Pub/Sub."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from emulator.scheduler.errors import PublishFailed

REQUEST_TIMEOUT_SECONDS = 10.0


class PubSubPublisher:
    """A `Publish` for the emulator at host:port; for None one that says what is missing. The channel opens when used."""

    def __init__(self, host: str | None) -> None:
        self._client: PublisherClient | None = None
        if host:
            channel = grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0)])
            self._client = PublisherClient(transport=PublisherGrpcTransport(channel=channel))

    def __call__(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        """Publish one message, once. Raises PublishFailed."""
        if self._client is None:
            raise PublishFailed("PUBSUB_EMULATOR_HOST is not set", code=grpc.StatusCode.FAILED_PRECONDITION)
        message = PubsubMessage(data=data, attributes=dict(attributes))
        try:
            self._client.publish(topic=topic, messages=[message], retry=None, timeout=REQUEST_TIMEOUT_SECONDS)
        except GoogleAPICallError as error:
            raise PublishFailed(error.message, code=error.grpc_status_code or grpc.StatusCode.UNAVAILABLE) from error
