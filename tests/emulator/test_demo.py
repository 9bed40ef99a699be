"""The demo's figures do not depend on the cloud, on how often messages come, or on how far a member goes per message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.demo import DemoCloud, EmulatorDemo, InProcessDemo, play, snapshot
from emulator.scenarios.oracle import Verdict, demands, judge
from emulator.scenarios.shop import Scenario, shop
from sojourn.application.checkup import daily_checkup
from sojourn.application.doctor import examine
from sojourn.application.workshop import Limits

MEMBERS_PER_BOT = 6
ROUTES = [(1, 32), (2, 32), (1, 1), (2, 1)]
"""Copies of each message, and nodes that a member goes per message."""


def verdict(cloud: DemoCloud, scenario: Scenario) -> Verdict:
    """Play it all and judge."""
    for _ in play(cloud, scenario):
        pass
    return judge(demands(scenario), snapshot(cloud, scenario))


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """A small shop."""
    return shop(7, members_per_bot=MEMBERS_PER_BOT)


@pytest.fixture(scope="module")
def expected(scenario: Scenario) -> Verdict:
    """What the plainest of all runs comes to: in-process, in order, each message once."""
    with InProcessDemo(scenario.start) as cloud:
        return verdict(cloud, scenario)


def test_the_scenario_brings_members_in_out_and_on_without_a_fault(expected: Verdict) -> None:
    assert min(expected.entered, expected.ended, expected.canceled, expected.waiting, expected.effects) > 0
    assert (expected.duplicates, expected.lost, expected.faults) == (0, 0, ())


@pytest.mark.parametrize(("copies", "max_nodes"), ROUTES)
def test_repeated_and_shuffled_messages_give_the_same_figures(
    scenario: Scenario, expected: Verdict, copies: int, max_nodes: int
) -> None:
    limits = Limits(max_nodes_per_hop=max_nodes)
    with InProcessDemo(scenario.start, limits=limits, copies=copies, seed=copies + max_nodes) as cloud:
        assert verdict(cloud, scenario) == expected


@pytest.fixture(scope="module", params=[ROUTES[0], ROUTES[-1]])
def played(request: pytest.FixtureRequest, scenario: Scenario) -> Iterator[tuple[EmulatorDemo, Verdict]]:
    """The cloud on the emulators after its last minute, and its figures. It takes most of a minute: two tests look."""
    copies, max_nodes = request.param
    with EmulatorDemo(scenario.start, limits=Limits(max_nodes, shards=2), copies=copies) as cloud:
        yield cloud, verdict(cloud, scenario)


@pytest.mark.emulators
@pytest.mark.slow
def test_the_emulators_give_the_same_figures(played: tuple[EmulatorDemo, Verdict], expected: Verdict) -> None:
    assert played[1] == expected


@pytest.mark.emulators
@pytest.mark.slow
def test_the_doctor_finds_nothing_after_it(played: tuple[EmulatorDemo, Verdict]) -> None:
    workshop = played[0].shop
    assert [finding for report in examine(workshop, repair=True) for finding in report.findings] == []
    assert daily_checkup(workshop) is None  # the demo's steps of four hours pass its hour by
