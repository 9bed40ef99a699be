"""The repository itself: every function is whole, pins agree, sizes hold, and the README names the doors."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from emulator.functions_table import REPOSITORY, load_functions_table

MAX_FUNCTION_LINES, MAX_ENTRY_POINT_LINES = 50, 15
MAX_FILE_LINES, MAX_TEST_FILE_LINES = 300, 400
EXCEPTIONS: dict[str, str] = {}
"""Files that may be longer, by path, and why."""

NAMES = sorted(load_functions_table().everything)
SOURCES = ("shared", "emulator", "functions", "infra", "bench", "tests")
PYTHON_FILES = sorted(path for folder in SOURCES for path in (REPOSITORY / folder).rglob("*.py"))
REQUIREMENTS = [REPOSITORY / "functions" / name / "requirements.txt" for name in NAMES]
PIN = re.compile(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def called(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def functions_of(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    """Lines of the body; the docstring does not count."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def pins(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def in_tests(path: Path) -> bool:
    return called(path).startswith("tests/")


def test_every_function_of_the_table_has_a_folder_and_no_folder_is_beside_it() -> None:
    assert [path.parent.name for path in sorted((REPOSITORY / "functions").glob("*/main.py"))] == NAMES
    assert all(path.is_file() for path in REQUIREMENTS)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_point_is_one_short_function_of_the_tables_name(name: str) -> None:
    path = REPOSITORY / "functions" / name / "main.py"
    (function,) = functions_of(path)
    assert function.name == load_functions_table().everything[name].entry_point
    assert body_lines(function) <= MAX_ENTRY_POINT_LINES


def test_all_functions_have_the_same_pins() -> None:
    assert len({path.read_text() for path in REQUIREMENTS}) == 1
    assert len(pins(REQUIREMENTS[0])) > 20


@pytest.mark.parametrize("path", [*REQUIREMENTS, REPOSITORY / "requirements-dev.txt"], ids=called)
def test_requirements_are_exact_versions_and_nothing_else(path: Path) -> None:
    assert [line for line in pins(path) if not PIN.fullmatch(line)] == []
    names = [pin.partition("==")[0] for pin in pins(path)]
    assert names == sorted(set(names))


def test_what_runs_in_the_cloud_is_what_is_tested() -> None:
    assert set(pins(REQUIREMENTS[0])) <= set(pins(REPOSITORY / "requirements-dev.txt"))


def test_the_functions_table_and_the_indexes_are_json() -> None:
    for name in ("functions.json", "firestore_indexes.json"):
        assert json.loads((REPOSITORY / "infra" / name).read_text())


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_shows_the_doors_and_the_makefile_has_them(command: str) -> None:
    assert command in (REPOSITORY / "README.md").read_text()
    assert re.search(rf"^{command.removeprefix('make ')}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", PYTHON_FILES, ids=called)
def test_a_file_has_a_docstring_and_is_no_longer_than_one_can_read(path: Path) -> None:
    tree = ast.parse(path.read_bytes())
    assert not tree.body or ast.get_docstring(tree), "a module docstring says what the file is for"
    lines = len(path.read_text().splitlines())
    if called(path) not in EXCEPTIONS:
        assert lines <= (MAX_TEST_FILE_LINES if in_tests(path) else MAX_FILE_LINES)


@pytest.mark.parametrize("path", [path for path in PYTHON_FILES if not in_tests(path)], ids=called)
def test_a_function_is_no_longer_than_one_can_hold_in_mind(path: Path) -> None:
    assert [function.name for function in functions_of(path) if body_lines(function) > MAX_FUNCTION_LINES] == []


def test_every_exception_is_needed() -> None:
    assert [name for name in EXCEPTIONS if len((REPOSITORY / name).read_text().splitlines()) <= MAX_FILE_LINES] == []
