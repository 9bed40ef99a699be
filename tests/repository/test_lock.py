"""`infra/lock.py`: what it wrote is still what pyproject.toml asks for, and what it writes is names and versions only.

That the files agree with each other is in test_repository.py; that they can be resolved needs an index, so nothing tests it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from emulator.functions_table import REPOSITORY
from infra import lock

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
RUNTIME = PROJECT["dependencies"]
ALL = [*RUNTIME, *(item for group in PROJECT["optional-dependencies"].values() for item in group), *lock.BUILD_REQUIREMENTS]
FUNCTION = sorted((REPOSITORY / "functions").glob("*/requirements.txt"))[0]


def pins(path: Path) -> dict[str, str]:
    lines = path.read_text().removeprefix(lock.HEADER).splitlines()
    return {name: version for name, _, version in (line.partition("==") for line in lines)}


@pytest.mark.parametrize(("path", "asked"), [(FUNCTION, RUNTIME), (lock.DEV, ALL)], ids=["functions", "dev"])
def test_the_pins_are_what_pyproject_asks_for(path: Path, asked: list[str]) -> None:
    pinned = pins(path)
    requirements = [Requirement(item) for item in asked]
    unmet = [str(one) for one in requirements if not one.specifier.contains(pinned.get(lock.normalized(one.name), "0"))]
    assert unmet == []
    assert {lock.normalized(one.name) for one in requirements} <= pinned.keys()


def test_a_file_is_written_sorted_under_a_line_that_says_by_whom(tmp_path: Path) -> None:
    lock.write(tmp_path / "requirements.txt", {"pyyaml": "6.0.3", "httpx": "0.28.1"})
    assert (tmp_path / "requirements.txt").read_text() == lock.HEADER + "httpx==0.28.1\npyyaml==6.0.3\n"


@pytest.mark.parametrize("name", ["Grpc.Google_Iam--v1", "grpc-google-iam-v1"])
def test_a_name_is_compared_as_indexes_compare_it(name: str) -> None:
    assert lock.normalized(name) == "grpc-google-iam-v1"
