"""Least privilege: `infra/permissions.md` is what the plan grants, and functions publish where they may and nowhere else."""

from __future__ import annotations

import pytest

from infra.permissions import TABLE, table
from tests.infra.conftest import Plan


@pytest.mark.slow
def test_the_table_of_permissions_is_what_the_plan_grants(production: Plan) -> None:
    assert TABLE.read_text() == table(production.raw), "read the new line twice, then .venv/bin/python -m infra.permissions"
