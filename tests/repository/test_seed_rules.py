"""The table of rules names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from emulator.functions_table import REPOSITORY

TABLE = REPOSITORY / "tests" / "seed_rules.md"
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE.read_text())))


def test_the_table_names_a_test_in_every_row() -> None:
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| rule")]
    assert len(rows) > 20
    assert [row for row in rows if "::test_" not in row] == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_the_table_names_is_there(file: str, name: str) -> None:
    assert f"def {name}(" in (REPOSITORY / Path(file)).read_text()
