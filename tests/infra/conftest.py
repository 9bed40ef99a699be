"""The plans of all environments, made once for a run, and skipped with the reason where this machine cannot plan."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from emulator.functions_table import REPOSITORY
from infra.terraform import ENVIRONMENTS, Missing, plan


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan from nothing: everything is created."""

    raw: dict[str, Any]

    def all(self, kind: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(name, key, attributes) of each resource of a kind."""
        for change in self.raw["resource_changes"]:
            if change["type"] == kind and change["mode"] == "managed":
                yield change["name"], str(change.get("index", "")), change["change"]["after"]

    def keyed(self, kind: str, name: str) -> dict[str, dict[str, Any]]:
        """The attributes of a resource with for_each, by its keys."""
        return {key: after for found, key, after in self.all(kind) if found == name}


@pytest.fixture(scope="session", params=sorted(ENVIRONMENTS))
def planned(request: pytest.FixtureRequest) -> Plan:
    """The plan of each environment in `infra/environments`."""
    return _plan(request.param)


@pytest.fixture(scope="session")
def production() -> Plan:
    """The plan of the environment that uses everything but workers."""
    return _plan("production")


@pytest.fixture(scope="session")
def busy() -> Plan:
    """The plan of the environment that has workers."""
    return _plan("busy")


_plans: dict[str, Plan] = {}


def _plan(environment: str) -> Plan:
    if environment not in _plans:
        subprocess.run([sys.executable, "infra/package.py"], cwd=REPOSITORY, check=True, capture_output=True)
        try:
            _plans[environment] = Plan(plan(environment))
        except Missing as missing:
            pytest.skip(str(missing))
    return _plans[environment]
