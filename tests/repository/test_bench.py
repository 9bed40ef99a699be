"""The benchmarks run, and say honestly what they measured."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.figure import figure, markdown
from bench.kinds import SETTINGS
from bench.readme import README, between, tables
from emulator.functions_table import REPOSITORY
from sojourn.domain.outline import KINDS, TRIGGERS


def test_a_figure_is_the_median_with_its_range_and_whether_the_target_is_met() -> None:
    one = figure("limit", "hops", [3.0, 1.0, 2.0], "/s", least=2.5)
    assert (one.value, one.low, one.high, one.met) == (2.0, 1.0, 3.0, False)
    assert figure("cold start", "import", [0.5], "s", most=0.8).met is True
    assert markdown([one]).splitlines()[-1] == "| limit | hops | 2 /s | 1–3 | at least 2.5: **missed** |"


@pytest.mark.slow
def test_the_items_that_need_no_emulators_run() -> None:
    command = [sys.executable, "-m", "bench", "--quick", "--json", "--only", "engine,operations,irrelevant,sweep"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY).stdout)
    items = {one["item"] for one in found["figures"]}
    kinds = {f"operations, {kind}" for kind in SETTINGS}
    assert items == {"engine", "machine", "operations", "irrelevant events", "sweep, memory"} | kinds
    counted = {one["name"]: one["value"] for one in found["figures"] if one["item"] == "operations"}
    assert counted["documents written a member, 32 nodes a hop"] == 3


def test_every_kind_of_node_is_measured() -> None:
    assert SETTINGS.keys() == KINDS.keys() - TRIGGERS - {"exit"}


def test_an_item_that_is_not_there_is_refused_with_those_that_are() -> None:
    command = [sys.executable, "-m", "bench", "--only", "weather"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, cwd=REPOSITORY)
    assert answer.returncode == 2
    assert "no item 'weather'; there are engine, in-process" in answer.stderr


def test_the_readme_says_what_was_measured() -> None:
    assert between(README.read_text()) == tables()
