"""Bodies that are deep, long, wide or odd: every route that takes one says what is wrong, in few words, and none fails."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from sojourn.application.lifecycle import create_journey, publish
from sojourn.domain.loading import parse_definition
from sojourn.runtime.api.access import Access
from sojourn.runtime.api.app import MAX_BODY_BYTES, make_app
from sojourn.runtime.application import in_memory, install
from tests.api.conftest import WELCOME
from tests.builders import BOT, START
from tests.fuzz.edits import edited
from tests.fuzz.test_readers import ODD_JSON

app = make_app(Access)
KNOWN = {"journey_id": "welcome", "bot_id": BOT, "member_id": "ann", "version": "1"}
ROUTES = sorted(
    (method, rule.rule)
    for rule in app.url_map.iter_rules()
    for method in (rule.methods or set()) & {"POST", "PUT"}
    if rule.rule.startswith("/v1/")
)
MAX_ANSWER_BYTES = 600_000
"""Five hundred faults of a definition."""
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "too long": b'{"a": "' + b"x" * MAX_BODY_BYTES + b'"}',
    "brackets": b"[" * 500_000,
    "deep": b'{"data": ' + b"[" * 150 + b"]" * 150 + b"}",
    "deeper than any reader": b'{"data": ' * 5_000 + b"1" + b"}" * 5_000,
    "20,000 fields": json.dumps({f"f{n}": n for n in range(20_000)}).encode(),
    "100,000 values": json.dumps({"data": {"l": [0] * 100_000}, "member_id": "ann", "nodes": [{}] * 5_000}).encode(),
    "a long text everywhere": json.dumps(
        dict.fromkeys(("id", "name", "member_id", "reason", "bot_id"), "x" * 100_000)
    ).encode(),
    "beyond a double": b'{"member_id": "ann", "data": {"n": 1e400}, "attributes": {"n": -1e400}}',
    "NaN": b'{"member_id": "ann", "data": {"n": NaN}}',
    "half a surrogate pair": b'{"member_id": "\\ud800", "data": {"\\udfff": 1}}',
    "NUL": b'{"member_id": "a\\u0000b", "bot_id": "\\u0000"}',
    "no UTF-8": b'{"member_id": "\xff\xfe"}',
    "a number of 5,000 digits": b'{"member_id": ' + b"9" * 5_000 + b"}",
    "a key twice": b'{"member_id": "ann", "member_id": 5}',
    "a list": b"[]",
    "null": b"null",
}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    cloud = in_memory(START)
    install(cloud.shop)
    create_journey(cloud.shop, parse_definition(WELCOME))
    publish(cloud.shop, "welcome")
    yield app.test_client()
    install(None)


def path_of(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: KNOWN.get(found[1], "none"), rule)


def answers(client: Any, method: str, rule: str, body: bytes) -> None:
    answer = client.open(path_of(rule), method=method, data=body, content_type="application/json")
    assert answer.status_code < 500, answer.text[:500]
    assert len(answer.data) < MAX_ANSWER_BYTES
    if answer.status_code >= 400:
        assert (answer.mimetype, answer.json["status"]) == ("application/problem+json", answer.status_code)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_hostile_is_refused_or_taken_by_every_route(body: bytes, client: Any) -> None:
    for method, rule in ROUTES:
        answers(client, method, rule, body)


@given(edited(json.dumps({**WELCOME, "id": "another"}).encode(), ODD_JSON))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_definition_that_somebody_edited_is_a_journey_or_has_its_faults(client: Any, body: bytes) -> None:
    answers(client, "POST", "/v1/journeys", body)
    answers(client, "POST", "/v1/journeys/<journey_id>/enroll", body)


def test_the_routes_are_all_there() -> None:
    assert len(ROUTES) > 10
    assert path_of("/v1/bots/<bot_id>/members/<journey:member_id>") == f"/v1/bots/{BOT}/members/ann"
