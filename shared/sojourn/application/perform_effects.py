"""`perform_effects`: do what journeys asked for, each thing once as far as the world allows (design, section 6).

::

    PENDING ──held back──▶ SKIPPED | parked | deferred (PENDING, later)           `application.holding`
       │ claim: lease, message of the quota, probe of a breaker: one commit
       ▼
    PERFORMING ──deliver──▶ DONE | FAILED | DEAD | PENDING by the retry policy    `application.deliver`, `domain.delivery`

The claim is a compare-and-set, so of two performers one goes on. A lease that ran out is uncertain, and so is a request that
was sent and has no answer: the message may be out. A channel that honours idempotency keys is simply called again; for one that
does not, `on_uncertain` decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sojourn.application.breaker import heard, probe
from sojourn.application.deliver import deliver, retry_policy
from sojourn.application.holding import Gate, gate_of, held, repeatable
from sojourn.application.messages import RUNS_TOPIC, EffectMessage, RunMessage
from sojourn.application.outcome import UNAVAILABLE, About, Measure, Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.quota import give_back, take_from, takes
from sojourn.application.records import CommitResult, Stored, Update, Write
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.breaker import Breaker
from sojourn.domain.delivery import claimed, closed, settled
from sojourn.domain.effect import Delivery, Effect, EffectStatus, EnrollJourney
from sojourn.domain.errors import Unavailable
from sojourn.domain.journey import JourneyStatus
from sojourn.domain.progress import Progress


@dataclass(frozen=True, slots=True)
class _Claim:
    """An effect that is ours for `LEASE_SECONDS`, as it is now stored; with `probe` it tries a channel that rested."""

    effect: Effect
    gate: Gate
    probe: Breaker | None = None


def perform_effects(shop: Workshop, messages: Sequence[EffectMessage]) -> list[Outcome]:
    """Perform each effect; one outcome for each. Never raises for what a channel says."""
    found = shop.store.get_many(Effect, [message.effect_id for message in messages])
    return [replace(_perform(shop, stored), about=_about(stored)) for stored in found]


def _about(stored: Stored[Effect] | None) -> About | None:
    return About(stored.value.trace_id, stored.value.journey_id) if stored is not None else None


def _perform(shop: Workshop, stored: Stored[Effect] | None) -> Outcome:
    for lost_races in range(MAX_ROUNDS):
        now = shop.now()
        if stored is None:
            return Outcome("gone")
        if stored.value.status.terminal:
            return _told_again(shop, stored.value)
        busy = _busy(stored.value, now)
        if busy is not None:
            return Outcome(busy)
        claim = _claim(shop, stored, now, fresh=lost_races > 0)
        if isinstance(claim, _Claim):
            return _deliver(shop, claim, now)
        parked = claim is not None and claim.code == "parked"
        if claim is not None and not (parked and _resumed_meanwhile(shop, stored.value)):
            return claim
        again = shop.store.get_many(Effect, [stored.value.id])[0]
        if again is not None and not parked and again.value.token != stored.value.token:
            return Outcome("leased")
        stored = again
    return UNAVAILABLE


def _busy(effect: Effect, now: datetime) -> str | None:
    """Why there is nothing to do now; None: go on. What the sweep has bumped is no lease any more, its end lies before that."""
    if effect.status is EffectStatus.PERFORMING:
        return "leased" if effect.sweep_count == 0 and effect.sweep_at is not None and effect.sweep_at > now else None
    return "not_due" if effect.not_before is not None and effect.not_before > now else None


def _claim(shop: Workshop, stored: Stored[Effect], now: datetime, *, fresh: bool) -> _Claim | Outcome | None:
    """The claim; or the outcome of what holds the effect back; None where somebody else wrote something in between."""
    gate = gate_of(shop, stored.value, fresh=fresh)
    back = held(shop, stored.value, gate, now)
    if back is not None:
        return _write(shop, back, stored)
    effect, also = claimed(stored.value, now=now), []
    definition = shop.catalog.definition(effect.journey_id, effect.version)
    quota = definition.settings.message_quota if definition else None
    if quota is not None and takes(effect):
        taken = take_from(shop, effect, quota)
        if taken is None:
            reason = f"message_quota of {quota:,} is used up"
            return _write(shop, closed(stored.value, EffectStatus.SKIPPED, reason, now=now), stored)
        effect = replace(effect, quota_share=taken.share)
        also.append(taken.write)
    trying = probe(shop, gate.stored) if gate.stored is not None and gate.admission(now) == "probe" else None
    return _commit_claim(shop, _Claim(effect, gate), stored, [*also, *([trying] if trying else [])])


def _commit_claim(shop: Workshop, claim: _Claim, stored: Stored[Effect], also: Sequence[Write]) -> _Claim | Outcome | None:
    effect = shop.stamp_effect(claim.effect, rev=stored.value.rev + 1)
    result = shop.commit_many([(Update(effect, stored.version, stored.value), *also)])[0]
    if result is CommitResult.APPLIED:
        tried = next((write.record for write in also if isinstance(write.record, Breaker)), None)
        if tried is not None:
            shop.breakers.forget(tried.channel)
        return _Claim(effect, claim.gate, tried)
    return None if result is CommitResult.CONFLICT else UNAVAILABLE


def _deliver(shop: Workshop, claim: _Claim, now: datetime) -> Outcome:
    """Deliver, write how it went, and tell the breaker; what was not delivered gives its message back."""
    delivery = deliver(shop, claim.effect, now)
    policy, again = retry_policy(shop, claim.effect), repeatable(shop, claim.effect)
    after = settled(claim.effect, delivery, policy, now=shop.now(), repeatable=again)
    outcome = _release(shop, after)
    if not outcome.retry and after.failed and after.rest is None:
        give_back(shop, after)
    heard_of = _heard(shop, claim, delivery)
    if outcome.code == "lost_lease":
        return replace(outcome, notes=heard_of)
    return replace(outcome, notes=(*outcome.notes, *_notes(after), *heard_of), measures=_measures(shop, after))


def _notes(effect: Effect) -> Iterator[str]:
    """What is counted beside how it went: the kind of a failure, and what became of a member who was to enter a journey."""
    if effect.failure is not None:
        yield f"{effect.failure}_failure"
    if isinstance(effect.payload, EnrollJourney) and isinstance(effect.result, dict):
        yield str(effect.result["outcome"])


def _measures(shop: Workshop, effect: Effect) -> dict[Measure, float]:
    """How long the reaction took; what a pause of the journey held up is none."""
    if effect.status is not EffectStatus.DONE or effect.caused_at is None:
        return {}
    head = shop.catalog.head(effect.journey_id)
    if head is not None and head.ongoing_since is not None and head.ongoing_since > effect.caused_at:
        return {}
    return {"reaction_seconds": max((effect.updated_at - effect.caused_at).total_seconds(), 0.0)}


def _heard(shop: Workshop, claim: _Claim, delivery: Delivery) -> tuple[str, ...]:
    """What the breaker makes of it. The effect is written by now: a store that does not answer shall not undo that."""
    gate, failed = claim.gate, delivery.outcome in ("retryable", "uncertain", "system")
    try:
        return heard(shop, gate.channel, gate.policy, failed=failed, probe=claim.probe) if gate.policy is not None else ()
    except Unavailable:
        return ()


def _release(shop: Workshop, effect: Effect) -> Outcome:
    """Write how it went. Somebody else's write in between means that our lease ran out: then theirs counts."""
    stored = shop.store.get_many(Effect, [effect.id])[0]
    if stored is None or stored.value.token != effect.token:
        return Outcome("lost_lease")
    return _write(shop, effect, stored) or Outcome("lost_lease")


