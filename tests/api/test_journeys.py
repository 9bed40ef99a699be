"""Journeys over REST: what each route does, and what it answers to what cannot be."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from tests.api.conftest import WELCOME, Api
from tests.builders import BOT

JOURNEYS = "/v1/journeys"
ONE = f"{JOURNEYS}/welcome"
CHANGED = {**WELCOME, "name": "Hello"}


def test_a_created_journey_is_a_draft_at_revision_1_and_is_found_where_it_says(api: Api) -> None:
    answer = api.client.post(JOURNEYS, json=WELCOME)
    assert (answer.status_code, answer.headers["ETag"], answer.headers["Location"]) == (201, '"1"', ONE)
    found = api.client.get(answer.headers["Location"])
    assert found.json == answer.json
    assert (found.json["status"], found.json["draft"], found.json["version"]) == ("DRAFT", True, None)


def test_what_a_node_says_for_short_comes_back_as_paths(api: Api) -> None:
    api.client.post(JOURNEYS, json=WELCOME)
    journey = api.client.get(ONE).json
    assert [node["id"] for node in journey["nodes"]] == ["start", "pause", "hello", "end"]
    assert journey["node_paths"][0] == {"source": "start", "target": "pause", "index": 0}
    assert journey["nodes"][1]["settings"]["duration"] == "1d"


def test_an_id_that_is_taken_is_refused(api: Api) -> None:
    api.client.post(JOURNEYS, json=WELCOME)
    answer = api.client.post(JOURNEYS, json=WELCOME)
    assert answer.status_code == 409
    assert "'welcome' is there already" in answer.json["detail"]


def test_every_fault_of_a_definition_is_named_with_its_field_and_node(api: Api) -> None:
    nodes: list[JsonValue] = [
        {"id": "start", "key": "api", "next": "nowhere"},
        {"id": "pause", "key": "wait", "settings": {"duration": "soon"}, "next": "start"},
    ]
    answer = api.client.post(JOURNEYS, json={**WELCOME, "nodes": nodes, "colour": "red"})
    assert (answer.status_code, answer.json["type"]) == (422, "urn:sojourn:definition_invalid")
    faults = {fault["field"]: fault for fault in answer.json["errors"]}
    assert {"colour", "nodes.0.next", "nodes.1.settings.duration"} <= faults.keys()
    assert faults["nodes.0.next"]["node_id"] == "start"


@pytest.mark.parametrize("identifier", ["count", "a/b", ".."])
def test_an_id_that_no_path_can_name_is_refused(api: Api, identifier: str) -> None:
    answer = api.client.post(JOURNEYS, json={**WELCOME, "id": identifier})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "id"


def test_what_get_gave_can_be_sent_back(api: Api) -> None:
    api.publish()
    api.client.post(f"{ONE}/pause")
    found = api.client.get(ONE)
    answer = api.client.put(ONE, json={**found.json, "name": "Hello"}, headers={"If-Match": found.headers["ETag"]})
    assert (answer.status_code, answer.json["name"], answer.json["draft"]) == (200, "Hello", True)
    assert answer.json["nodes"] == found.json["nodes"]


@pytest.mark.parametrize(("tag", "status"), [('"1"', 200), ("*", 200), ('"2"', 412), ('W/"1"', 412), ("1", 412), ("", 412)])
def test_an_edit_counts_only_for_the_revision_that_was_read(api: Api, tag: str, status: int) -> None:
    api.client.post(JOURNEYS, json=WELCOME)
    answer = api.client.put(ONE, json=CHANGED, headers={"If-Match": tag})
    assert answer.status_code == status
    assert api.client.get(ONE).headers["ETag"] == ('"2"' if status == 200 else '"1"')


@pytest.mark.parametrize("change", ["publish", "pause", "resume", "end"])
def test_no_change_of_status_is_made_on_another_revision(api: Api, change: str) -> None:
    api.client.post(JOURNEYS, json=WELCOME)
    answer = api.client.post(f"{ONE}/{change}", headers={"If-Match": '"7"'})
    assert (answer.status_code, answer.json["type"]) == (412, "urn:sojourn:changed")
    assert "is at revision 1, not 7" in answer.json["detail"]


def test_an_edit_of_another_journey_than_the_path_names_is_refused(api: Api) -> None:
    api.client.post(JOURNEYS, json=WELCOME)
    answer = api.client.put(ONE, json={**WELCOME, "id": "other"})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "id")


def test_a_journey_goes_through_its_life(api: Api) -> None:
    api.publish()
    statuses = [api.client.get(ONE).json["status"]]
    for change in ("pause", "resume", "end"):
        answer = api.client.post(f"{ONE}/{change}")
        assert answer.status_code == 200, answer.json
        statuses.append(answer.json["status"])
    assert statuses == ["ONGOING", "PAUSED", "ONGOING", "ENDED"]


@pytest.mark.parametrize("change", ["pause", "resume", "end"])
def test_a_change_that_a_draft_does_not_allow_says_what_it_allows(api: Api, change: str) -> None:
    api.client.post(JOURNEYS, json=WELCOME)
    answer = api.client.post(f"{ONE}/{change}")
    assert (answer.status_code, answer.json["title"]) == (409, "Conflict")
    assert answer.json["detail"] == (f"journey 'welcome' is DRAFT: {change} is not allowed; allowed: edit, publish, delete")


def test_an_end_says_why(api: Api) -> None:
    api.publish()
    assert api.client.post(f"{ONE}/end", json={"reason": "sold out"}).json["end_reason"] == "sold out"


def test_a_resume_may_make_waits_longer(api: Api) -> None:
    api.publish()
    api.client.post(f"{ONE}/pause")
    assert api.client.post(f"{ONE}/resume", json={"extend_waits": True}).status_code == 200
    assert api.client.post(f"{ONE}/resume", json={"extend_waits": 1}).status_code == 422


def test_a_dry_run_says_what_would_become_of_whom_and_changes_nothing(api: Api) -> None:
    api.publish()
    api.enroll()
    api.client.post(f"{ONE}/pause")
    api.client.put(ONE, json=CHANGED)
    tag = api.client.get(ONE).headers["ETag"]
    body = {"dry_run": True, "migration": {"mode": "migrate", "nodes": {"pause": "hello"}}}
    plan = api.client.post(f"{ONE}/publish", json=body)
    fate = "continue at 'hello' of version 2"
    assert plan.json == {"standing": [{"version": 1, "node_id": "pause", "members": 1, "fate": fate}]}
    assert api.client.get(ONE).headers["ETag"] == tag


def test_versions_stay_as_they_were_published(api: Api) -> None:
    api.publish()
    api.client.post(f"{ONE}/pause")
    api.client.put(ONE, json=CHANGED)
    assert api.client.post(f"{ONE}/publish", json={"migration": {"mode": "cancel"}}).json["version"] == 2
    assert [api.client.get(f"{ONE}/versions/{number}").json["name"] for number in (1, 2)] == ["Welcome", "Hello"]
    assert api.client.get(f"{ONE}/versions/3").status_code == 404


def test_only_a_draft_is_deleted(api: Api) -> None:
    api.client.post(JOURNEYS, json=WELCOME)
    assert api.client.delete(ONE, headers={"If-Match": '"9"'}).status_code == 412
    answer = api.client.delete(ONE, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.data) == (204, b"")
    assert api.client.get(ONE).status_code == 404
    api.publish()
    assert api.client.delete(ONE).status_code == 409


def test_a_list_comes_in_pages_that_miss_nothing(api: Api) -> None:
    names = [f"journey-{number}" for number in range(5)]
    for name in names:
        api.client.post(JOURNEYS, json={**WELCOME, "id": name})
    api.client.post(JOURNEYS, json={**WELCOME, "id": "other", "bot_id": "another"})
    found: list[str] = []
    token: str | None = None
    while token is not None or not found:
        query = {"bot_id": BOT, "page_size": "2", **({"page_token": token} if token else {})}
        page = api.client.get(JOURNEYS, query_string=query).json
        assert len(page["items"]) <= 2
        found += [journey["id"] for journey in page["items"]]
        token = page["next_page_token"]
    assert found == names


def test_journeys_are_listed_and_counted_by_status(api: Api) -> None:
    api.publish()
    api.client.post(JOURNEYS, json={**WELCOME, "id": "later"})
    drafts = api.client.get(f"{JOURNEYS}?bot_id={BOT}&status=DRAFT").json
    assert [journey["id"] for journey in drafts["items"]] == ["later"]
    count = api.client.get(f"{JOURNEYS}/count?bot_id={BOT}").json
    by_status = {"DRAFT": 1, "ONGOING": 1, "PAUSED": 0, "ENDED": 0}
    assert count == {"bot_id": BOT, "total": 2, "by_status": by_status}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "bot_id"),
        ("bot_id=b&status=SLEEPING", "status"),
        ("bot_id=b&page_size=0", "page_size"),
        ("bot_id=b&page_size=many", "page_size"),
        ("bot_id=b&page_token=%F0%9F", "page_token"),
        ("bot_id=b&color=red", "color"),
    ],
)
def test_a_wrong_query_names_its_field(api: Api, query: str, field: str) -> None:
    answer = api.client.get(f"{JOURNEYS}?{query}")
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json["errors"]] == [field]


def test_the_report_counts_who_is_where(api: Api) -> None:
    api.publish()
    api.enroll("ann")
    api.enroll("bob")
    report = api.client.get(f"{ONE}/report").json
    assert (report["trigger"], report["in_progress"], report["exit"]) == (2, 2, 0)
    assert {node["node_id"]: node["standing"] for node in report["nodes"]}["pause"] == 2


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_an_unknown_journey_is_404(api: Api, method: str) -> None:
    body = {"json": {**WELCOME, "id": "nobody"}} if method == "put" else {}
    answer = getattr(api.client, method)(f"{JOURNEYS}/nobody", **body)
    assert (answer.status_code, answer.json["detail"]) == (404, "no journey 'nobody'")
