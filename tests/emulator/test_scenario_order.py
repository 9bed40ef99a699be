"""The shop, played through the functions: whatever the order within a step, nobody is lost and nothing happens twice.

More than the figures must agree: the same members take the same ways at the same times and get the same messages.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache

import pytest

from emulator.demo import InProcessDemo, play, snapshot
from emulator.scenarios.oracle import Verdict, demands, judge
from emulator.scenarios.shop import shop
from emulator.snapshot import Snapshot
from sojourn.application.workshop import Limits
from sojourn.domain.progress import Progress

MEMBERS_PER_BOT = 12
SEEDS = (3, 8)


def played(seed: int, *, copies: int, shuffle: int | None, nodes: int) -> tuple[Snapshot, Verdict]:
    scenario = shop(seed, members_per_bot=MEMBERS_PER_BOT)
    with InProcessDemo(scenario.start, limits=Limits(max_nodes_per_hop=nodes), copies=copies, seed=shuffle) as cloud:
        for _ in play(cloud, scenario):
            pass
        found = snapshot(cloud, scenario)
    return found, judge(demands(scenario), found)


@cache
def plain(seed: int) -> tuple[Snapshot, Verdict]:
    return played(seed, copies=1, shuffle=None, nodes=32)


def ways(found: Snapshot) -> set[tuple[object, ...]]:
    """Where everybody is, and how they came there; the goal aside, which may be counted before or after an exit event."""
    return {
        (one.id, one.status, one.node_id, one.schedule_at, one.goal and one.goal.event_id, *_way(one)) for one in found.progress
    }


def _way(progress: Progress) -> list[tuple[str, datetime, str]]:
    return [(step.node_id, step.at, step.outcome) for step in progress.trail if step.outcome != "goal"]


def done(found: Snapshot) -> set[tuple[object, ...]]:
    return {(effect.id, effect.status, effect.created_at) for effect in found.effects}


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_happens_twice(seed: int) -> None:
    _, verdict = plain(seed)
    assert verdict.faults == ()
    assert verdict.entered > MEMBERS_PER_BOT and verdict.ended and verdict.canceled and verdict.effects


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("copies", "shuffle", "nodes"), [(1, 11, 32), (2, 12, 32), (2, 13, 1), (3, 14, 2)])
def test_order_repetition_and_size_of_hops_change_nothing(seed: int, copies: int, shuffle: int, nodes: int) -> None:
    found, verdict = played(seed, copies=copies, shuffle=shuffle, nodes=nodes)
    expected, expected_verdict = plain(seed)
    assert verdict == expected_verdict
    assert ways(found) == ways(expected)
    assert done(found) == done(expected)
