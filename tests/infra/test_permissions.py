"""Least privilege: `infra/permissions.md` is what the plan grants, and functions publish where they may and nowhere else."""

from __future__ import annotations

import pytest

from infra.permissions import TABLE, grants, tables
from tests.infra.conftest import Plan


@pytest.mark.slow
def test_the_tables_of_permissions_are_what_the_plans_grant(production: Plan, busy: Plan) -> None:
    assert TABLE.read_text() == tables(production.raw, busy.raw), (
        "read the new line twice, then .venv/bin/python -m infra.permissions"
    )


@pytest.mark.slow
def test_a_worker_may_pull_from_its_own_subscription_and_nobody_may_invoke_its_function(busy: Plan) -> None:
    granted = set(grants(busy.raw))
    assert ("run_journey", "roles/pubsub.subscriber", "subscription run_journey") in granted
    assert not {grant for grant in granted if grant[1:] == ("roles/run.invoker", "function run_journey")}
    assert {who for who, role, on in granted if role == "roles/pubsub.subscriber" and on == "subscription run_journey"} == {
        "run_journey",
        "Pub/Sub's agent",
    }
