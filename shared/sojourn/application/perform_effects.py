"""`perform_effects`: do what journeys asked for, each thing once as far as the world allows (design, section 6).

::

    PENDING ──claim──▶ PERFORMING ──check──▶ SKIPPED | parked | deferred (PENDING, later)
       ▲               (lease)    └─deliver─▶ DONE | FAILED | DEAD
       └────────────── retry, by the policy ◀┘

The claim is a compare-and-set, so of two performers one goes on. A lease that ran out is uncertain: the message may be out. A
channel that honours idempotency keys is simply called again; for one that does not, `on_uncertain` decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from sojourn.application.entry import ENROLLED_EVENT, Candidate, enter_many
from sojourn.application.messages import EFFECTS_TOPIC, EVENTS_TOPIC, RUNS_TOPIC, EffectMessage, RunMessage
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.quota import give_back, take_quota
from sojourn.application.records import CommitResult, Create, Stored, Update
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.effect import (
    LEASE_SECONDS,
    CallWebhook,
    Delivery,
    Effect,
    EffectStatus,
    EmitEvent,
    EnrollJourney,
    RetryPolicy,
    SendMessage,
    UpdateMember,
)
from sojourn.domain.event import MAX_EMIT_DEPTH, JsonObject, emitted_by, write_log_entry
from sojourn.domain.journey import JourneyStatus
from sojourn.domain.member import Member
from sojourn.domain.node import ApiTrigger
from sojourn.domain.progress import TERMINAL_RETENTION, Progress, Status
from sojourn.domain.sleep import sleeps_until

WEBHOOK_CHANNEL = "webhook"
"""The configured channel that `webhook` nodes use; they bring the url."""
OWN_RETRY = RetryPolicy()


@dataclass(frozen=True, slots=True)
class _Claim:
    """An effect that is ours for `LEASE_SECONDS`: as it was found, and as it is now stored."""

    found: Effect
    claimed: Effect


def perform_effects(shop: Workshop, messages: Sequence[EffectMessage]) -> list[Outcome]:
    """Perform each effect; one outcome for each. Never raises for what a channel says."""
    found = shop.store.get_many(Effect, [message.effect_id for message in messages])
    return [_perform(shop, stored) for stored in found]


def _perform(shop: Workshop, stored: Stored[Effect] | None) -> Outcome:
    now = shop.now()
    if stored is None:
        return Outcome("gone")
    busy = _busy(stored.value, now)
    if busy is not None:
        return Outcome(busy)
    claim = _claim(shop, stored, now)
    if isinstance(claim, Outcome):
        return claim
    held = _held(shop, claim, now)
    if held is not None:
        return _release(shop, held)
    return _perform_claimed(shop, claim, now)


def _perform_claimed(shop: Workshop, claim: _Claim, now: datetime) -> Outcome:
    """Take from the journey's quota, deliver, write how it went; what was not delivered gives its message back."""
    definition = shop.catalog.definition(claim.claimed.journey_id, claim.claimed.version)
    quota = definition.settings.message_quota if definition else None
    if quota is not None:
        try:
            taken = take_quota(shop, claim.claimed, quota)
        except LookupError:
            return UNAVAILABLE
        if taken is None:
            reason = f"message_quota of {quota:,} is used up"
            return _release(shop, _closed(claim.claimed, EffectStatus.SKIPPED, reason, now))
        claim = replace(claim, claimed=taken)
    after = _delivered(shop, claim, _deliver(shop, claim, now), now)
    outcome = _release(shop, after)
    if not outcome.retry and after.status in (EffectStatus.FAILED, EffectStatus.DEAD):
        give_back(shop, after)
    return outcome


def _busy(effect: Effect, now: datetime) -> str | None:
    """Why there is nothing to do now; None: go on."""
    if effect.status.terminal:
        return "duplicate"
    if effect.status is EffectStatus.PERFORMING:
        return "leased" if effect.sweep_at is not None and effect.sweep_at > now else None
    return "not_due" if effect.not_before is not None and effect.not_before > now else None


def _claim(shop: Workshop, stored: Stored[Effect], now: datetime) -> _Claim | Outcome:
    found = stored.value
    claimed = replace(
        found,
        status=EffectStatus.PERFORMING,
        attempts=found.attempts + 1,
        not_before=None,
        parked=False,
        sweep_at=now + timedelta(seconds=LEASE_SECONDS),
        sweep_count=0,
        updated_at=now,
    )
    claimed = shop.stamp_effect(claimed, rev=found.rev + 1)
    result = shop.commit_many([(Update(claimed, stored.version),)])[0]
    if result is CommitResult.APPLIED:
        return _Claim(found, claimed)
    return Outcome("leased") if result is CommitResult.CONFLICT else UNAVAILABLE


