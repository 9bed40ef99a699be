"""`POST /v1/journeys/{id}/simulate`: which definition and member it plays, what it answers, and that it writes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import JsonValue

from sojourn.application.members import MemberRecord, put_member
from sojourn.runtime.api.access import Access
from sojourn.runtime.api.app import make_app
from sojourn.runtime.application import InMemory
from tests.api.conftest import ACCESS, WELCOME, Api, bearer
from tests.builders import BOT

PATH = "/v1/journeys/welcome/simulate"


@pytest.fixture
def drafted(api: Api) -> Api:
    """The API, and the journey as a draft."""
    assert api.client.post("/v1/journeys", json=WELCOME).status_code == 201
    return api


def simulated(api: Api, body: object = None) -> Any:
    answer = api.client.post(PATH, json=body) if body is not None else api.client.post(PATH)
    assert answer.status_code == 200, answer.json
    return answer.json


def test_a_draft_is_played_for_somebody_unknown_without_a_body(drafted: Api) -> None:
    found = simulated(drafted)
    assert (found["version"], found["member_id"], found["entry"]["outcome"], found["stopped"]) == (
        1,
        "somebody",
        "entered",
        "over",
    )
    assert found["passages"][0]["status"] == "ENDED"
    assert [line["outcome"] for line in found["timeline"]] == ["entered", "waiting", "due", "sent", "exited", "done"]
    assert found["effects"] == [
        {
            "node_id": "hello",
            "kind": "send_message",
            "about": "message over mailbox",
            "payload": {"channel": "mailbox", "message": "Hello"},
            "status": "DONE",
            "reason": None,
            "attempts": 1,
            "asked_at": "2026-03-03T09:00:00Z",
            "delivered_at": "2026-03-03T09:00:00Z",
            "not_before": None,
            "result": None,
        }
    ]


def test_times_are_the_members_local_ones(drafted: Api) -> None:
    found = simulated(drafted, {"member": {"timezone": "Europe/Berlin"}, "at": "2026-03-02T21:30"})
    assert (found["timezone"], found["timeline"][0]["at"]) == ("Europe/Berlin", "2026-03-02T21:30:00+01:00")


def test_nothing_is_written_published_or_audited(drafted: Api) -> None:
    drafted.memory.store.forget_counts()
    published = dict(drafted.memory.publisher.published)
    simulated(drafted)
    assert dict(drafted.memory.store.writes) == {}
    assert dict(drafted.memory.publisher.published) == published


def test_the_real_member_is_read(drafted: Api) -> None:
    put_member(drafted.memory.shop, MemberRecord(bot_id=BOT, member_id="ann", attributes={"name": "Ann"}))
    hello = {"id": "hello", "key": "send_message", "settings": {"message": "Hello {{ member.attributes.name }}"}, "next": "end"}
    nodes = [{"id": "start", "key": "api", "next": "hello"}, hello, {"id": "end", "key": "exit"}]
    found = simulated(drafted, {"member_id": "ann", "definition": {**WELCOME, "nodes": nodes}})
    assert found["effects"][0]["payload"]["message"] == "Hello Ann"


def test_an_unsaved_definition_of_a_journey_that_is_nowhere_can_be_played(api: Api) -> None:
    assert simulated(api, {"definition": dict(WELCOME)})["version"] == 1


def test_a_published_version_is_played_when_it_is_asked_for(drafted: Api) -> None:
    assert drafted.client.post("/v1/journeys/welcome/publish").status_code == 200
    assert simulated(drafted)["version"] == simulated(drafted, {"version": 1})["version"] == 1


def test_what_is_more_than_anybody_reads_is_cut_and_the_answer_says_so(drafted: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sojourn.runtime.api.simulate.MAX_LINES", 2)
    found = simulated(drafted)
    assert (len(found["timeline"]), found["cut"]) == (2, True)


@pytest.mark.parametrize(
    ("body", "status", "field", "detail"),
    [
        ({"events": [{"name": "x"}]}, 422, "events.0", "give exactly one of after, at"),
        ({"events": [{"name": "x", "after": 5}]}, 422, "events.0.after", "5 is no duration"),
        ({"members": True}, 422, "members", "Input should be a valid integer"),
        ({"until": 5}, 422, "until", "a moment is written"),
        ({"trigger": "hello"}, 422, None, "trigger: no trigger 'hello'; there are start (api)"),
        ({"definition": {"nodes": []}}, 422, "definition.nodes", "definition.bot_id: bot_id is missing"),
        ({"definition": dict(WELCOME), "version": 1}, 422, "", "leave one of the two out"),
        ({"version": 7}, 404, None, "no version 7 of journey 'welcome'"),
        ({"member_id": "bob"}, 404, None, "no member 'bob' of bot 'bot-1'"),
        ({"frobnicate": 1}, 422, "frobnicate", "Extra inputs are not permitted"),
    ],
)
def test_wrong_use_is_a_problem_that_names_the_field(
    drafted: Api, body: JsonValue, status: int, field: str | None, detail: str
) -> None:
    answer = drafted.client.post(PATH, json=body)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert detail in answer.json["detail"]
    assert field is None or field in [fault["field"] for fault in answer.json["errors"]]


def test_a_journey_that_is_nowhere_is_not_found(api: Api) -> None:
    assert api.client.post(PATH, json={}).status_code == 404


def test_it_needs_the_role_author(memory: InMemory) -> None:
    client = make_app(lambda: ACCESS).test_client()
    assert make_app(Access).test_client().post("/v1/journeys", json=WELCOME).status_code == 201
    statuses = [client.post(PATH, headers=bearer(name)).status_code for name in ("vera", "arthur")]
    assert statuses == [403, 200]


def test_the_document_names_the_parts_of_a_script() -> None:
    document: Any = make_app(Access).test_client().get("/openapi.json").json
    operation = document["paths"]["/v1/journeys/{journey_id}/simulate"]["post"]
    assert operation["requestBody"]["required"] is False
    script = document["components"]["schemas"]["SimulateBody"]
    assert script["additionalProperties"] is False
    assert {"version", "definition", "member", "event", "events", "results", "at", "until"} <= script["properties"].keys()
