"""Rules of effects: statuses along the diagram, leases respected, nobody who left is spoken to, sleep and quotas held."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING

from sojourn.domain.effect import Effect, SendMessage
from tests.simulation.baton import MINUTE, Task, milliseconds, moment
from tests.simulation.violation import require

if TYPE_CHECKING:
    from tests.simulation.witness import Witness

MOVES = {
    ("PENDING", "PENDING"),
    ("PENDING", "PERFORMING"),
    ("PENDING", "SKIPPED"),
    ("PERFORMING", "PERFORMING"),
    ("PERFORMING", "PENDING"),
    ("PERFORMING", "DONE"),
    ("PERFORMING", "SKIPPED"),
    ("PERFORMING", "FAILED"),
    ("PERFORMING", "DEAD"),
}
BY_OPERATORS = {("DEAD", "PENDING"), ("FAILED", "PENDING"), ("DEAD", "SKIPPED"), ("FAILED", "SKIPPED")}
FIXED = ("id", "progress_id", "journey_id", "version", "member_key", "node_id", "payload", "created_at")
CLOCKS_MS = 10_000
"""What two clocks may differ by, with room to spare."""
REQUEST_MS = 7 * MINUTE
"""The longest that a simulated channel takes, and what comes around it."""


def check(witness: Witness, task: Task | None, after: Effect, before: Effect | None) -> None:
    """A commit of an effect."""
    if before is None:
        require(after.status == "PENDING" and after.rev == 1, f"a new effect is {after.status}, rev {after.rev}")
        require(witness.effects.get(after.id) is None, f"effect {after.id[:6]} is made twice")
        return
    name, move = f"effect {after.id[:6]}", (str(before.status), str(after.status))
    require(all(getattr(before, one) == getattr(after, one) for one in FIXED), f"{name} became another")
    require(after.rev in (before.rev, before.rev + 1), f"{name}: rev {before.rev} became {after.rev}")
    operated = task is not None and task.kind == "operator"
    returned = before.status == after.status and before.status.terminal and after.quota_share is None
    require(move in MOVES or (operated and move in BY_OPERATORS) or returned, f"{name}: {move[0]} became {move[1]}")
    if after.rev == before.rev:
        require(before.status == after.status, f"{name} moved without a revision")
    if after.status == "PERFORMING" and after.rev > before.rev:
        _check_claim(witness, before, after)


def _check_claim(witness: Witness, before: Effect, after: Effect) -> None:
    """A second claim while the first one's lease runs would be two performers at once."""
    until = witness.leases.get(after.id, 0) - CLOCKS_MS
    alone = before.status != "PERFORMING" or witness.world.baton.now >= until
    require(alone, f"effect {after.id[:6]} is claimed while another has its lease")
    assert after.sweep_at is not None
    witness.leases[after.id] = milliseconds(after.sweep_at)


def check_delivery(witness: Witness, task: Task | None, effect: Effect) -> None:
    """A channel is called: may it be?"""
    assert task is not None
    now = witness.world.baton.now
    name = f"effect {effect.id[:6]} of {effect.node_id}"
    passage = witness.passages[effect.progress_id]
    left = [at for at, one in passage if one.status == "CANCELED"]
    looked = task.seen.get(effect.progress_id, -1)
    require(not left or left[0] > looked, f"{name} is delivered to a member who has left")
    require(looked >= 0, f"{name} is delivered without a look at the member")
    definition = witness.versions[effect.journey_id][effect.version]
    start, end = definition.settings.sleep_start_time, definition.settings.sleep_end_time
    if isinstance(effect.payload, SendMessage) and start is not None and end is not None:
        span = (moment(task.began - CLOCKS_MS), moment(now + CLOCKS_MS))
        asleep = now - task.began < REQUEST_MS and all(_inside(one.time(), start, end) for one in span)
        require(not asleep, f"{name} is delivered in the sleep window")


def _inside(clock: time, start: time, end: time) -> bool:
    return start <= clock < end if start < end else (clock >= start or clock < end)
