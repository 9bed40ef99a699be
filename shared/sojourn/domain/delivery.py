"""What becomes of an effect: claimed, put off, delivered, failed. Pure; `sojourn.application.perform_effects` writes it.

::

    delivered  ─▶ DONE
    permanent  ─▶ FAILED
    retryable  ─▶ PENDING by the retry policy, after its last attempt DEAD
    uncertain  ─▶ the same where it may be repeated, else SKIPPED
    partial    ─▶ DONE where the parts that are missing are lost for good, else PENDING for those alone, or DEAD
    system     ─▶ PENDING without counting an attempt, for as long as it takes: nobody's message is lost by a fault of ours
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from sojourn.domain.effect import LEASE_SECONDS, Delivery, Effect, EffectStatus, Failure, Rest, first_sweep
from sojourn.domain.progress import TERMINAL_RETENTION
from sojourn.domain.retry import SYSTEM_RETRY, RetryPolicy

MAX_SETBACKS = 20
"""Performers that may die in a row over an effect: one more, and it is taken for what kills them."""
MAX_SHOWN_CHARACTERS = 500


def claimed(effect: Effect, *, now: datetime) -> Effect:
    """The effect under a lease. One that is PERFORMING has lost its performer: that is a setback, and no attempt."""
    died = effect.status is EffectStatus.PERFORMING
    return replace(
        effect,
        status=EffectStatus.PERFORMING,
        setbacks=effect.setbacks + died,
        not_before=None,
        parked=False,
        sweep_at=now + timedelta(seconds=LEASE_SECONDS),
        sweep_count=0,
        updated_at=now,
        caused_at=None if died else effect.caused_at,
    )


def closed(
    effect: Effect, status: EffectStatus, reason: str | None, *, now: datetime, failure: Failure | None = None
) -> Effect:
    """The effect when nothing more is done by itself. DEAD waits for an operator, so it does not expire."""
    expire_at = None if status is EffectStatus.DEAD else now + TERMINAL_RETENTION
    after = replace(effect, status=status, reason=reason, failure=failure, parked=False, not_before=None)
    return replace(after, sweep_at=None, sweep_count=0, updated_at=now, expire_at=expire_at)


def put_off(effect: Effect, reason: str | None, *, until: datetime, now: datetime) -> Effect:
    """PENDING again, to be performed `until` then at the earliest; the sweep takes it up."""
    after = replace(effect, status=EffectStatus.PENDING, reason=reason, parked=False, not_before=until)
    return replace(after, sweep_at=until, sweep_count=0, updated_at=now, caused_at=None)


def parked(effect: Effect, *, now: datetime) -> Effect:
    """The effect on a paused journey: nothing sweeps it until the journey is resumed."""
    after = replace(effect, status=EffectStatus.PENDING, parked=True, caused_at=None)
    return replace(after, sweep_at=None, sweep_count=0, updated_at=now)


def settled(effect: Effect, delivery: Delivery, policy: RetryPolicy, *, now: datetime, repeatable: bool = True) -> Effect:
    """The effect as a delivery leaves it. `repeatable`: a message that may have arrived may go out again."""
    if delivery.outcome == "system":
        after = replace(effect, setbacks=effect.setbacks + 1, failure="system")
        return put_off(after, delivery.reason, until=now + SYSTEM_RETRY.pause(effect.id, after.setbacks), now=now)
    answered = replace(effect, attempts=effect.attempts + 1, setbacks=0, rest=_rest(effect.rest, delivery))
    match delivery.outcome:
        case "delivered":
            return _done(answered, delivery, now)
        case "permanent":
            if answered.rest is not None:
                return _done(answered, delivery, now)
            return closed(answered, EffectStatus.FAILED, delivery.reason, now=now, failure="permanent")
        case "partial":
            if answered.rest is None or not answered.rest.undelivered:
                return _done(answered, delivery, now)
            return _again(answered, delivery, policy, now)
        case "uncertain" if not repeatable:
            return closed(answered, EffectStatus.SKIPPED, f"uncertain: {delivery.reason}", now=now)
        case "retryable" | "uncertain":
            return _again(answered, delivery, policy, now)
        case _:
            assert_never(delivery.outcome)


def _rest(before: Rest | None, delivery: Delivery) -> Rest | None:
    """What is left after this answer. A part that is refused for good is lost, though others of the message arrived."""
    if delivery.outcome == "partial":
        earlier, found = before or Rest(), delivery.rest or Rest()
        return Rest(found.undelivered, (*earlier.failed, *found.failed), earlier.answers + 1)
    if before is None or delivery.outcome in ("retryable", "uncertain"):
        return before
    lost = before.undelivered if delivery.outcome == "permanent" else ()
    return replace(before, undelivered=(), failed=(*before.failed, *(f"{part} ({delivery.reason})" for part in lost)))


def _done(effect: Effect, delivery: Delivery, now: datetime) -> Effect:
    lost = effect.rest.failed if effect.rest else ()
    reason = f"did not arrive: {', '.join(lost)}"[:MAX_SHOWN_CHARACTERS] if lost else None
    done = closed(effect, EffectStatus.DONE, reason, now=now, failure="partial" if lost else None)
    return replace(done, result=delivery.result if delivery.result is not None else delivery.provider_id)


def _again(effect: Effect, delivery: Delivery, policy: RetryPolicy, now: datetime) -> Effect:
    failure: Failure = "partial" if effect.rest else "transient"
    if effect.attempts >= policy.max_attempts:
        reason = f"{delivery.reason} ({effect.attempts} attempts)"
        return closed(effect, EffectStatus.DEAD, reason, now=now, failure=failure)
    later = now + policy.pause(effect.id, effect.attempts, asked=delivery.retry_after)
    return put_off(replace(effect, failure=failure), delivery.reason, until=later, now=now)


def taken_up(effect: Effect, *, now: datetime) -> Effect:
    """An operator has set something right: all attempts anew, and of a message in parts still only the rest."""
    fresh = replace(effect, status=EffectStatus.PENDING, reason=None, attempts=0, setbacks=0, failure=None, not_before=None)
    swept = replace(fresh, sweep_at=first_sweep(effect.id, now=now), sweep_count=0)
    return replace(swept, expire_at=None, updated_at=now, caused_at=None)