def _held(shop: Workshop, claim: _Claim, now: datetime) -> Effect | None:
    """The effect as it must be put back or closed instead of being performed; None: perform it."""
    effect, before = claim.claimed, claim.found
    progress = shop.store.get_many(Progress, [effect.progress_id])[0]
    if progress is not None and progress.value.status is Status.CANCELED:
        return _closed(effect, EffectStatus.SKIPPED, f"the member left: {progress.value.end_reason}", now)
    head = shop.catalog.head(effect.journey_id)
    if head is not None and head.status is JourneyStatus.PAUSED:
        return replace(effect, status=EffectStatus.PENDING, attempts=before.attempts, parked=True, sweep_at=None)
    wakes = _sleeping(shop, effect, now)
    if wakes is not None:
        waiting = replace(effect, status=EffectStatus.PENDING, attempts=before.attempts, reason="asleep")
        return replace(waiting, not_before=wakes, sweep_at=wakes)
    if before.status is EffectStatus.PERFORMING and not _repeatable(shop, effect):
        return _closed(effect, EffectStatus.SKIPPED, "uncertain: an earlier delivery may have arrived", now)
    return None


def _sleeping(shop: Workshop, effect: Effect, now: datetime) -> datetime | None:
    """A message that was deferred or retried may fall into the sleep window by now."""
    definition = shop.catalog.definition(effect.journey_id, effect.version)
    if definition is None or not isinstance(effect.payload, SendMessage) or definition.settings.sleep_start_time is None:
        return None
    stored = shop.store.get_many(Member, [effect.member_key])[0] if definition.settings.timezone_of == "member" else None
    window = sleeps_until(definition.settings, stored.value if stored else None, now)
    return window[0] if window else None


def _repeatable(shop: Workshop, effect: Effect) -> bool:
    """Our own effects are idempotent by their ids; a channel says so itself."""
    channel = shop.channels.get(_channel_name(effect))
    return channel is None or channel.idempotent or channel.resend_when_uncertain


def _channel_name(effect: Effect) -> str:
    match effect.payload:
        case SendMessage(channel=channel):
            return channel
        case CallWebhook():
            return WEBHOOK_CHANNEL
        case UpdateMember() | EmitEvent() | EnrollJourney():
            return ""
        case _:
            assert_never(effect.payload)


def _deliver(shop: Workshop, claim: _Claim, now: datetime) -> Delivery:
    effect = claim.claimed
    match effect.payload:
        case SendMessage(channel=name, message=message):
            channel = shop.channels.get(name)
            known = ", ".join(sorted(shop.channels))
            if channel is None:
                return Delivery("permanent", f"no channel {name!r}; there are {known}")
            return channel.deliver(effect, message)
        case CallWebhook(url=url, body=body):
            return shop.channels[WEBHOOK_CHANNEL].deliver(effect, body, url=url)
        case UpdateMember(attributes=attributes):
            return _update_member(shop, effect, attributes, now)
        case EmitEvent(name=name, data=data):
            return _emit(shop, effect, name=name, data=data)
        case EnrollJourney(journey_id=journey_id, data=data):
            return _enroll(shop, effect, journey_id=journey_id, data=data)
        case _:
            assert_never(effect.payload)


def _update_member(shop: Workshop, effect: Effect, attributes: JsonObject, now: datetime) -> Delivery:
    """Setting is idempotent, so a repeat does no harm; a lost race is run again."""
    for _ in range(MAX_ROUNDS):
        stored = shop.store.get_many(Member, [effect.member_key])[0]
        before = stored.value if stored else Member(effect.bot_id, effect.member_id, {}, None, None, {}, 0, "", now)
        merged = {key: value for key, value in {**before.attributes, **attributes}.items() if value is not None}
        after = replace(before, attributes=merged, rev=before.rev + 1, token=shop.tokens.token(), updated_at=now)
        write = Update(after, stored.version) if stored else Create(after)
        if shop.commit_many([(write,)])[0] is CommitResult.APPLIED:
            return Delivery("delivered")
    return Delivery("retryable", "the member is being written by others")


def _emit(shop: Workshop, effect: Effect, *, name: str, data: JsonObject) -> Delivery:
    progress = shop.store.get_many(Progress, [effect.progress_id])[0]
    if progress is None:
        return Delivery("permanent", "the progress that emits is gone")
    event = emitted_by(progress.value.trigger, identifier=effect.id, name=name, data=data, now=effect.created_at)
    if event.depth > MAX_EMIT_DEPTH:
        return Delivery("permanent", f"journeys emitted {MAX_EMIT_DEPTH} events in a row: a loop")
    sent = shop.publish_many([Outgoing(EVENTS_TOPIC, write_log_entry(event))])[0]
    return Delivery("delivered") if sent else Delivery("retryable", "Pub/Sub did not take the event")


