"""Healing: what a machine may set right of what `health` finds. Pure; the doctor writes it by compare-and-set.

Most repairs are one: look at it now. The hop finds out itself what is to be done, as it does after a lost message. Where nobody
can know what happened (a result that is gone, a version that is gone) the member is in ERROR and the effect DEAD: an operator
retries or abandons them. The rest is told to people.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from sojourn.domain.delivery import closed
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.engine import failed
from sojourn.domain.health import Ailment, Surroundings, Symptom
from sojourn.domain.node import SendMessageNode, WebhookNode
from sojourn.domain.progress import MAX_TRAIL_STEPS, Progress, Status, Step, expiry

REMEDIES = {
    Ailment.STUCK: "its messages fail: look at the dead letters and the log of run_journey or perform",
    Ailment.WAITS_FOR_NOTHING: "nobody can know whether the message went out: cancel the member, or let them advance",
    Ailment.SETTLING_STUCK: "look at the log of sweep; the tick asks for the next page every minute",
    Ailment.VERSION_MISSING: "restore the version from a backup, or publish the journey again",
}
"""What people can do where a machine may not."""


def heal_progress(progress: Progress, symptoms: Collection[Symptom], around: Surroundings) -> Progress:
    """The progress as it should be; the same object where nothing may be done."""
    for symptom in symptoms:
        if symptom.ailment is Ailment.EFFECT_MISSING:  # a retry sends it anew
            return failed(replace(progress, awaits=None), reason=f"doctor: {symptom.sentence}", now=around.now)
        if symptom.ailment is Ailment.VERSION_MISSING:
            return failed(progress, reason=f"doctor: {symptom.sentence}", now=around.now)
    healed = progress
    for symptom in symptoms:
        healed = _healed(healed, symptom, around)
    return healed


def _healed(progress: Progress, symptom: Symptom, around: Surroundings) -> Progress:
    match symptom.ailment:
        case (
            Ailment.NO_FUTURE
            | Ailment.WRONG_SHARD
            | Ailment.OVERDUE
            | Ailment.FAR_OFF
            | Ailment.PARKED_WITHOUT_PAUSE
            | Ailment.RESULT_NOT_TAKEN
            | Ailment.JOURNEY_MISSING
            | Ailment.JOURNEY_ENDED
        ):
            return _looked_at(progress, around.now)
        case Ailment.LISTENS_WRONG:
            heard = replace(progress, listens=_listens(progress, around))
            return heard if progress.parked else _looked_at(heard, around.now)
        case Ailment.WAITS_FOR_NOTHING:
            return _begun_anew(progress, symptom, around)
        case Ailment.PARKED_AND_SWEPT | Ailment.TERMINAL_SWEPT:
            return replace(progress, sweep_at=None)
        case Ailment.LIVE_EXPIRES:
            return replace(progress, expire_at=None, ended_at=None)
        case Ailment.NEVER_EXPIRES:
            return replace(progress, expire_at=expiry(progress, progress.status, now=around.now))
        case (
            Ailment.STUCK
            | Ailment.NOT_COUNTED
            | Ailment.EFFECT_MISSING
            | Ailment.VERSION_MISSING
            | Ailment.ORPHANED
            | Ailment.SETTLING_STUCK
            | Ailment.JOB_OUT_OF_STEP
        ):
            return progress
        case _:
            assert_never(symptom.ailment)


def _looked_at(progress: Progress, now: datetime) -> Progress:
    """Before the sweep at once. The hop parks it again where that is right."""
    return replace(progress, parked=False, sweep_at=now, sweep_count=0, updated_at=now)


def _listens(progress: Progress, around: Surroundings) -> tuple[str, ...]:
    assert around.definition is not None, "without a definition nobody knows"
    return around.definition.listens_at(progress.node_id, waiting=progress.status is Status.WAITING)


def _begun_anew(progress: Progress, symptom: Symptom, around: Surroundings) -> Progress:
    """A wait that lost its end begins anew. An action that may have been done is not done twice."""
    node = around.definition.by_id.get(progress.node_id or "") if around.definition else None
    if around.definition is None or (isinstance(node, SendMessageNode | WebhookNode) and node.settings.await_result):
        return progress
    step = Step(progress.node_id or "", around.now, "repaired", symptom.sentence)
    ready = replace(progress, status=Status.READY, trail=(*progress.trail, step)[-MAX_TRAIL_STEPS:], updated_at=around.now)
    return _looked_at(replace(ready, listens=_listens(ready, around)), around.now)


def heal_effect(effect: Effect, symptoms: Collection[Symptom], around: Surroundings) -> Effect:
    """The effect as it should be; the same object where nothing may be done."""
    healed = effect
    for symptom in symptoms:
        match symptom.ailment:
            case Ailment.ORPHANED:
                return closed(effect, EffectStatus.DEAD, f"doctor: {symptom.sentence}", now=around.now, failure="system")
            case Ailment.LIVE_EXPIRES:
                healed = replace(healed, expire_at=None)
            case Ailment.PARKED_AND_SWEPT:
                healed = replace(healed, sweep_at=None)
            case Ailment.STUCK:
                pass
            case _:
                later = max(around.now, healed.not_before or around.now)
                healed = replace(healed, parked=False, sweep_at=later, sweep_count=0)
    return healed
