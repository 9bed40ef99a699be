"""`Publisher` on Pub/Sub, by bare requests: the client library's own publisher batches by waiting, in threads of its own.

No ordering keys: revisions give the order, and one message that fails would hold up all that follow.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import grpc
from google.api_core.exceptions import Aborted, Cancelled, ResourceExhausted, RetryError, ServerError, ServiceUnavailable
from google.api_core.retry import Retry, if_exception_type
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.types import PublishRequest, PubsubMessage

from sojourn.application.ports import Outgoing

REQUEST_TIMEOUT_SECONDS = 8.0
"""For one request with its repeats; several fit into a function's 60 s."""
MAX_MESSAGES = 1_000
MAX_REQUEST_BYTES = 9_000_000
"""Pub/Sub takes 1,000 messages and 10 MB in a request (https://cloud.google.com/pubsub/quotas)."""
MESSAGE_OVERHEAD_BYTES = 64

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
            taken = self._publish(messages[places[0]].topic, [messages[place].data for place in places])
            for place in places:
                results[place] = taken
        return results

    def _publish(self, topic: str, data: Sequence[bytes]) -> bool:
        request = PublishRequest.pb()(topic=self._topics + topic)
        request.messages.extend(PubsubMessage.pb()(data=each) for each in data)
        try:
            self._client.publish(PublishRequest.wrap(request), retry=_RETRY, timeout=REQUEST_TIMEOUT_SECONDS)
        except _TRANSIENT as error:
            _log.warning("%d messages to %s were not taken: %s", len(data), topic, error)
            return False
        return True


def _emulator(host: str) -> PublisherGrpcTransport:
    # A proxy of the environment is not for loopback.
    return PublisherGrpcTransport(channel=grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0)]))


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
