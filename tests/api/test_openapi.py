"""The OpenAPI document: it is one, every operation keeps to it, and every route is in it and needs a role."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from sojourn.application.lifecycle import create_journey, publish
from sojourn.application.members import MemberRecord, put_member
from sojourn.application.operations import enroll_member
from sojourn.domain.effect import EffectStatus
from sojourn.domain.loading import parse_definition
from sojourn.domain.progress import Status
from sojourn.runtime.api.access import Role, needed_by
from sojourn.runtime.api.app import make_app
from sojourn.runtime.application import InMemory
from tests.api.conftest import ACCESS, WELCOME, bearer
from tests.builders import BOT
from tests.contract.records import a_progress, a_rejected, an_effect, put

app = make_app(lambda: ACCESS)
schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
schema.config.generation.update(with_security_parameters=False)  # who asks is not to be guessed
DEAD = replace(an_effect(), status=EffectStatus.DEAD)
STUCK = replace(a_progress("stuck"), status=Status.ERROR, end_reason="too large")
REJECTED = a_rejected("r1")
KNOWN = {
    "journey_id": "welcome",
    "member_id": "ann",
    "bot_id": BOT,
    "version": 1,
    "effect_id": DEAD.id,
    "progress_id": STUCK.id,
    "rejected_id": REJECTED.id,
}
"""What there is, so that right requests find something."""
UNCHECKED = [positive_data_acceptance]
"""Whole-graph rules are beyond JSON Schema: a body that keeps to the schema may still be no journey."""


@pytest.fixture
def inhabited(memory: InMemory) -> None:
    """A journey with a member on it, one that is a draft, and something of everything that went wrong."""
    shop = memory.shop
    for identifier in ("welcome", "draft"):
        create_journey(shop, parse_definition({**WELCOME, "id": identifier}))
    publish(shop, "welcome")
    put_member(shop, MemberRecord(bot_id=BOT, member_id="ann"))
    enroll_member(shop, "welcome", "ann", data={})
    put(shop.store, DEAD, STUCK, REJECTED)


@pytest.mark.slow
@pytest.mark.parametrize("who", ["olga", "vera"])  # who may do everything, who may only look
@schema.parametrize()
@settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_keeps_to_the_document(case: Any, who: str, inhabited: None) -> None:
    """No 500, no status, media type, header or body that the document has not, no wrong request that is taken."""
    if case.meta is not None and case.meta.generation.mode.is_positive:
        case.path_parameters = {name: KNOWN.get(name, value) for name, value in case.path_parameters.items()}
    case.call_and_validate(headers=bearer(who), excluded_checks=UNCHECKED)


def test_the_document_is_openapi_3_1_and_names_every_route_once() -> None:
    document: Any = app.test_client().get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    operations = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith(("/v1", "/healthz"))]
    assert sorted(operations) == sorted(rule.endpoint.rpartition(".")[2] for rule in rules)


def test_every_schema_in_the_document_is_one_and_every_reference_leads_somewhere() -> None:
    text = app.test_client().get("/openapi.json").text
    schemas = json.loads(text)["components"]["schemas"]
    assert [name for name, one in schemas.items() if not jsonschema_rs.meta.is_valid(one)] == []
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= schemas.keys()


def test_every_route_but_health_and_the_document_needs_a_role() -> None:
    needed = {rule.rule: needed_by(app.view_functions[rule.endpoint]) for rule in app.url_map.iter_rules()}
    free = {rule for rule, role in needed.items() if role is Role.NOBODY}
    assert free == {"/healthz", "/openapi.json"}
