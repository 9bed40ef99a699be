"""`SOJOURN_CHANNELS`: channels by name, every fault named on start-up, and no secret anywhere but in the header it is for."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest

from sojourn.adapters.channels.webhook import WebhookChannel
from sojourn.domain.breaker import BreakerPolicy
from sojourn.domain.errors import SettingsInvalid
from sojourn.domain.retry import RetryPolicy
from sojourn.runtime.channels import compose_channels
from sojourn.runtime.settings import Settings, read_settings
from tests.contract.receiver import receiving
from tests.contract.records import an_effect

SECRET = "s3cr3t"
LINE: dict[str, Any] = {"kind": "webhook", "url": "https://push.example.com/messages"}
BEARER = {"Authorization": {"secret_env": "LINE_TOKEN", "prefix": "Bearer "}}


def read(channels: object, **environment: str) -> Settings:
    text = channels if isinstance(channels, str) else json.dumps(channels)
    return read_settings({"SOJOURN_CHANNELS": text, **environment})


def test_without_it_there_are_a_mailbox_and_the_channel_of_webhooks() -> None:
    channels = compose_channels(read_settings({}))
    assert sorted(channels) == ["mailbox", "webhook"]
    assert all(channel.retry == RetryPolicy() and channel.breaker == BreakerPolicy() for channel in channels.values())


def test_each_channel_has_its_manners() -> None:
    given = {
        **LINE,
        "idempotent": False,
        "on_uncertain": "skip",
        "retry": {"max_attempts": 7},
        "breaker": {"failure_rate": 0.2},
    }
    line = compose_channels(read({"line": given}))["line"]
    assert (line.idempotent, line.resend_when_uncertain) == (False, False)
    assert (line.retry, line.breaker) == (RetryPolicy(max_attempts=7), BreakerPolicy(failure_rate=0.2))


def test_a_breaker_may_be_left_out_and_the_channel_of_webhooks_have_manners_of_its_own() -> None:
    channels = compose_channels(
        read({"line": {**LINE, "breaker": None}, "webhook": {"kind": "webhook", "retry": {"kind": "fixed"}}})
    )
    assert channels["line"].breaker is None and channels["webhook"].retry.kind == "fixed"


def test_a_configured_mailbox_takes_the_place_of_the_local_one() -> None:
    channels = compose_channels(read({"mailbox": LINE}))
    assert isinstance(channels["mailbox"], WebhookChannel)


def test_the_secret_goes_into_the_header_and_a_line_s_end_of_its_file_does_not() -> None:
    with receiving() as receiver:
        settings = read(
            {"line": {**LINE, "url": receiver.url, "headers": {**BEARER, "X-Version": "2"}}}, LINE_TOKEN=f"{SECRET}\n"
        )
        compose_channels(settings)["line"].deliver(an_effect(), "hello")
    (headers, _) = receiver.requests[0]
    assert (headers["authorization"], headers["x-version"]) == (f"Bearer {SECRET}", "2")


def test_the_secret_is_in_no_repr_and_no_dump() -> None:
    settings = read({"line": {**LINE, "url": f"https://push.example.com/{SECRET}", "headers": BEARER}}, LINE_TOKEN=SECRET)
    channel = compose_channels(settings)["line"]
    assert SECRET not in repr((settings, settings.channels["line"], channel))
    assert SECRET not in str(settings.channels["line"].headers)
    assert "LINE_TOKEN" not in settings.model_dump_json() and f"Bearer {SECRET}" not in settings.model_dump_json()


FAULTS: list[tuple[object, str]] = [
    (
        {"line": {**LINE, "headers": BEARER}},
        "line: headers: Authorization: secret_env names LINE_TOKEN, an environment variable",
    ),
    (
        {"line": {**LINE, "headers": {"Authorization": {"secret": "X"}}}},
        "line: headers: Authorization: secret_env: Field required",
    ),
    (
        {"line": {**LINE, "headers": {"Authorization": f"{SECRET}\n"}}},
        "line: headers: Authorization: a header is one line of ASCII",
    ),
    ({"line": {**LINE, "headers": {"Host": SECRET}}}, "line: headers: Host is the channel's own"),
    ({"line": {**LINE, "headers": {"a b": SECRET}}}, "line: headers: a b: [key]: String should match"),
    (
        {"line": {**LINE, "url": f"http://example.com/?token={SECRET}"}},
        "line: url: not an https address: 'http://example.com/'",
    ),
    ({"line": {**LINE, "url": f"https://user:{SECRET}@"}}, "line: url: not an"),
    ({"line": {"kind": "webhook"}}, "line: url is missing"),
    ({"webhook": LINE}, "webhook goes to the addresses of `webhook` nodes: it takes neither url nor headers"),
    ({"webhook": {"kind": "webhook", "headers": {"X": SECRET}}}, "webhook goes to the addresses of `webhook` nodes"),
    ({"line": {**LINE, "kind": "pigeon"}}, "line: kind: Input should be 'webhook'"),
    ({"line": {**LINE, "on_uncertain": "maybe"}}, "line: on_uncertain: Input should be 'resend' or 'skip'"),
    ({"line": {**LINE, "retry": {"kind": "fixed", "multiplier": 2}}}, "line: retry: multiplier is for another kind than fixed"),
    ({"line": {**LINE, "retry": {"first_delay": "x"}}}, "line: retry: first_delay: 'x' is no duration"),
    ({"line": {**LINE, "breaker": {"rest": "2h"}}}, "line: breaker: rest (2h) is longer than max_rest (15m)"),
    ({"line": {**LINE, "token": SECRET}}, "line: token: Extra inputs are not permitted"),
    ({"my line": LINE}, "my line: [key]: String should match"),
    ({f"line-{number}": LINE for number in range(51)}, "Dictionary should have at most 50 items"),
    ([], "Input should be a valid dictionary"),
    (f'{{"{SECRET}', "Invalid JSON"),
]


@pytest.mark.parametrize(("channels", "text"), FAULTS, ids=[text[:50] for _, text in FAULTS])
def test_a_fault_is_named_on_start_up_and_shows_no_value(channels: object, text: str) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        read(channels)
    assert str(raised.value).startswith(f"environment variable SOJOURN_CHANNELS: {text}")
    assert SECRET not in "".join(traceback.format_exception(raised.value))
