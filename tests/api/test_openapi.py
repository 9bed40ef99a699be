"""The OpenAPI document: it is one, every operation keeps to it, and every route is in it and needs a role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from sojourn.application.ingest import reject
from sojourn.application.lifecycle import create_journey, publish
from sojourn.application.members import MemberRecord, put_member
from sojourn.application.operations import enroll_member
from sojourn.domain.errors import SojournError
from sojourn.domain.loading import parse_definition
from sojourn.runtime.api.access import Role, needed_by
from sojourn.runtime.api.app import make_app
from sojourn.runtime.application import InMemory, in_memory, install
from tests.api.conftest import ACCESS, WELCOME, bearer
from tests.builders import BOT, START

app = make_app(lambda: ACCESS)
schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
NAMES = {"journey_id": "welcome", "member_id": "ann", "bot_id": BOT, "version": 1}
"""What there is, so that half of all requests find something."""
UNCHECKED = [positive_data_acceptance]
"""Whole-graph rules are beyond JSON Schema: a body that keeps to the schema may still be no journey."""


@pytest.fixture
def inhabited(memory: InMemory) -> None:
    """A journey with a member on it, one that is a draft, and an entry that was rejected."""
    shop = memory.shop
    for identifier in ("welcome", "draft"):
        create_journey(shop, parse_definition({**WELCOME, "id": identifier}))
    publish(shop, "welcome")
    put_member(shop, MemberRecord(bot_id=BOT, member_id="ann"))
    enroll_member(shop, "welcome", "ann", data={})
    reject(shop, b"{", "malformed", "no JSON")


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_x(case: schemathesis.Case, inhabited: None) -> None:
    case.call_and_validate(headers=bearer("olga"), excluded_checks=UNCHECKED)
