"""The engine: `advance`, one pure function from facts to a transition.

::

    (definition, progress, stimulus, member, now)  ──advance──▶  Transition(progress, effects)

A stimulus first moves the member off the node where they wait; then the walk runs node after node in memory, until a wait, the
end, or `max_nodes`. It reads no clock and throws no dice: splits are hashed, so a retry takes the same branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect
from sojourn.domain.event import Event
from sojourn.domain.expression import compile_expression
from sojourn.domain.fields import EventMatch
from sojourn.domain.member import Member
from sojourn.domain.node import WaitForEvent, branch_names
from sojourn.domain.progress import (
    MAX_TRAIL_STEPS,
    GoalReached,
    Progress,
    Status,
    Step,
    due_for_sweep,
)
from sojourn.domain.stimulus import Cancel, Due, EffectFinished, EventReceived, Resume, Stimulus
from sojourn.domain.visit import run
from sojourn.domain.walk import MAX_NODES_PER_HOP, Walk

__all__ = [
    "MAX_NODES_PER_HOP",
    "Transition",
    "advance",
    "advance_all",
    "extended",
    "failed",
    "migrate",
    "parked",
    "retried",
    "unparked",
]


@dataclass(frozen=True, slots=True)
class Transition:
    """What a hop comes to: the progress to commit (`rev` and `token` still those of the last write) and its effects."""

    progress: Progress
    effects: tuple[Effect, ...] = ()


def advance(
    definition: Definition,
    progress: Progress,
    stimulus: Stimulus,
    *,
    member: Member | None,
    now: datetime,
    max_nodes: int = MAX_NODES_PER_HOP,
) -> Transition:
    """React to one stimulus. The same progress object comes back where it changes nothing; never raises on what members do."""
    return advance_all(definition, progress, (stimulus,), member=member, now=now, max_nodes=max_nodes)


def advance_all(
    definition: Definition,
    progress: Progress,
    stimuli: Iterable[Stimulus],
    *,
    member: Member | None,
    now: datetime,
    max_nodes: int = MAX_NODES_PER_HOP,
) -> Transition:
    """React to several stimuli in order, as one hop: one limit on nodes, one write."""
    walk = Walk(definition, progress, member, now, max_nodes)
    for stimulus in stimuli:
        _react(walk, stimulus)
    if not walk.changed:
        return Transition(progress)
    return Transition(walk.progress(), tuple(walk.effects))


def _react(walk: Walk, stimulus: Stimulus) -> None:
    match stimulus:
        case EventReceived(event):
            _receive(walk, event)
        case _ if walk.status.terminal:
            return
        case Cancel(reason):
            walk.finish(Status.CANCELED, reason)
        case Resume():
            if walk.status in (Status.READY, Status.RUNNING):
                run(walk)
        case Due(at):
            _wake(walk, at)
        case EffectFinished():
            _finish_await(walk, stimulus)
        case _:
            assert_never(stimulus)


def _wake(walk: Walk, at: datetime) -> None:
    """A wait that is over is left by its last path (`timeout` of a wait_for_event); an action that slept runs now.

    An event of the same hop may have led on to another wait, or begun this one anew: that one is not over.
    """
    if walk.status is not Status.WAITING or walk.awaits is not None or walk.schedule_at != walk.before.schedule_at:
        return
    walk.since = max(walk.since, at)
    node = walk.node
    if node is None or node.category != "rule":
        run(walk)
    else:
        walk.leave("timeout" if isinstance(node, WaitForEvent) else "due", index=len(branch_names(node)) - 1)
        run(walk)


def _finish_await(walk: Walk, finished: EffectFinished) -> None:
    if walk.awaits != finished.effect_id:
        return
    walk.since = max(walk.since, finished.at)
    walk.remember(
        {"outcome": finished.outcome, "failure": finished.failure, "reason": finished.reason, "result": finished.result}
    )
    walk.leave(finished.outcome.lower(), reason=finished.reason)
    run(walk)


def _receive(walk: Walk, event: Event) -> None:
    """Exit events come first, then the goal, then what the node waits for. An event is consumed where it changed something."""
    if event.id in walk.consumed or event.occurred_at < walk.before.trigger.occurred_at:
        return
    _count_goal(walk, event)
    if walk.status.terminal:
        return
    for match in walk.definition.settings.exit_events:
        if _matches(walk, match, event):
            walk.consume(event)
            walk.finish(Status.CANCELED, f"exit event {event.name}")
            return
    node = walk.node
    if walk.status is Status.WAITING and isinstance(node, WaitForEvent) and event.occurred_at >= walk.since:
        _receive_at(walk, node, event)


def _receive_at(walk: Walk, node: WaitForEvent, event: Event) -> None:
    for index, branch in enumerate(node.settings.branches):
        if _matches(walk, branch, event):
            walk.move_by(event)
            walk.remember({"branch": branch.name, "event": event.name, "data": dict(event.data)})
            walk.leave(branch.name, index=index, reason=walk.because(f"event {event.name}", [branch.filter], event))
            run(walk)
            return
    restart = node.settings.restart
    if restart is not None and _matches(walk, restart, event):
        walk.consume(event)
        walk.schedule_at = walk.now + node.settings.timeout
        walk.step("restarted", f"event {event.name}")


def _count_goal(walk: Walk, event: Event) -> None:
    goal = walk.definition.settings.goal
    if goal is None or walk.goal is not None or event.occurred_at > walk.before.trigger.occurred_at + goal.window:
        return
    if not _matches(walk, goal, event):
        return
    revenue = None
    if goal.revenue is not None:
        value = compile_expression(goal.revenue).evaluate(walk.scope(event)).value
        revenue = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    walk.consume(event)
    walk.reach(GoalReached(event.id, event.occurred_at, revenue))
    walk.step("goal", f"event {event.name}")
    if goal.exit and not walk.status.terminal:
        walk.finish(Status.CANCELED, f"goal {event.name}")


def _matches(walk: Walk, match: EventMatch, event: Event) -> bool:
    if match.event != event.name:
        return False
    return match.filter is None or walk.condition(match.filter, event)


def migrate(
    old: Definition, new: Definition, progress: Progress, *, version: int, nodes: Mapping[str, str], now: datetime
) -> Progress:
    """The progress on a newer version: at the node that `nodes` maps its own to, else at the one with the same id.

    A wait goes on as it was. Where another kind of node has taken its place the member is READY there. Without a node to
    stand at the member leaves; the trail says why.
    """
    walk = Walk(new, replace(progress, version=version), None, now, 0)
    came_from = old.by_id.get(progress.node_id or "")
    walk.node_id = nodes.get(progress.node_id or "", progress.node_id)
    walk.step("migrated", f"version {progress.version} to {version}")
    if walk.node is None:
        walk.finish(Status.CANCELED, f"node {progress.node_id!r} is gone in version {version}")
    elif walk.status is Status.WAITING and type(walk.node) is not type(came_from):
        walk.status, walk.schedule_at, walk.awaits = Status.READY, None, None
    return walk.progress()


def extended(progress: Progress, *, seconds: float, resume: int, now: datetime) -> Progress:
    """The progress after resume number `resume`: a wait that was interrupted lasts `seconds` longer. Once for each resume."""
    waits = progress.status is Status.WAITING and progress.awaits is None and progress.schedule_at is not None
    if not waits or progress.schedule_at is None:
        return replace(progress, extended=resume, updated_at=now)
    later = progress.schedule_at + timedelta(seconds=seconds)
    return replace(progress, extended=resume, schedule_at=later, sweep_at=later, updated_at=now)


def parked(progress: Progress, *, now: datetime) -> Progress:
    """The progress on a paused journey: nothing sweeps it until the journey is resumed. `rev` stays, a park is no hop."""
    return replace(progress, parked=True, sweep_at=None, updated_at=now)


def unparked(progress: Progress, *, at: datetime, now: datetime) -> Progress:
    """The progress on a resumed journey: the sweep takes it up `at` that moment, if nobody has done so before."""
    return replace(progress, parked=False, sweep_at=at, sweep_count=0, updated_at=now)


def failed(progress: Progress, *, reason: str, now: datetime, short: bool = False) -> Progress:
    """The progress in ERROR, where no hop could say so itself. What it waits for stays on it: that is where a retry goes on.

    `short`: with nothing of its trail but this, for a document that has no room for more.
    """
    step = Step(progress.node_id or "", now, "error", reason)
    return replace(
        progress,
        status=Status.ERROR,
        end_reason=reason,
        listens=(),
        trail=(*(() if short else progress.trail), step)[-MAX_TRAIL_STEPS:],
        parked=False,
        sweep_at=None,
        sweep_count=0,
        updated_at=now,
        ended_at=now,
        expire_at=None,
    )


def retried(progress: Progress, definition: Definition | None, *, now: datetime) -> Progress:
    """The progress in ERROR on its way again: READY at its node, or WAITING for what it waited for when it failed.

    A message whose result it awaits is not sent again.
    """
    waits = progress.schedule_at is not None or progress.awaits is not None
    fresh = replace(
        progress,
        status=Status.WAITING if waits else Status.READY,
        end_reason=None,
        listens=definition.listens_at(progress.node_id, waiting=waits) if definition else (),
        trail=(*progress.trail, Step(progress.node_id or "", now, "retried", progress.end_reason))[-MAX_TRAIL_STEPS:],
        updated_at=now,
        ended_at=None,
        expire_at=None,
    )
    return replace(fresh, sweep_at=due_for_sweep(fresh, now=now))
