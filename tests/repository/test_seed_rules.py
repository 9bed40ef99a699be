"""The table of rules names tests that are there; those of the use cases run on memory and on the emulators."""

from __future__ import annotations

import ast
import re

import pytest

from emulator.functions_table import REPOSITORY

TABLE = REPOSITORY / "tests" / "seed_rules.md"
USE_CASES = "tests/application"
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE.read_text())))


def function(file: str, name: str) -> ast.FunctionDef | None:
    """The function at the top level of a file; None: there is none."""
    tree = ast.parse((REPOSITORY / file).read_text())
    return next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name), None)


def test_the_table_names_a_test_in_every_row() -> None:
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| rule")]
    assert len(rows) > 50
    assert [row for row in rows if "::test_" not in row] == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_the_table_names_is_there(file: str, name: str) -> None:
    assert function(file, name)


@pytest.mark.parametrize(("file", "name"), [each for each in NAMED if each[0].startswith(USE_CASES)])
def test_every_rule_of_the_use_cases_runs_on_both_clouds(file: str, name: str) -> None:
    found = function(file, name)
    assert found and "cloud" in [argument.arg for argument in found.args.args]


def test_a_cloud_is_memory_and_the_emulators() -> None:
    found = function(f"{USE_CASES}/conftest.py", "cloud")
    assert found
    assert [ast.unparse(decorator) for decorator in found.decorator_list] == [
        "pytest.fixture(params=['memory', pytest.param('emulators', marks=pytest.mark.emulators)])"
    ]
