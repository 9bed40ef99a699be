"""The operator's desk over REST: lists by filter and page, one thing whole, and bulk repairs a page at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sojourn.application.ingest import reject
from sojourn.domain.audit import AuditEntry
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.journey import RejectedEvent
from sojourn.domain.progress import Progress, Status
from sojourn.runtime.api.app import make_app
from tests.api.conftest import ACCESS, Api, bearer
from tests.builders import after, log
from tests.contract.records import a_progress, a_rejected, an_effect, put

EFFECTS, PROGRESS, REJECTED = "/v1/effects", "/v1/progress", "/v1/rejected-events"
WRONG_BODIES: list[tuple[object, str]] = [
    ({}, "filter"),
    ({"filter": None}, "filter"),
    ({"filter": {"colour": "red"}}, "filter.colour"),
    ({"filter": {"reason": "x" * 501}}, "filter.reason"),
    ({"filter": {}, "page_size": 0}, "page_size"),
    ({"filter": {}, "page_size": 100_000}, "page_size"),
    ({"filter": {}, "page_size": "2"}, "page_size"),
    ({"filter": {}, "page_token": "?"}, "page_token"),
    ({"filter": {}, "dry_run": "no"}, "dry_run"),
]


def dead(name: str, reason: str = "503 from x", status: EffectStatus = EffectStatus.DEAD) -> Effect:
    return replace(an_effect(name), status=status, reason=reason, attempts=5)


def stuck(name: str, reason: str = "too large") -> Progress:
    return replace(a_progress(name), status=Status.ERROR, end_reason=reason)


def bulk(api: Api, path: str, **body: Any) -> list[Any]:
    """The answers to page after page, until there is none."""
    pages: list[Any] = []
    while not pages or pages[-1]["next_page_token"]:
        token = {"page_token": pages[-1]["next_page_token"]} if pages else {}
        answer = api.client.post(path, json={"filter": {}, "page_size": 2, **body, **token})
        assert answer.status_code == 200, answer.json
        pages.append(answer.json)
    return pages


def test_lists_go_by_filter_and_page(api: Api) -> None:
    put(api.memory.store, *(dead(f"{number}") for number in range(5)), dead("gone", "410 Gone from x"), an_effect("well"))
    found: list[str] = []
    token: str | None = ""
    while token is not None:
        query = {
            "status": "DEAD",
            "bot_id": "shop",
            "reason": "503",
            "page_size": 2,
            **({"page_token": token} if token else {}),
        }
        page = api.client.get(EFFECTS, query_string=query).json
        found += [effect["id"] for effect in page["items"]]
        token = page["next_page_token"]
    assert sorted(found) == sorted(dead(f"{number}").id for number in range(5))
    assert api.client.get(EFFECTS, query_string={"journey_id": "nowhere"}).json["items"] == []


def test_a_whole_effect_says_what_to_whom(api: Api) -> None:
    put(api.memory.store, dead("x"))
    found = api.client.get(f"{EFFECTS}/{dead('x').id}").json
    assert (found["payload"], found["about"]) == ({"channel": "mailbox", "message": "hello"}, "message over mailbox")
    assert api.client.get(f"{EFFECTS}/nothing").status_code == 404


def test_members_in_error_are_listed_shown_retried_and_abandoned_wherever_they_are(api: Api) -> None:
    put(api.memory.store, stuck("a"), stuck("b", "visited too often"), a_progress("well"))
    assert len(api.client.get(PROGRESS).json["items"]) == 2
    (listed,) = api.client.get(PROGRESS, query_string={"reason": "LARGE"}).json["items"]
    assert (listed["id"], listed["end_reason"], listed["journey_id"]) == (stuck("a").id, "too large", "welcome")
    whole = api.client.get(f"{PROGRESS}/{listed['id']}").json
    assert (whole["event"], whole["data"], whole["trail"]) == ("order.completed", {"total": 12.5, "tags": [["a"], []]}, [])
    assert listed["trace_id"] == whole["trace_id"] == stuck("a").trace_id
    assert api.client.post(f"{PROGRESS}/{listed['id']}/retry").json["status"] == "READY"
    answer = api.client.post(f"{PROGRESS}/{stuck('b').id}/abandon", json={"reason": "no such customer"})
    assert (answer.json["status"], answer.json["end_reason"]) == ("CANCELED", "abandoned by an operator: no such customer")
    assert api.client.get(PROGRESS).json == {"items": [], "next_page_token": None}
    assert api.client.post(f"{PROGRESS}/{stuck('b').id}/retry").status_code == 409


def test_a_bulk_retry_goes_page_by_page_and_says_what_is_left(api: Api) -> None:
    put(api.memory.store, *(dead(f"{number}") for number in range(4)), dead("gone", "410 Gone"))
    pages = bulk(api, f"{EFFECTS}/retry")
    assert [(page["done"], page["left"]) for page in pages] == [(2, 3), (2, 1), (1, 0)]
    assert {effect.status for effect in api.memory.store.scan(Effect)} == {EffectStatus.PENDING}
    assert len(list(api.memory.store.scan(AuditEntry))) == 5


def test_a_dry_run_only_counts(api: Api) -> None:
    put(api.memory.store, *(dead(f"{number}") for number in range(3)), dead("gone", "410 Gone"))
    pages = bulk(api, f"{EFFECTS}/abandon", dry_run=True, filter={"reason": "gone"})
    assert (sum(page["done"] for page in pages), sum(page["other"] for page in pages)) == (1, 3)
    assert all(page["dry_run"] for page in pages)
    assert {effect.status for effect in api.memory.store.scan(Effect)} == {EffectStatus.DEAD}


def test_failed_effects_are_abandoned_only_when_asked_for(api: Api) -> None:
    put(api.memory.store, dead("dead"), dead("failed", status=EffectStatus.FAILED))
    bulk(api, f"{EFFECTS}/abandon", filter={"status": "FAILED"}, reason="known")
    status = {effect.id: (effect.status, effect.reason) for effect in api.memory.store.scan(Effect)}
    assert status[dead("failed").id] == (EffectStatus.SKIPPED, "abandoned by an operator: known")
    assert status[dead("dead").id][0] is EffectStatus.DEAD


def test_members_in_error_in_bulk(api: Api) -> None:
    put(api.memory.store, stuck("a"), stuck("b", "visited too often"))
    bulk(api, f"{PROGRESS}/retry", filter={"reason": "large"})
    bulk(api, f"{PROGRESS}/abandon", filter={"bot_id": "shop"})
    assert {progress.status for progress in api.memory.store.scan(Progress)} == {Status.READY, Status.CANCELED}


def test_rejected_events_are_shown_replayed_and_abandoned_in_bulk(api: Api) -> None:
    reject(api.memory.shop, b"\xff{", "malformed", "not JSON")
    reject(api.memory.shop, log(), "malformed", "a bug that is mended by now")
    put(api.memory.store, replace(a_rejected("letter"), reason="dead_lettered", topic="", published_at=after()))
    whole = api.client.get(f"{REJECTED}/letter").json
    assert (whole["status"], whole["topic"], whole["data"]) == ("OPEN", "", "{")
    pages = bulk(api, f"{REJECTED}/replay")
    refused = [each["why"] for page in pages for each in page["refused"]]
    assert sum(page["done"] for page in pages) == 1
    assert any("nobody knows" in why for why in refused) and any("malformed, again" in why for why in refused)
    assert api.client.post(f"{REJECTED}/letter/abandon").json["status"] == "ABANDONED"
    assert api.client.post(f"{REJECTED}/letter/abandon").status_code == 409
    assert sum(page["done"] for page in bulk(api, f"{REJECTED}/abandon")) == 1
    counts = {
        status: len(api.client.get(REJECTED, query_string={"status": status}).json["items"])
        for status in ("OPEN", "REPLAYED", "ABANDONED")
    }
    assert counts == {"OPEN": 0, "REPLAYED": 1, "ABANDONED": 2}
    assert len(list(api.memory.store.scan(RejectedEvent))) == 3


@pytest.mark.parametrize("path", [f"{EFFECTS}/retry", f"{PROGRESS}/abandon", f"{REJECTED}/replay"])
@pytest.mark.parametrize(("body", "field"), WRONG_BODIES)
def test_a_wrong_bulk_names_its_field_and_does_nothing(api: Api, path: str, body: object, field: str) -> None:
    put(api.memory.store, dead("a"), stuck("a"), a_rejected("a"))
    answer = api.client.post(path, json=body)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    assert list(api.memory.store.scan(AuditEntry)) == []


@pytest.mark.parametrize("status", ["DONE", "PENDING", "dead", 1])
def test_only_what_waits_for_an_operator_is_repaired_in_bulk(api: Api, status: object) -> None:
    answer = api.client.post(f"{EFFECTS}/retry", json={"filter": {"status": status}})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "filter.status")


@pytest.mark.parametrize("path", [f"{EFFECTS}/retry", f"{PROGRESS}/retry", f"{REJECTED}/replay"])
def test_a_bulk_needs_an_operator_and_is_no_item(path: str) -> None:
    client = make_app(lambda: ACCESS).test_client()
    assert client.post(path, json={"filter": {}}, headers=bearer("arthur")).status_code == 403
    assert client.get(path, headers=bearer("olga")).status_code == 405
