"""Topics and subscriptions on Google's own emulator: made from the table, once or twice, and published to."""

import json
import os
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import SimpleQueue
from threading import Thread

import grpc
import pytest
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from emulator.errors import PubSubFailed
from emulator.functions_table import load_functions_table
from emulator.google import start_pubsub
from emulator.pubsub import Message, PubSub

PROJECT = "projects/test"
TABLE = load_functions_table()
REQUEST_SECONDS = 10.0
ARRIVAL_SECONDS = 30.0


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A Pub/Sub emulator of our own, empty."""
    environ = {name: value for name, value in os.environ.items() if name != "PUBSUB_EMULATOR_HOST"}
    emulator = start_pubsub(on_line=print, on_exit=print, environ=environ)
    assert emulator.child is not None
    try:
        emulator.await_ready()
        yield emulator.host
    finally:
        emulator.child.stop()


@pytest.fixture
def pubsub(host: str) -> Iterator[PubSub]:
    """What is tested."""
    with PubSub(host, project="test") as pubsub:
        yield pubsub


@pytest.fixture
def subscriber(host: str) -> Iterator[SubscriberClient]:
    """Google's client, to look at what was made."""
    with grpc.insecure_channel(host) as channel:
        yield SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))


def endpoints(port: int) -> dict[str, str]:
    """An address nobody listens at, for every function."""
    return dict.fromkeys(TABLE.functions, f"http://127.0.0.1:{port}/")


pytestmark = [pytest.mark.emulators, pytest.mark.slow]


def test_a_push_subscription_has_what_the_table_says(pubsub: PubSub, subscriber: SubscriberClient) -> None:
    pubsub.create(TABLE, endpoints=endpoints(1))
    made = subscriber.get_subscription(subscription=f"{PROJECT}/subscriptions/run_journey")
    expected = TABLE.functions["run_journey"]
    assert made.topic == f"{PROJECT}/topics/journey-runs"
    assert made.push_config.push_endpoint == "http://127.0.0.1:1/"
    assert made.ack_deadline_seconds == expected.ack_deadline_seconds
    assert made.dead_letter_policy.dead_letter_topic == f"{PROJECT}/topics/journey-dead-letters"
    assert made.dead_letter_policy.max_delivery_attempts == expected.max_delivery_attempts


def test_made_again_it_moves_to_the_new_endpoint_and_copies_are_added(pubsub: PubSub, subscriber: SubscriberClient) -> None:
    pubsub.create(TABLE, endpoints=endpoints(1))
    pubsub.create(TABLE, endpoints=endpoints(2), copies=2)
    made = subscriber.list_subscriptions(project=PROJECT)
    pushed = {each.name.rsplit("/", 1)[1]: each.push_config.push_endpoint for each in made if each.push_config.push_endpoint}
    assert pushed.keys() == {f"{name}{copy}" for name in TABLE.functions for copy in ("", "-2")}
    assert set(pushed.values()) == {"http://127.0.0.1:2/"}


def test_more_messages_than_a_request_takes_all_arrive(pubsub: PubSub, subscriber: SubscriberClient) -> None:
    pubsub.create(TABLE, endpoints=endpoints(1))
    sent = {f"message {number}".encode(): str(number) for number in range(1001)}
    pubsub.publish("journey-dead-letters", [Message(data, {"number": number}) for data, number in sent.items()])
    subscription = f"{PROJECT}/subscriptions/journey-dead-letters-pull"
    came: dict[bytes, str] = {}
    while len(came) < len(sent):
        reply = subscriber.pull(subscription=subscription, max_messages=1000, timeout=REQUEST_SECONDS)
        came |= {each.message.data: each.message.attributes["number"] for each in reply.received_messages}
        subscriber.acknowledge(subscription=subscription, ack_ids=[each.ack_id for each in reply.received_messages])
    assert came == sent


class Reluctant(BaseHTTPRequestHandler):
    """Says 503 to so many requests, then acknowledges."""

    left = 40
    acknowledged: SimpleQueue[bytes]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if type(self).left > 0:
            type(self).left -= 1
            self.send_response(503)
        else:
            self.send_response(204)
            self.acknowledged.put(b64decode(body["message"]["data"]))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_messages_that_are_refused_time_and_again_arrive_in_the_end(host: str) -> None:
    table = TABLE.model_copy(update={"functions": {"run_journey": TABLE.functions["run_journey"]}})
    Reluctant.acknowledged = SimpleQueue()
    sent = {b"%d" % number for number in range(10)}
    with PubSub(host, project="reluctant") as pubsub, HTTPServer(("127.0.0.1", 0), Reluctant) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        pubsub.create(table, endpoints=endpoints(server.server_port))
        pubsub.publish("journey-runs", [Message(data) for data in sent])
        assert {Reluctant.acknowledged.get(timeout=ARRIVAL_SECONDS) for _ in sent} == sent
        server.shutdown()


def test_what_pubsub_refuses_is_an_error_of_ours(pubsub: PubSub) -> None:
    with pytest.raises(PubSubFailed, match="the Pub/Sub emulator refused: 404"):
        pubsub.publish("no-such-topic", [Message(b"x")])


def test_an_emulator_that_is_not_there_is_an_error_of_ours() -> None:
    with PubSub("127.0.0.1:1", project="test") as pubsub, pytest.raises(PubSubFailed, match="503"):
        pubsub.publish("journey-runs", [Message(b"x")])
