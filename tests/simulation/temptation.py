"""Events at the very moments around a wait: as it begins, as it ends, a millisecond before, again, out of order, too early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sojourn.domain.journey import Journey
from sojourn.domain.node import WaitForEvent, listened_by
from sojourn.domain.progress import Progress, Status
from tests.simulation.baton import SECOND, milliseconds
from tests.simulation.plan import Fact, make_event

if TYPE_CHECKING:
    from tests.simulation.world import World

MAX_TEMPTATIONS = 16
"""Events that a seed adds to those of its plan."""
HAIR = (-SECOND, -1, 0, 1, SECOND)


def tempt(world: World, progress: Progress) -> Fact | None:
    """Perhaps an event for a member who was just written as waiting, to be logged at once or when the wait ends."""
    if progress.status.terminal or not world.hits("event_on_boundary"):
        return None
    if world.temptations >= MAX_TEMPTATIONS or progress.member_id not in world.plan.members:
        return None
    world.temptations += 1
    dice, now = world.dice, world.baton.now
    ends = milliseconds(progress.schedule_at) if progress.schedule_at is not None else now
    around = dice.choice((milliseconds(progress.since), milliseconds(progress.trigger.occurred_at), now, now, ends, ends))
    at = around + dice.choice(HAIR)
    name = dice.choice(_heard_by(world, progress))
    event = make_event(dice, f"x{world.temptations}", name, progress.member_id, at)
    first = max(now, at) + dice.choice((0, 0, 5, 40, 150))
    published = (first, first + dice.choice((0, 3, 300))) if world.hits("event_twice") else (first,)
    return Fact(1_000 + world.temptations, event, published)


def _heard_by(world: World, progress: Progress) -> list[str]:
    """What the node waits for, and what counts anywhere."""
    definition = world.witness.versions[progress.journey_id][progress.version]
    node = definition.by_id.get(progress.node_id or "")
    again = definition.event_triggers[0].settings.name
    if progress.status is not Status.WAITING:
        return sorted(name for one in definition.nodes for name in listened_by(one)) or sorted(definition.listens) or [again]
    awaited = [branch.event for branch in node.settings.branches] if isinstance(node, WaitForEvent) else []
    return awaited * 2 + list(progress.listens) or [again]


def tempt_by_head(world: World, head: Journey) -> list[Fact]:
    """Perhaps events just after a journey was paused or goes on, while other instances have its head as it was before."""
    if world.temptations >= 3 * MAX_TEMPTATIONS or not world.hits("event_on_boundary"):
        return []
    dice, facts = world.dice, []
    for progress in [log[-1][1] for log in world.witness.passages.values()]:
        if progress.journey_id != head.id or progress.status.terminal or not progress.listens:
            continue
        for earliest in (0, 400, 1_200, 2_500):
            world.temptations += 1
            at = world.baton.now + earliest + dice.randrange(400)
            event = make_event(dice, f"x{world.temptations}", dice.choice(progress.listens), progress.member_id, at)
            facts.append(Fact(1_000 + world.temptations, event, (at,)))
    return facts
