"""Channels over REST: an operator sees which rest and why, and resets one; others only look."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sojourn.domain.audit import AuditEntry
from sojourn.domain.breaker import BreakerPolicy, breaker_id, opened
from sojourn.runtime.api.app import make_app
from sojourn.runtime.application import InMemory
from tests.api.conftest import ACCESS, Api, bearer
from tests.builders import START
from tests.contract.records import put

HOST = "webhook api.example.com"


def at_rest(memory: InMemory) -> None:
    put(memory.store, replace(opened(None, HOST, BreakerPolicy(), "10 of 12 calls failed within 1m", now=START), token="t"))


def test_those_that_rest_come_first_with_why_and_until_when(api: Api) -> None:
    at_rest(api.memory)
    first, *others = api.client.get("/v1/channels").json["items"]
    assert first == {
        "id": breaker_id(HOST),
        "channel": HOST,
        "state": "OPEN",
        "until": (START + timedelta(seconds=30)).isoformat().replace("+00:00", "Z"),
        "since": START.isoformat().replace("+00:00", "Z"),
        "reason": "10 of 12 calls failed within 1m",
    }
    assert [(other["channel"], other["state"]) for other in others] == [("mailbox", "CLOSED"), ("webhook", "CLOSED")]


def test_an_operator_resets_one_and_it_is_written_down(memory: InMemory) -> None:
    at_rest(memory)
    client = make_app(lambda: ACCESS).test_client()
    path = f"/v1/channels/{breaker_id(HOST)}/reset"
    assert client.post(path, headers=bearer("vera")).status_code == 403
    answer = client.post(path, headers=bearer("olga"))
    view = answer.json or {}
    assert (answer.status_code, view.get("state"), view.get("reason")) == (200, "CLOSED", "reset")
    (entry,) = memory.store.scan(AuditEntry)
    assert (entry.principal, entry.action, entry.subject) == ("olga@example.com", "channel.reset", f"channels/{HOST}")


def test_a_channel_that_is_not_there_is_404(api: Api) -> None:
    answer = api.client.post("/v1/channels/pigeon/reset")
    assert answer.status_code == 404 and "no channel 'pigeon'" in answer.json["detail"]