def _enroll(shop: Workshop, effect: Effect, *, journey_id: str, data: JsonObject) -> Delivery:
    """Enter through the other journey's `api` trigger; the effect's id is the event's, so a repeat enters once."""
    progress = shop.store.get_many(Progress, [effect.progress_id])[0]
    active = next((one for one in shop.catalog.active(effect.bot_id) if one.head.id == journey_id), None)
    trigger = next((node for node in active.definition.nodes if isinstance(node, ApiTrigger)), None) if active else None
    if progress is None or active is None or trigger is None:
        return Delivery("permanent", f"no ongoing journey {journey_id!r} of bot {effect.bot_id!r} with an api trigger")
    event = emitted_by(progress.value.trigger, identifier=effect.id, name=ENROLLED_EVENT, data=data, now=effect.created_at)
    if event.depth > MAX_EMIT_DEPTH:
        return Delivery("permanent", f"journeys enrolled {MAX_EMIT_DEPTH} times in a row: a loop")
    entry = enter_many(shop, [Candidate(active.head, active.definition, trigger, event)])[0]
    if entry.outcome.retry:
        return Delivery("retryable", entry.outcome.code)
    if entry.message is not None:
        shop.publish_many([entry.message])
    return Delivery("delivered", result={"outcome": entry.outcome.code})


def _delivered(shop: Workshop, claim: _Claim, delivery: Delivery, now: datetime) -> Effect:
    """The effect as the delivery leaves it: three outcomes (design, section 6)."""
    effect = claim.claimed
    match delivery.outcome:
        case "delivered":
            done = _closed(effect, EffectStatus.DONE, None, now)
            return replace(done, result=delivery.result if delivery.result is not None else delivery.provider_id)
        case "permanent":
            return _closed(effect, EffectStatus.FAILED, delivery.reason, now)
        case "retryable":
            channel = shop.channels.get(_channel_name(effect))
            policy = channel.retry if channel else OWN_RETRY
            if effect.attempts >= policy.max_attempts:
                return _closed(effect, EffectStatus.DEAD, f"{delivery.reason} ({effect.attempts} attempts)", now)
            later = now + policy.pause(effect.id, effect.attempts)
            return replace(
                effect, status=EffectStatus.PENDING, reason=delivery.reason, not_before=later, sweep_at=later, updated_at=now
            )
        case _:
            assert_never(delivery.outcome)


def _closed(effect: Effect, status: EffectStatus, reason: str | None, now: datetime) -> Effect:
    """DEAD effects wait for an operator, so they do not expire."""
    expire_at = None if status is EffectStatus.DEAD else now + TERMINAL_RETENTION
    return replace(effect, status=status, reason=reason, sweep_at=None, updated_at=now, expire_at=expire_at)


def _release(shop: Workshop, effect: Effect) -> Outcome:
    """Write how it went. Somebody else's write in between means that our lease ran out: then theirs counts."""
    after = shop.stamp_effect(effect, rev=effect.rev + 1)
    stored = shop.store.get_many(Effect, [effect.id])[0]
    if stored is None or stored.value.token != effect.token:
        return Outcome("lost_lease")
    result = shop.commit_many([(Update(after, stored.version),)])[0]
    if result is not CommitResult.APPLIED:
        return Outcome("lost_lease") if result is CommitResult.CONFLICT else UNAVAILABLE
    follow_ups = _follow_ups(shop, after)
    if not all(shop.publish_many(follow_ups)):
        return UNAVAILABLE
    return Outcome("parked" if after.parked else after.status.value.lower())


def _follow_ups(shop: Workshop, effect: Effect) -> list[Outgoing]:
    """Wake the member whose node awaits the result; and for one that was parked, the second look at the journey."""
    if effect.status.terminal:
        stored = shop.store.get_many(Progress, [effect.progress_id])[0]
        awaited = stored is not None and stored.value.awaits == effect.id
        return [RunMessage(progress_id=effect.progress_id).to(RUNS_TOPIC)] if awaited else []
    if effect.parked:
        head = shop.catalog.head(effect.journey_id, fresh=True)
        resumed = head is None or head.status is not JourneyStatus.PAUSED
        return [EffectMessage(effect_id=effect.id).to(EFFECTS_TOPIC)] if resumed else []
    return []
