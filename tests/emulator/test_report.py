"""The report: it says what a person wants to know, in eighty columns, and ends with the line that a program reads."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from emulator.demo import InProcessDemo, play, snapshot
from emulator.journey_tree import count_nodes
from emulator.report import print_report
from emulator.scenarios.oracle import Verdict, demands, judge
from emulator.scenarios.shop import Scenario, shop
from emulator.snapshot import Snapshot

Played = tuple[Scenario, Snapshot, Verdict]


@pytest.fixture(scope="module")
def a_fortnight() -> Played:
    scenario = shop(2, members_per_bot=8)
    with InProcessDemo(scenario.start) as cloud:
        for _ in play(cloud, scenario):
            pass
        found = snapshot(cloud, scenario)
    return scenario, found, judge(demands(scenario), found)


def printed(played: Played, width: int = 80) -> str:
    out = io.StringIO()
    print_report(Console(file=out, width=width, highlight=False), *played)
    return out.getvalue()


@pytest.mark.parametrize("width", [20, 80, 120])
def test_the_last_line_is_the_verdict_on_one_line(a_fortnight: Played, width: int) -> None:
    assert printed(a_fortnight, width).splitlines()[-1] == a_fortnight[2].line


def test_nothing_but_the_verdict_is_wider_than_the_terminal(a_fortnight: Played) -> None:
    assert max(map(len, printed(a_fortnight, 80).splitlines()[:-1])) <= 80


def test_every_node_of_both_journeys_is_in_a_tree(a_fortnight: Played) -> None:
    text = printed(a_fortnight)
    assert all(node.id in text for definition in a_fortnight[1].definitions for node in definition.nodes)


def test_the_counts_of_a_tree_add_up_over_the_bots(a_fortnight: Played) -> None:
    found = a_fortnight[1]
    passages = [progress for progress in found.progress if progress.journey_id.startswith("onboarding-")]
    counts = count_nodes(passages)
    assert counts.reached["joined"] == len(passages)
    assert counts.waiting.total() == sum(not progress.status.terminal for progress in passages)
    assert counts.taken["first_order", "ordered"] + counts.taken["first_order", "else"] == counts.reached["first_order"]


@pytest.mark.parametrize("heading", ["Bots", "The way of", "Messages", "Rejected, and kept", "goal order.completed"])
def test_it_tells_what_a_person_wants_to_know(a_fortnight: Played, heading: str) -> None:
    assert heading in printed(a_fortnight)


def test_faults_are_named(a_fortnight: Played) -> None:
    scenario, found, _ = a_fortnight
    nobody = replace(found, progress=(), effects=(), deliveries={})
    nothing_kept = replace(found, rejected=())
    assert "never entered" in printed((scenario, nobody, judge(demands(scenario), nobody)), 120)
    assert "must be kept as malformed" in printed((scenario, nothing_kept, judge(demands(scenario), nothing_kept)), 120)
