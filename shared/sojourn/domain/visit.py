"""A visit to a node: what each kind does to the member who comes to it."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never
from zoneinfo import ZoneInfo

from sojourn.domain.action import MAX_PAYLOAD_BYTES, payload_of, size_bytes
from sojourn.domain.effect import Effect, Payload, first_sweep
from sojourn.domain.expression import as_json, compile_expression
from sojourn.domain.ids import effect_id, fraction
from sojourn.domain.moment import next_local, read_moment
from sojourn.domain.node import (
    Action,
    ApiTrigger,
    Branch,
    DateWait,
    EmitEventNode,
    EnrollJourneyNode,
    EventTrigger,
    Exit,
    Node,
    ScheduleTrigger,
    SendMessageNode,
    Split,
    UpdateMemberNode,
    Wait,
    WaitForEvent,
    WebhookNode,
    listened_by,
)
from sojourn.domain.progress import Status
from sojourn.domain.sleep import local_zone, sleeps_until
from sojourn.domain.walk import Walk

MAX_VISITS = 1_000
"""Visits of one node by one passage: a loop that nobody meant ends in ERROR, not in an endless bill."""


def run(walk: Walk) -> None:
    """Run node after node until a wait, the end, or the limit of this hop (then RUNNING: another hop goes on)."""
    walk.changed = True
    walk.status, walk.schedule_at, walk.awaits = Status.RUNNING, None, None
    while walk.status is Status.RUNNING:
        node = walk.node
        if node is None:
            walk.finish(Status.ERROR, f"version {walk.before.version} has no node {walk.node_id!r}")
        elif walk.nodes_left <= 0:
            return
        elif walk.visits.get(node.id, 0) >= MAX_VISITS:
            walk.finish(Status.ERROR, f"node {node.id!r} was visited {MAX_VISITS:,} times")
        else:
            walk.nodes_left -= 1
            _run(walk, node)


def _run(walk: Walk, node: Node) -> None:
    if isinstance(node, SendMessageNode) and _sleeps(walk):
        return
    walk.visits[node.id] = walk.visits.get(node.id, 0) + 1
    match node:
        case Branch():
            _branch(walk, node)
        case Split():
            _split(walk, node)
        case Wait():
            _wait(walk, node)
        case WaitForEvent():
            walk.wait_until(walk.now + node.settings.timeout, "waiting", "for " + ", ".join(listened_by(node)))
        case EventTrigger() | ScheduleTrigger() | ApiTrigger():
            walk.leave("entered")
        case SendMessageNode() | WebhookNode() | UpdateMemberNode() | EmitEventNode() | EnrollJourneyNode():
            _act(walk, node)
        case Exit():
            walk.step("exited")
            walk.finish(Status.ENDED, None)
        case _:
            assert_never(node)


def _sleeps(walk: Walk) -> bool:
    window = sleeps_until(walk.definition.settings, walk.member, walk.now)
    if window is None:
        return False
    end, tz = window
    walk.wait_until(end, "asleep", f"until {end.astimezone(tz):%H:%M} {tz.key}")
    return True


def _wait(walk: Walk, node: Wait) -> None:
    settings, tz = node.settings, local_zone(walk.definition.settings, walk.member)
    if settings.duration is not None:
        _wait_or_go(walk, walk.now + settings.duration, tz)
    elif settings.until_time is not None:
        _wait_or_go(walk, next_local(walk.now, settings.until_time.time, tz, settings.until_time.weekdays), tz)
    elif settings.until_date is not None:
        moment = _date(walk, settings.until_date, tz)
        if isinstance(moment, str):
            walk.leave("due", reason=moment)
        else:
            _wait_or_go(walk, moment, tz)


def _wait_or_go(walk: Walk, moment: datetime, tz: ZoneInfo) -> None:
    local = f"until {moment.astimezone(tz):%Y-%m-%d %H:%M} {tz.key}"
    if moment > walk.now:
        walk.wait_until(moment, "waiting", local)
    else:
        walk.leave("due", reason=f"{local} is over")


def _date(walk: Walk, settings: DateWait, tz: ZoneInfo) -> datetime | str:
    """The moment, or why there is none: then the member goes on at once, and the trail says so."""
    result = compile_expression(settings.date).evaluate(walk.scope(walk.before.trigger))
    if result.reason is not None:
        return result.reason
    moment = read_moment(result.value, settings.time, settings.offset, tz)
    return f"{settings.date}: {as_json(result.value)!r:.40} is no date" if moment is None else moment


def _branch(walk: Walk, node: Branch) -> None:
    trigger, conditions = walk.before.trigger, [branch.condition for branch in node.settings.branches]
    for index, branch in enumerate(node.settings.branches):
        if walk.condition(branch.condition, trigger):
            return walk.leave(branch.name, index=index, reason=walk.because(branch.condition, [branch.condition], trigger))
    return walk.leave("else", index=len(conditions), reason=walk.because("none holds", conditions, trigger))


def _split(walk: Walk, node: Split) -> None:
    """Sticky: hashed from member and node, the same on every passage. Otherwise from the passage and the visit."""
    before = walk.before
    sticky = (before.member_key, before.journey_id, node.id)
    seed = sticky if node.settings.sticky else (before.id, node.id, walk.visits[node.id])
    branches = node.settings.branches
    point = fraction("split", *seed) * sum(branch.weight for branch in branches)
    for index, branch in enumerate(branches):
        point -= branch.weight
        if point < 0:
            return walk.leave(branch.name, index=index)
    raise AssertionError("the point is below the sum of the weights")


def _act(walk: Walk, node: Action) -> None:
    payload, reasons = payload_of(node, walk.scope(walk.before.trigger), depth=walk.depth)
    size = size_bytes(payload)
    if size > MAX_PAYLOAD_BYTES:
        return walk.finish(Status.ERROR, f"node {node.id!r} puts out {size:,} bytes; at most {MAX_PAYLOAD_BYTES:,}")
    effect = _effect(walk, node, payload)
    walk.effects.append(effect)
    reason = "; ".join(reasons) or None
    if isinstance(node, SendMessageNode | WebhookNode) and node.settings.await_result:
        walk.step("awaiting", reason)
        walk.status, walk.awaits = Status.WAITING, effect.id
        return None
    return walk.leave("sent" if isinstance(node, SendMessageNode) else "done", reason=reason)


def _effect(walk: Walk, node: Action, payload: Payload) -> Effect:
    before = walk.before
    identifier = effect_id(before.id, node.id, walk.visits[node.id])
    return Effect(
        id=identifier,
        progress_id=before.id,
        journey_id=before.journey_id,
        version=before.version,
        bot_id=before.bot_id,
        member_id=before.member_id,
        member_key=before.member_key,
        node_id=node.id,
        payload=payload,
        created_at=walk.now,
        updated_at=walk.now,
        sweep_at=first_sweep(identifier, now=walk.now),
        trace_id=before.trace_id,
        caused_at=walk.cause,
    )