def _write(shop: Workshop, effect: Effect, stored: Stored[Effect]) -> Outcome | None:
    """Write what became of an effect, and publish what follows; None where somebody else wrote in between."""
    after = shop.stamp_effect(effect, rev=stored.value.rev + 1)
    result = shop.commit_many([(Update(after, stored.version, stored.value),)])[0]
    if result is not CommitResult.APPLIED:
        return None if result is CommitResult.CONFLICT else UNAVAILABLE
    if not all(shop.publish_many(_follow_ups(shop, after))):
        return UNAVAILABLE
    return Outcome("parked" if after.parked else after.status.value.lower())


def _told_again(shop: Workshop, effect: Effect) -> Outcome:
    """It is over. Whoever performed it may have died before the member was told: then this is their message, come again."""
    return Outcome("duplicate") if all(shop.publish_many(_follow_ups(shop, effect))) else UNAVAILABLE


def _follow_ups(shop: Workshop, effect: Effect) -> list[Outgoing]:
    """Wake the member whose node awaits the result."""
    stored = shop.store.get_many(Progress, [effect.progress_id])[0] if effect.status.terminal else None
    awaited = stored is not None and stored.value.awaits == effect.id
    return [RunMessage(progress_id=effect.progress_id).to(RUNS_TOPIC, trace_id=effect.trace_id)] if awaited else []


def _resumed_meanwhile(shop: Workshop, effect: Effect) -> bool:
    """The other half of resume's bargain: parked first, now read the head afresh; a message that says so could be lost."""
    head = shop.catalog.head(effect.journey_id, fresh=True)
    return head is None or head.status is not JourneyStatus.PAUSED
