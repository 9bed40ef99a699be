"""Wrong use of the API: problem details that a person understands, under the functions framework as in the cloud."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import functions_framework
import pytest
from pytest_mock import MockerFixture

from emulator.functions_table import REPOSITORY
from sojourn.domain.errors import Unavailable
from sojourn.domain.ids import derived_id
from sojourn.runtime.api.app import MAX_BODY_BYTES, api_app
from sojourn.runtime.application import InMemory
from tests.api.conftest import WELCOME, Api

JOURNEYS = "/v1/journeys"
JSON = {"content_type": "application/json"}


@pytest.fixture
def cloud_client(memory: InMemory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The function `api` under the functions framework, as the local cloud starts it."""
    monkeypatch.setenv("SOJOURN_API_ACCESS", "open")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setattr(sys, "path", [*sys.path])  # the framework adds the function's folder
    monkeypatch.setitem(sys.modules, "main", sys)  # and its module, by the name of its file
    api_app.cache_clear()
    source = str(REPOSITORY / "functions" / "api" / "main.py")
    yield functions_framework.create_app("api", source, "http").test_client()  # type: ignore[no-untyped-call]
    api_app.cache_clear()


def is_problem(answer: Any, status: int) -> bool:
    """Whether it is a whole problem document of that status."""
    document = answer.json
    return (
        answer.status_code == document["status"] == status
        and answer.mimetype == "application/problem+json"
        and document["type"].startswith("urn:sojourn:")
        and bool(document["title"] and document["detail"])
    )


NO_JSON = {
    "text": b"hello",
    "cut off": b'{"id": ',
    "bytes": b"\x00\xff\xfe",
    "not a number": b'{"x": NaN}',
    "a number beyond all": b'{"x": 1e400}',
    "half a surrogate pair": b'{"x": "\\ud800"}',
    "100,000 brackets": b"[" * 100_000,
    "two": b"{} {}",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
def test_what_is_no_json_is_400(cloud_client: Any, body: bytes) -> None:
    answer = cloud_client.post(JOURNEYS, data=body, **JSON)
    assert is_problem(answer, 400)
    assert answer.json["detail"].startswith("the body is not JSON: ")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"{}"', b"5", b"true"])
def test_json_that_is_no_object_is_422(cloud_client: Any, body: bytes) -> None:
    answer = cloud_client.post(JOURNEYS, data=body, **JSON)
    assert is_problem(answer, 422)
    assert answer.json["detail"] == "the body must be an object"


@pytest.mark.parametrize("path", [JOURNEYS, f"{JOURNEYS}/welcome/enroll"])
def test_no_body_where_one_must_be_is_422(cloud_client: Any, path: str) -> None:
    assert is_problem(cloud_client.post(path), 422)


def test_a_body_of_another_media_type_is_415(cloud_client: Any) -> None:
    answer = cloud_client.post(JOURNEYS, data=b"id: welcome", content_type="application/yaml")
    assert is_problem(answer, 415)
    assert "application/json" in answer.json["detail"]


def test_a_body_beyond_the_limit_is_413(cloud_client: Any) -> None:
    body = json.dumps({**WELCOME, "name": "x" * MAX_BODY_BYTES}).encode()
    assert is_problem(cloud_client.post(JOURNEYS, data=body, **JSON), 413)


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/journeys", f"{JOURNEYS}/", f"{JOURNEYS}//publish", "/%00", "/openapi"])
def test_an_unknown_route_is_404_and_says_where_to_look(cloud_client: Any, path: str) -> None:
    answer = cloud_client.get(path)
    assert is_problem(answer, 404)
    assert "/openapi.json" in answer.json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", f"{JOURNEYS}/welcome", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("GET", f"{JOURNEYS}/welcome/pause", "OPTIONS, POST"),
        ("PUT", f"{JOURNEYS}/count", "GET, HEAD, OPTIONS"),
    ],
)
def test_an_unknown_method_is_405_and_says_which_there_are(cloud_client: Any, method: str, path: str, allowed: str) -> None:
    answer = cloud_client.open(path, method=method)
    assert is_problem(answer, 405)
    assert answer.headers["Allow"] == allowed
    assert answer.json["detail"].endswith(f"there is {allowed}")


def test_a_service_that_does_not_answer_is_503(api: Api, mocker: MockerFixture) -> None:
    mocker.patch.object(api.memory.store, "get_many", side_effect=Unavailable("Firestore: deadline exceeded"))
    answer = api.client.get(f"{JOURNEYS}/welcome")
    assert is_problem(answer, 503)
    assert (answer.json["detail"], answer.headers["Retry-After"]) == ("Firestore: deadline exceeded", "5")


def test_a_bug_is_500_with_the_stack_in_the_log_and_not_in_the_answer(
    api: Api, mocker: MockerFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    mocker.patch.object(api.memory.store, "get_many", side_effect=ZeroDivisionError("a secret of the house"))
    answer = api.client.get(f"{JOURNEYS}/welcome")
    assert is_problem(answer, 500)
    assert "secret" not in answer.text
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["severity"], line["function"], line["status"]) == ("ERROR", "api", 500)
    assert line["error"] == "ZeroDivisionError" and "in get_journey" in line["stack_trace"]


def test_a_request_leaves_one_line_that_says_which_route_a_name_for_who_and_what_was_published(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.publish()
    capsys.readouterr()
    api.client.post(f"{JOURNEYS}/welcome/enroll", json={"member_id": "ann"})
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["message"] == f"api: POST {JOURNEYS}/{{journey_id}}/enroll 200 entered 1"
    assert (line["request"], line["outcomes"]) == (f"POST {JOURNEYS}/{{journey_id}}/enroll", {"entered": 1})
    assert (line["principal"], line["published"]) == (derived_id("principal", "local")[:8], {"journey-runs": 1})


def test_a_request_within_a_trace_leaves_its_line_there(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for header in ({"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}, {"traceparent": "00-ann-00f067aa0ba902b7-01"}):
        api.client.get(JOURNEYS, headers=header)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["logging.googleapis.com/trace"] == f"projects/sojourn-local/traces/{trace}"
    assert "logging.googleapis.com/trace" not in second


def test_a_health_check_leaves_no_line(cloud_client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud_client.get("/healthz").json == {"status": "ok"}
    assert capsys.readouterr().out == ""


def test_under_the_functions_framework_a_journey_is_made_and_read(cloud_client: Any) -> None:
    made = cloud_client.post(JOURNEYS, json=WELCOME)
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    assert cloud_client.get(f"{JOURNEYS}/welcome").json == made.json
    assert cloud_client.delete(f"{JOURNEYS}/welcome").status_code == 204
    assert is_problem(cloud_client.get(f"{JOURNEYS}/welcome"), 404)
