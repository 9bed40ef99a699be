"""What every `Channel` promises, in memory and over HTTP; and how the webhook takes whatever a receiver may do."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import httpx
import pytest
from pydantic import JsonValue

from emulator.mailbox import Mailbox
from sojourn.adapters.channels import webhook
from sojourn.adapters.channels.webhook import MAX_RESULT_BYTES, WebhookChannel
from sojourn.adapters.memory import MemoryMailbox
from sojourn.application.ports import Channel
from tests.contract.records import an_effect

EFFECT = an_effect("hello")
MESSAGES: list[JsonValue] = ["hello", None, {"text": "陳大文 😀", "buttons": [[], [{}]]}, 2**70]


@dataclass
class Receiver:
    """An HTTP server that answers as it is told and keeps what it was sent."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"id": "m-1"}'
    raw: bytes | None = None
    release: Event | None = None
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def keys(self) -> set[str]:
        return {headers["idempotency-key"] for headers, _ in self.requests}


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.requests.append((headers, self.rfile.read(length)))
        if self.receiver.release:
            self.receiver.release.wait(10)
        with suppress(ConnectionError):  # a client may have heard enough
            self._answer()

    def _answer(self) -> None:
        if self.receiver.raw is not None:
            self.wfile.write(self.receiver.raw)
            self.close_connection = True
            return
        self.send_response(self.receiver.status)
        for name, value in self.receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.receiver.body)))
        self.end_headers()
        self.wfile.write(self.receiver.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        receiver.port = server.server_port
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield receiver
        if receiver.release:
            receiver.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def impatient() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=0.2, trust_env=False) as client:
        yield client


@pytest.fixture
def local_mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture(params=["memory", "webhook", "local mailbox"])
def channel(request: pytest.FixtureRequest, receiver: Receiver, local_mailbox: Mailbox) -> Channel:
    channels = {"webhook": WebhookChannel(receiver.url), "local mailbox": WebhookChannel(local_mailbox.url)}
    return channels.get(request.param, MemoryMailbox())


class TestContract:
    @pytest.mark.parametrize("message", MESSAGES, ids=ascii)
    def test_any_message_is_delivered(self, channel: Channel, message: JsonValue) -> None:
        delivery = channel.deliver(EFFECT, message)
        assert delivery.outcome == "delivered" and delivery.provider_id

    def test_a_repeat_is_delivered_too(self, channel: Channel) -> None:
        first, second = channel.deliver(EFFECT, "hello"), channel.deliver(EFFECT, "hello")
        assert first.outcome == second.outcome == "delivered" and first.provider_id == second.provider_id

    def test_says_how_it_takes_uncertainty_and_failure(self, channel: Channel) -> None:
        assert channel.idempotent and channel.resend_when_uncertain and channel.retry.max_attempts > 1


