"""Members over REST: what is known of them, how they enter a journey, leave it, and are let go on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sojourn.application.ingest import reject
from sojourn.application.lifecycle import publish_journey
from sojourn.domain.effect import EffectStatus
from tests.api.conftest import WELCOME, Api
from tests.builders import BOT, after, definition, log
from tests.contract.records import an_effect, put

ANN = f"/v1/bots/{BOT}/members/ann"
ENROLL = "/v1/journeys/welcome/enroll"
PASSAGE = "/v1/journeys/welcome/members/ann"


def test_a_member_is_created_then_replaced(api: Api) -> None:
    first = api.client.put(ANN, json={"attributes": {"plan": "pro"}, "timezone": "Asia/Taipei", "addresses": {"line": "U1"}})
    assert (first.status_code, first.headers["ETag"]) == (200, '"1"')
    assert api.client.get(ANN).json == first.json
    second = api.client.put(ANN, json={"attributes": {}}, headers={"If-Match": '"1"'})
    assert (second.json["attributes"], second.json["timezone"], second.json["rev"]) == ({}, None, 2)


def test_a_member_is_replaced_only_at_the_revision_that_was_read(api: Api) -> None:
    api.client.put(ANN, json={})
    assert api.client.put(ANN, json={}, headers={"If-Match": '"5"'}).status_code == 412


def test_wrong_fields_of_a_member_are_all_named(api: Api) -> None:
    answer = api.client.put(ANN, json={"timezone": "Mars/Base", "locale": "?", "shoes": 44})
    assert answer.status_code == 422
    assert {fault["field"] for fault in answer.json["errors"]} == {"timezone", "locale", "shoes"}


def test_an_unknown_member_is_404(api: Api) -> None:
    assert api.client.get(ANN).json["detail"] == f"no member 'ann' of bot '{BOT}'"


def test_an_enrolled_member_is_on_the_journey_with_a_trail(api: Api) -> None:
    api.publish()
    api.enroll()
    (passage,) = api.client.get(PASSAGE).json["passages"]
    assert (passage["status"], passage["node_id"]) == ("WAITING", "pause")
    assert passage["schedule_at"].startswith("2026-03-03T09:00")
    assert {step["node_id"] for step in passage["trail"]} == {"start", "pause"}


def test_the_same_event_enrolls_once_and_another_is_told_why_not(api: Api) -> None:
    api.publish()
    asked = [
        api.client.post(ENROLL, json={"member_id": "ann", "event_id": event_id, "data": {"sku": 7}}).json["outcome"]
        for event_id in ("e1", "e1", "e2")
    ]
    assert asked == ["entered", "duplicate", "repeat_limit"]


def test_a_paused_journey_lets_nobody_in(api: Api) -> None:
    api.publish()
    api.client.post("/v1/journeys/welcome/pause")
    assert api.client.post(ENROLL, json={"member_id": "ann"}).json == {"outcome": "paused"}


def test_nobody_is_enrolled_on_a_draft_or_without_a_trigger_for_it(api: Api) -> None:
    api.client.post("/v1/journeys", json=WELCOME)
    answer = api.client.post(ENROLL, json={"member_id": "ann"})
    assert (answer.status_code, answer.json["detail"]) == (409, "journey 'welcome' is DRAFT: publish it first")
    publish_journey(api.memory.shop, definition([]))
    answer = api.client.post("/v1/journeys/journey-1/enroll", json={"member_id": "ann"})
    assert (answer.status_code, "has no trigger of key 'api'" in answer.json["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "member_id"), ({"member_id": ""}, "member_id"), ({"member_id": "a", "data": []}, "data"), (None, "")],
)
def test_a_wrong_enrollment_names_its_field(api: Api, body: object, field: str) -> None:
    api.publish()
    answer = api.client.post(ENROLL, json=body) if body is not None else api.client.post(ENROLL)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)


def test_data_that_is_too_deep_is_refused(api: Api) -> None:
    deep: object = 1
    for _ in range(20):
        deep = [deep]
    answer = api.client.post(ENROLL, json={"member_id": "ann", "data": {"x": deep}})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "data")


def test_a_canceled_member_has_left_and_cannot_leave_again(api: Api) -> None:
    api.publish()
    api.enroll()
    answer = api.client.delete(PASSAGE)
    assert (answer.status_code, answer.json["passages"][0]["status"]) == (200, "CANCELED")
    assert answer.json["passages"][0]["end_reason"] == "canceled by an operator"
    assert api.client.delete(PASSAGE).status_code == 409


def test_an_advanced_member_goes_on_before_the_wait_is_over(api: Api) -> None:
    api.publish()
    api.enroll()
    answer = api.client.post(f"{PASSAGE}/advance")
    assert (answer.status_code, answer.json["passages"][0]["trail"][-1]["outcome"]) == (202, "advanced")
    api.hop()
    (passage,) = api.client.get(PASSAGE).json["passages"]
    assert (passage["status"], passage["node_id"]) == ("ENDED", None)
    assert api.client.post(f"{PASSAGE}/advance").status_code == 409


def test_nobody_is_advanced_on_a_paused_journey(api: Api) -> None:
    api.publish()
    api.enroll()
    api.client.post("/v1/journeys/welcome/pause")
    answer = api.client.post(f"{PASSAGE}/advance")
    assert (answer.status_code, answer.json["detail"]) == (409, "journey 'welcome' is PAUSED: nobody moves")


@pytest.mark.parametrize(("method", "path"), [("get", PASSAGE), ("delete", PASSAGE), ("post", f"{PASSAGE}/advance")])
def test_who_never_entered_is_404(api: Api, method: str, path: str) -> None:
    api.publish()
    answer = getattr(api.client, method)(path)
    assert (answer.status_code, answer.json["detail"]) == (404, "member 'ann' never entered journey 'welcome'")


def test_dead_effects_are_listed_retried_and_abandoned(api: Api) -> None:
    dead = [replace(an_effect(name), status=EffectStatus.DEAD, reason="no answer") for name in ("x", "y")]
    put(api.memory.store, *dead)
    page = api.client.get("/v1/effects?status=DEAD&page_size=1").json
    assert (page["items"][0]["about"], page["items"][0]["reason"]) == ("message over mailbox", "no answer")
    assert page["next_page_token"] is not None
    assert api.client.post(f"/v1/effects/{dead[0].id}/retry").json["status"] == "PENDING"
    answer = api.client.post(f"/v1/effects/{dead[1].id}/abandon", json={"reason": "too late"})
    assert (answer.json["status"], answer.json["reason"]) == ("SKIPPED", "abandoned by an operator: too late")
    assert api.client.get("/v1/effects?status=DEAD").json == {"items": [], "next_page_token": None}


def test_an_effect_that_is_not_dead_is_not_abandoned_and_an_unknown_one_is_404(api: Api) -> None:
    put(api.memory.store, an_effect())
    assert api.client.post(f"/v1/effects/{an_effect().id}/abandon").status_code == 409
    assert api.client.post("/v1/effects/nothing/retry").status_code == 404


def test_rejected_events_are_listed_and_taken_in_again(api: Api) -> None:
    api.memory.clock.set(after(minutes=1))
    reject(api.memory.shop, b"{", "malformed", "not JSON")
    reject(api.memory.shop, log(), "malformed", "a bug that is mended by now")
    found = {item["detail"]: item for item in api.client.get("/v1/rejected-events").json["items"]}
    assert found["not JSON"]["data"] == "{"
    outcomes = [
        api.client.post(f"/v1/rejected-events/{found[detail]['id']}/replay").json["outcome"]
        for detail in ("not JSON", "a bug that is mended by now")
    ]
    assert outcomes[0] == "rejected"
    assert outcomes[1] != "rejected"
    assert api.client.post("/v1/rejected-events/nothing/replay").status_code == 404
