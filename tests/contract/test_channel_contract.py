"""What every `Channel` promises, in memory and over HTTP; and what the webhook sends, and where to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import JsonValue

from emulator.mailbox import Mailbox
from sojourn.adapters.channels.webhook import WebhookChannel
from sojourn.adapters.memory import MemoryMailbox
from sojourn.application.ports import Channel
from sojourn.domain.trace import read_traceparent
from tests.contract.receiver import Receiver, receiving
from tests.contract.records import an_effect

EFFECT = an_effect("hello")
MESSAGES: list[JsonValue] = ["hello", None, {"text": "陳大文 😀", "buttons": [[], [{}]]}, 2**70]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


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

    def test_names_the_trace_of_the_passage_where_it_has_one(self, receiver: Receiver) -> None:
        channel, trace_id = WebhookChannel(receiver.url), "4bf92f3577b34da6a3ce929d0e0e4736"
        for effect in (replace(EFFECT, trace_id=trace_id), replace(EFFECT, trace_id=trace_id, attempts=1), EFFECT):
            channel.deliver(effect, "hello")
        first, second, last = (headers.get("traceparent") for headers, _ in receiver.requests)
        places = [read_traceparent(first), read_traceparent(second)]
        assert [place and place.trace_id for place in places] == [trace_id] * 2
        assert first != second and last is None

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
