"""How the webhook channel takes whatever a receiver may answer, or fail to."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue, SecretStr

from sojourn.adapters.channels import answer
from sojourn.adapters.channels.answer import MAX_RESULT_BYTES, read_answer
from sojourn.adapters.channels.webhook import Manners, WebhookChannel
from sojourn.domain.effect import Rest
from tests.contract.receiver import Receiver, receiving
from tests.contract.records import NOON, an_effect

EFFECT = an_effect("hello")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def impatient() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=0.2, trust_env=False) as client:
        yield client


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

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 503])
    def test_what_may_pass_is_retryable(self, receiver: Receiver, status: int) -> None:
        receiver.status = status
        delivery = WebhookChannel(receiver.url).deliver(EFFECT, "hello")
        assert delivery.outcome == "retryable" and str(status) in (delivery.reason or "")

    @pytest.mark.parametrize("status", [502, 504])
    def test_behind_a_gateway_without_an_answer_it_may_have_arrived(self, receiver: Receiver, status: int) -> None:
        receiver.status = status
        assert WebhookChannel(receiver.url).deliver(EFFECT, "hello").outcome == "uncertain"

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

    def test_after_silence_it_may_have_arrived(self, receiver: Receiver, impatient: httpx.Client) -> None:
        receiver.release = Event()
        delivery = WebhookChannel(receiver.url, client=impatient).deliver(EFFECT, "hello")
        assert delivery.outcome == "uncertain" and "no answer in time" in (delivery.reason or "")

    @pytest.mark.parametrize("raw", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
    def test_after_garbage_it_may_have_arrived(self, receiver: Receiver, raw: bytes) -> None:
        receiver.raw = raw
        assert WebhookChannel(receiver.url).deliver(EFFECT, "hello").outcome == "uncertain"

    def test_a_body_that_breaks_off_is_delivered_all_the_same(self, receiver: Receiver) -> None:
        receiver.raw = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id"'
        delivery = WebhookChannel(receiver.url).deliver(EFFECT, "hello")
        assert (delivery.outcome, delivery.result) == ("delivered", None)

    def test_a_body_that_takes_too_long_is_not_waited_for(
        self, receiver: Receiver, impatient: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answer, "BODY_TIMEOUT_SECONDS", 0.0)
        delivery = WebhookChannel(receiver.url, client=impatient).deliver(EFFECT, "hello")
        assert (delivery.outcome, delivery.result) == ("delivered", None)

    def test_nobody_there_is_retryable(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            delivery = WebhookChannel(f"http://127.0.0.1:{unused.getsockname()[1]}").deliver(EFFECT, "hello")
        assert delivery.outcome == "retryable" and "ConnectError" in (delivery.reason or "")


class TestRetryAfter:
    """RFC 9110, 10.2.3."""

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("120", 120),
            (" 7 ", 7),
            ("0", 0),
            ("-5", None),
            ("soon", None),
            ("", None),
            ("9" * 20, None),
            ("1.5", None),
            ("²", None),
        ],
        ids=ascii,
    )
    def test_seconds_are_read_and_anything_else_is_not(self, status: int, header: str, seconds: int | None) -> None:
        response = httpx.Response(status, headers=[(b"Retry-After", header.encode())])
        delivery = read_answer(response, of="there", with_credentials=False)
        assert delivery.outcome == "retryable"
        assert delivery.retry_after == (None if seconds is None else timedelta(seconds=seconds))

    def test_a_date_counts_by_the_receiver_s_own_clock(self) -> None:
        headers = {
            "Date": format_datetime(NOON, usegmt=True),
            "Retry-After": format_datetime(NOON + timedelta(minutes=3), usegmt=True),
        }
        delivery = read_answer(httpx.Response(503, headers=headers), of="there", with_credentials=False)
        assert delivery.retry_after == timedelta(minutes=3)

    def test_without_its_clock_a_date_counts_by_ours(self) -> None:
        headers = {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)}
        delivery = read_answer(httpx.Response(503, headers=headers), of="there", with_credentials=False)
        assert delivery.retry_after is not None
        assert timedelta(minutes=58) < delivery.retry_after <= timedelta(hours=1)

    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
    @example("Mon, 99999999999999999999 Jan 2026 00:00:00 GMT")
    @example("Mon, 01 Jan 2026 00:00:00 +99999999")
    def test_no_header_breaks_it(self, header: str) -> None:
        response = httpx.Response(503, headers={"Retry-After": header, "Date": header})
        assert read_answer(response, of="there", with_credentials=False).outcome == "retryable"

    def test_it_comes_over_the_wire(self, receiver: Receiver) -> None:
        receiver.status, receiver.headers = 429, {"Retry-After": "30"}
        assert WebhookChannel(receiver.url).deliver(EFFECT, "hello").retry_after == timedelta(seconds=30)


class TestParts:
    def told(self, receiver: Receiver, *failed: JsonValue) -> None:
        receiver.status, receiver.body = 207, json.dumps({"id": "m-1", "failed": list(failed)}).encode()

    def test_those_that_may_pass_are_left_and_the_others_are_lost(self, receiver: Receiver) -> None:
        gone: JsonValue = {"part": "tablet", "reason": "unregistered", "permanent": True}
        self.told(receiver, {"part": "phone", "reason": "busy"}, gone, {"part": "watch"})
        delivery = WebhookChannel(receiver.url).deliver(EFFECT, "hello")
        assert (delivery.outcome, delivery.provider_id) == ("partial", "m-1")
        assert delivery.rest == Rest(undelivered=("phone", "watch"), failed=("tablet (unregistered)",))
        assert delivery.reason == "3 parts did not arrive: phone (busy), tablet (unregistered), watch"

    def test_the_rest_is_asked_for_by_name_and_under_another_key(self, receiver: Receiver) -> None:
        rest = replace(EFFECT, rest=Rest(undelivered=("phone",), answers=1))
        WebhookChannel(receiver.url).deliver(rest, "hello")
        (headers, body) = receiver.requests[0]
        assert (headers["idempotency-key"], json.loads(body)["only"]) == (f"{EFFECT.id}-1", ["phone"])
        assert json.loads(body)["effect_id"] == EFFECT.id

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b'{"failed": []}',
            b'{"failed": [{"reason": "no name"}]}',
            b'{"failed": [{"part": 7}]}',
            b'{"failed": "phone"}',
        ],
    )
    def test_a_207_that_names_no_parts_is_delivered_as_any_other_success(self, receiver: Receiver, body: bytes) -> None:
        receiver.status, receiver.body = 207, body
        assert WebhookChannel(receiver.url).deliver(EFFECT, "hello").outcome == "delivered"


class TestCredentials:
    CHANNEL = Manners(headers={"Authorization": SecretStr("Bearer s3cr3t")})

    def test_go_to_the_channel_s_own_address(self, receiver: Receiver) -> None:
        WebhookChannel(receiver.url, self.CHANNEL).deliver(EFFECT, "hello")
        assert receiver.requests[0][0]["authorization"] == "Bearer s3cr3t"

    def test_never_go_to_an_address_of_an_author(self, receiver: Receiver) -> None:
        WebhookChannel("https://invalid.invalid", self.CHANNEL).deliver(EFFECT, "hello", url=receiver.url)
        assert "authorization" not in receiver.requests[0][0]

    def test_that_are_refused_are_our_fault_and_not_the_member_s(self, receiver: Receiver) -> None:
        receiver.status = 401
        delivery = WebhookChannel(receiver.url, self.CHANNEL).deliver(EFFECT, "hello")
        assert delivery.outcome == "system" and "does not take the channel's credentials" in (delivery.reason or "")
        assert WebhookChannel(receiver.url).deliver(EFFECT, "hello").outcome == "permanent"

    @pytest.mark.parametrize("status", [200, 401, 404, 503])
    def test_are_in_no_answer_and_no_repr(self, receiver: Receiver, status: int) -> None:
        receiver.status = status
        url = receiver.url.replace("//", "//user:s3cr3t@") + "/s3cr3t?token=s3cr3t"
        channel = WebhookChannel(url, self.CHANNEL)
        delivery = channel.deliver(EFFECT, "hello")
        assert len(receiver.requests) == 1
        assert "s3cr3t" not in repr((delivery, channel, vars(channel), self.CHANNEL)).replace(url, "")

    def test_of_an_author_s_address_are_not_shown(self) -> None:
        delivery = WebhookChannel().deliver(EFFECT, "hello", url="https://user:s3cr3t@half-\ud800.example/hook?token=s3cr3t")
        assert delivery.outcome == "permanent" and "s3cr3t" not in (delivery.reason or "")
