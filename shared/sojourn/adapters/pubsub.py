"""`Publisher` and `DeadLetters` on Pub/Sub, by bare requests: the client library's own publisher works in threads of its own,
and waits.

No ordering keys: revisions give the order, and one message that fails would hold up all that follow.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from google.api_core.exceptions import Aborted, Cancelled, ResourceExhausted, RetryError, ServerError, ServiceUnavailable
from google.api_core.retry import Retry, if_exception_type
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.types import PublishRequest, PubsubMessage

from sojourn.adapters.pubsub_subscription import PubSubSubscription, emulator_channel
from sojourn.application.messages import DEAD_LETTERS_TOPIC, TOPIC_OF
from sojourn.application.ports import DeadLetter, Outgoing, PulledMessage

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
    """The pull subscription of the dead-letter topic. A minute tick must not wait for letters that are not there."""

    def __init__(self, project: str, *, prefix: str = "", emulator_host: str | None = None) -> None:
        self._prefix = prefix
        self._subscription = PubSubSubscription(project, f"{prefix}{DEAD_LETTERS_TOPIC}-pull", emulator_host=emulator_host)

    def close(self) -> None:
        """End the connection, if there is one."""
        self._subscription.close()

    def pull(self, limit: int) -> list[DeadLetter]:
        return [self._letter(message) for message in self._subscription.pull(limit, wait=False)]

    def acknowledge(self, letters: Sequence[DeadLetter]) -> None:
        self._subscription.acknowledge([letter.id for letter in letters])

    def _letter(self, message: PulledMessage) -> DeadLetter:
        """Pub/Sub writes onto a letter where it comes from (https://cloud.google.com/pubsub/docs/handling-failures)."""
        about = message.attributes
        subscription = about.get(f"{_SOURCE}Subscription", "").rpartition("/")[2]
        attempts = about.get(f"{_SOURCE}DeliveryCount", "")
        return DeadLetter(
            id=message.ack_id,
            topic=TOPIC_OF.get(_function(subscription.removeprefix(self._prefix))),
            subscription=subscription,
            attempts=int(attempts) if attempts.isdecimal() else 0,
            published_at=_published_at(message),
            data=message.data,
        )


_SOURCE = "CloudPubSubDeadLetterSource"


def _function(subscription: str) -> str:
    """The function that a subscription feeds: `run-journey` in the cloud, `run_journey-2` where a laptop has copies."""
    return re.sub(r"-\d+$", "", subscription).replace("-", "_")


def _published_at(message: PulledMessage) -> datetime:
    """When the source topic took it; when the dead-letter topic did, should a letter not say so."""
    text = message.attributes.get(f"{_SOURCE}TopicPublishTime")
    return datetime.fromisoformat(text).astimezone(UTC) if text else message.published_at


def _emulator(host: str) -> PublisherGrpcTransport:
    return PublisherGrpcTransport(channel=emulator_channel(host))


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