class TestRequest:
    def test_is_one_json_object_with_the_message_as_it_is(self, receiver: Receiver) -> None:
        WebhookChannel(receiver.url).deliver(EFFECT, {"text": "half \ud83d"})
        (headers, body) = receiver.requests[0]
        assert headers["content-type"] == "application/json"
        assert json.loads(body) == {
            "effect_id": EFFECT.id,
            "journey_id": "welcome",
            "progress_id": "p",
            "bot_id": "shop",
            "member_id": "mary",
            "node_id": "greet",
            "message": {"text": "half \ud83d"},
        }

    def test_repeats_carry_the_same_key_and_others_another(self, receiver: Receiver) -> None:
        channel = WebhookChannel(receiver.url)
        for effect in (EFFECT, EFFECT, replace(EFFECT, id="other")):
            channel.deliver(effect, "hello")
        assert receiver.keys() == {EFFECT.id, "other"} and len(receiver.requests) == 3

    def test_goes_to_the_effect_s_address_before_the_channel_s(self, receiver: Receiver) -> None:
        assert WebhookChannel("https://invalid.invalid").deliver(EFFECT, "hello", url=receiver.url).outcome == "delivered"

    def test_no_cookie_and_no_password_of_the_environment_is_sent(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        receiver.headers = {"Set-Cookie": "member=mary"}
        channel = WebhookChannel(receiver.url)
        assert [channel.deliver(EFFECT, "hello").outcome for _ in range(2)] == ["delivered"] * 2
        assert not any({"cookie", "authorization"} & headers.keys() for headers, _ in receiver.requests)


class TestAnswer:
    @pytest.mark.parametrize("status", [200, 201, 202, 299])
    def test_success_is_delivered(self, receiver: Receiver, status: int) -> None:
        receiver.status = status
        delivery = WebhookChannel(receiver.url).deliver(EFFECT, "hello")
        assert (delivery.outcome, delivery.provider_id, delivery.result) == ("delivered", "m-1", {"id": "m-1"})

    def test_success_without_a_body_is_delivered(self, receiver: Receiver) -> None:
        receiver.status, receiver.body = 204, b""
        assert WebhookChannel(receiver.url).deliver(EFFECT, "hello").outcome == "delivered"

    @pytest.mark.parametrize(
        ("body", "result", "provider_id"),
        [
            (b"OK", None, None),
            (b"[1]", [1], None),
            (b'{"id": 7}', {"id": 7}, None),
            (b"NaN", None, None),
            (b'"\\ud800"', None, None),
            (b"\xff", None, None),
            (b"[" * 10_000, None, None),
            (json.dumps("x" * (MAX_RESULT_BYTES - 2)).encode(), "x" * (MAX_RESULT_BYTES - 2), None),
            (json.dumps({"id": "m-1", "more": "x" * MAX_RESULT_BYTES}).encode(), None, None),
        ],
        ids=["text", "list", "number", "nan", "half surrogate", "bytes", "deep", "just fits", "too long"],
    )
    def test_only_a_small_json_body_is_a_result(
        self, receiver: Receiver, body: bytes, result: JsonValue, provider_id: str | None
    ) -> None:
        receiver.body = body
        delivery = WebhookChannel(receiver.url).deliver(EFFECT, "hello")
        assert (delivery.outcome, delivery.result, delivery.provider_id) == ("delivered", result, provider_id)

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_what_may_pass_is_retryable(self, receiver: Receiver, status: int) -> None:
        receiver.status = status
        delivery = WebhookChannel(receiver.url).deliver(EFFECT, "hello")
        assert delivery.outcome == "retryable" and str(status) in (delivery.reason or "")

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 422])
    def test_what_does_not_pass_is_permanent(self, receiver: Receiver, status: int) -> None:
        receiver.status = status
        delivery = WebhookChannel(receiver.url).deliver(EFFECT, "hello")
        assert delivery.outcome == "permanent" and str(status) in (delivery.reason or "")

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, receiver: Receiver, status: int) -> None:
        receiver.status, receiver.headers = status, {"Location": receiver.url}
        assert WebhookChannel(receiver.url).deliver(EFFECT, "hello").outcome == "permanent"
        assert len(receiver.requests) == 1

    def test_silence_is_retryable(self, receiver: Receiver, impatient: httpx.Client) -> None:
        receiver.release = Event()
        delivery = WebhookChannel(receiver.url, client=impatient).deliver(EFFECT, "hello")
        assert delivery.outcome == "retryable" and "no answer in time" in (delivery.reason or "")

    @pytest.mark.parametrize("raw", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
    def test_garbage_is_retryable(self, receiver: Receiver, raw: bytes) -> None:
        receiver.raw = raw
        assert WebhookChannel(receiver.url).deliver(EFFECT, "hello").outcome == "retryable"

    def test_a_body_that_breaks_off_is_delivered_all_the_same(self, receiver: Receiver) -> None:
        receiver.raw = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id"'
        delivery = WebhookChannel(receiver.url).deliver(EFFECT, "hello")
        assert (delivery.outcome, delivery.result) == ("delivered", None)

    def test_a_body_that_takes_too_long_is_not_waited_for(
        self, receiver: Receiver, impatient: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.0)
        delivery = WebhookChannel(receiver.url, client=impatient).deliver(EFFECT, "hello")
        assert (delivery.outcome, delivery.result) == ("delivered", None)

    def test_nobody_there_is_retryable(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            delivery = WebhookChannel(f"http://127.0.0.1:{unused.getsockname()[1]}").deliver(EFFECT, "hello")
        assert delivery.outcome == "retryable" and "ConnectError" in (delivery.reason or "")


class TestAddress:
    @pytest.mark.parametrize(
        "url",
        [
            "http://example.com/hook",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "http://169.254.169.254/computeMetadata/v1/",
            "ftp://127.0.0.1/hook",
            "mailto:mary@example.com",
            "//127.0.0.1/hook",
            "/hook",
            "https://",
            "https://[::1/hook",
            "https://half-\ud800.example",
            "https://" + "a" * 64 + ".invalid",
        ],
        ids=ascii,
    )
    def test_what_is_not_https_or_no_address_is_permanent_and_named(self, url: str) -> None:
        delivery = WebhookChannel().deliver(EFFECT, "hello", url=url)
        assert delivery.outcome == "permanent" and repr(url)[:40] in (delivery.reason or "")

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost"])
    def test_plain_http_stays_on_the_machine(self, receiver: Receiver, host: str) -> None:
        url = f"http://{host}:{receiver.port}/"
        assert WebhookChannel(url).deliver(EFFECT, "hello").outcome != "permanent"

    def test_no_address_at_all_is_permanent(self) -> None:
        assert WebhookChannel().deliver(EFFECT, "hello").reason == "no address: neither the channel nor the effect names one"
