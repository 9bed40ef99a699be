"""The doctor on clouds that are well: halfway through a scenario, over pauses, at its end, it finds nothing.

On the emulators `test_demo.py` calls the same doctor.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread

import pytest

from emulator.demo import DemoCloud, InProcessDemo, play
from emulator.scenarios.shop import Scenario, shop
from sojourn.application.doctor import examine
from sojourn.application.lifecycle import pause, resume
from sojourn.application.workshop import Limits
from sojourn.domain.health import Finding
from sojourn.domain.journey import Journey
from sojourn.domain.progress import Progress

MEMBERS_PER_BOT = 5


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """A small shop."""
    return shop(11, members_per_bot=MEMBERS_PER_BOT)


def findings(cloud: DemoCloud) -> list[Finding]:
    return [finding for report in examine(cloud.shop, repair=True) for finding in report.findings]


@pytest.mark.slow
@pytest.mark.parametrize(("copies", "max_nodes"), [(1, 32), (2, 1)])
def test_at_every_step_of_the_demo_it_finds_nothing(scenario: Scenario, copies: int, max_nodes: int) -> None:
    with InProcessDemo(scenario.start, limits=Limits(max_nodes_per_hop=max_nodes), copies=copies, seed=copies) as cloud:
        for now in play(cloud, scenario):
            assert (now, findings(cloud)) == (now, [])
        assert len(list(cloud.shop.store.scan(Progress))) > MEMBERS_PER_BOT


@pytest.mark.slow
def test_nor_while_journeys_are_paused_and_resumed(scenario: Scenario) -> None:
    with InProcessDemo(scenario.start) as cloud:
        for step, now in enumerate(play(cloud, scenario)):
            for head in cloud.shop.store.scan(Journey):
                if step % 10 == 4:
                    pause(cloud.shop, head.id)
                elif step % 10 == 9:
                    resume(cloud.shop, head.id)
            assert (now, findings(cloud)) == (now, [])


@pytest.mark.slow
def test_nor_while_messages_are_on_their_way(scenario: Scenario) -> None:
    """One doctor after the other, in a thread of its own, while a week goes by in steps that the sweep can keep up with."""
    quick = replace(scenario, step=timedelta(minutes=15), end=scenario.start + timedelta(days=7))
    found, looks, over = list[Finding](), Counter[str](), Event()
    with InProcessDemo(quick.start, limits=Limits(max_nodes_per_hop=1), copies=2, seed=4) as cloud:

        def look() -> None:
            while not over.is_set():
                for report in examine(cloud.shop):
                    looks[report.stage] += report.looked
                    found.extend(report.findings)

        doctor = Thread(target=look)
        doctor.start()
        try:
            for _ in play(cloud, quick):
                pass
        finally:
            over.set()
            doctor.join()
    assert found == []
    assert looks["progress"] > 0
