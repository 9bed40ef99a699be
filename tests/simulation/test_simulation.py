"""The simulation in CI: a number of seeds hold, a seed runs again as it ran, faults do strike, and a failure is shrunk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from emulator.functions_table import REPOSITORY
from tests.simulation.faults import FAULTS
from tests.simulation.mutations import MUTATIONS, Mutation, find
from tests.simulation.plan import draw_plan
from tests.simulation.run import run_seed
from tests.simulation.shrink import rule_of, shrink

SEEDS, BLOCK = 400, 40
"""What CI runs; `make simulate` runs as many as one likes."""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_every_rule_holds_in_every_seed(first: int) -> None:
    failed = {seed: violation for seed in range(first, first + BLOCK) if (violation := run_seed(seed).violation)}
    assert not failed, f"SEED={min(failed)} make simulate    shows how: {failed}"


@pytest.mark.parametrize("hash_seed", ["0", "1234"])
def test_a_seed_runs_again_as_it_ran_in_any_process(hash_seed: str) -> None:
    seeds = (3, 11, 19)
    script = "import sys; from tests.simulation.run import run_seed; print(*(run_seed(int(s)).digest for s in sys.argv[1:]))"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", script, *map(str, seeds)]
    printed = subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True).stdout
    assert printed.split() == [run_seed(seed).digest for seed in seeds]


def test_different_seeds_are_different_days() -> None:
    assert len({run_seed(seed).digest for seed in range(8)}) == 8


@pytest.mark.slow
def test_every_fault_strikes_and_every_kind_of_node_is_visited() -> None:
    struck: Counter[str] = Counter()
    visited: Counter[str] = Counter()
    for seed in range(60):
        run = run_seed(seed)
        struck.update(run.world.fired)
        nodes = {node.id: node.key for definition in run.plan.journeys for node in definition.nodes}
        visited.update(
            nodes[node_id] for log in run.world.witness.passages.values() for node_id in log[-1][1].visits if node_id in nodes
        )
    drawn = {"skew", "event_late", "pause", "republish", "end", "operator"}
    assert struck.keys() | drawn == FAULTS.keys()
    assert drawn <= {name for seed in range(60) for name in draw_plan(seed).swarm.rates}
    assert visited.keys() >= {"event", "wait", "wait_for_event", "branch", "split", "send_message", "webhook", "exit"}


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=lambda mutation: mutation.name.replace(" ", "_"))
def test_a_safeguard_that_is_taken_away_is_missed_within_its_number_of_seeds(mutation: Mutation) -> None:
    assert find(mutation).violation is not None


def test_a_failing_seed_is_shrunk_to_fewer_causes_of_the_same_violation() -> None:
    mutation = MUTATIONS["waits end two minutes early"]
    found = find(mutation)
    assert found.seed is not None
    with mutation.applied():
        failed = run_seed(found.seed)
        smallest, reruns = shrink(failed)
    assert rule_of(smallest) == rule_of(failed)
    assert reruns > 0
    assert len(smallest.plan.facts) + len(smallest.plan.swarm.rates) < len(failed.plan.facts) + len(failed.plan.swarm.rates)


def test_a_mutation_is_over_when_its_test_is() -> None:
    with MUTATIONS["no sweep"].applied():
        pass
    assert run_seed(0).violation is None
