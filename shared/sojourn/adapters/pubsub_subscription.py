"""`Subscription` on Pub/Sub: unary pull and acknowledgement, by bare requests.

The client library's subscriber streams into threads and callbacks of its own, one call for each message; a batch wants many
messages at once, and one answer for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import grpc
from google.api_core.exceptions import (
    Aborted,
    Cancelled,
    DeadlineExceeded,
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
from google.pubsub_v1.types import AcknowledgeRequest, ModifyAckDeadlineRequest, PullRequest, PullResponse

from sojourn.application.ports import PulledMessage
from sojourn.domain.errors import Unavailable

REQUEST_TIMEOUT_SECONDS = 8.0
"""For one request with its repeats."""
PULL_SECONDS = 5.0
"""How long a pull waits for the first message; also how long it takes until a worker notices that it is to stop."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RETRY = Retry(predicate=if_exception_type(ServiceUnavailable), initial=0.1, maximum=1.0, timeout=REQUEST_TIMEOUT_SECONDS)
_FAILURES = (Aborted, Cancelled, NotFound, PermissionDenied, ResourceExhausted, RetryError, ServerError)
"""A subscription that is missing, or that we may not pull, is not there yet."""


class PubSubSubscription:
    """A subscription by its short name, prefix included. Its client is made on first use: a gRPC channel survives no fork."""

    def __init__(self, project: str, name: str, *, emulator_host: str | None = None) -> None:
        self._emulator_host = emulator_host
        self._subscription = f"projects/{project}/subscriptions/{name}"

    @cached_property
    def _transport(self) -> Any:
        from google.pubsub_v1.services.subscriber import SubscriberClient
        from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

        if self._emulator_host is None:
            return SubscriberClient().transport
        return SubscriberGrpcTransport(channel=emulator_channel(self._emulator_host))

    def close(self) -> None:
        """End the connection, if there is one."""
        if "_transport" in self.__dict__:
            self._transport.close()

    def pull(self, limit: int, *, wait: bool = True) -> list[PulledMessage]:
        """`wait` False: Google's servers say at once that there is nothing, which is not meant for who pulls all the time."""
        request = PullRequest(subscription=self._subscription, max_messages=limit, return_immediately=not wait)
        with suppress(DeadlineExceeded):
            answer = self._call(self._transport.pull, request, timeout=PULL_SECONDS if wait else REQUEST_TIMEOUT_SECONDS)
            return [_pulled(received) for received in PullResponse.pb(answer).received_messages]
        return []

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        if ack_ids:
            self._call(self._transport.acknowledge, AcknowledgeRequest(subscription=self._subscription, ack_ids=ack_ids))

    def release(self, ack_ids: Sequence[str]) -> None:
        """A deadline of zero gives them back: Pub/Sub's own word for nack."""
        if ack_ids:
            request = ModifyAckDeadlineRequest(subscription=self._subscription, ack_ids=ack_ids, ack_deadline_seconds=0)
            self._call(self._transport.modify_ack_deadline, request)

    def _call(self, method: Callable[..., Any], request: Any, *, timeout: float = REQUEST_TIMEOUT_SECONDS) -> Any:
        metadata = (routing_header.to_grpc_metadata({"subscription": self._subscription}),)
        try:
            return wrap_method(method)(request, retry=_RETRY, timeout=timeout, metadata=metadata)
        except DeadlineExceeded:
            raise
        except _FAILURES as error:
            raise Unavailable(f"Pub/Sub: {error}") from error


def _pulled(received: Any) -> PulledMessage:
    message = received.message
    sent = message.publish_time
    published_at = _EPOCH + timedelta(seconds=sent.seconds, microseconds=sent.nanos // 1000)
    return PulledMessage(received.ack_id, message.data, message.message_id, published_at, dict(message.attributes))


def emulator_channel(host: str) -> grpc.Channel:
    """A proxy of the environment is not for loopback; answers are not bounded by gRPC's 4 MiB."""
    return grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)])
