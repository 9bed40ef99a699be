"""What keeps an effect from being performed now: looked at before it is claimed, so that a failure to look costs nothing.

::

    performers keep dying over it        ─▶ DEAD         the journey is paused ─▶ parked
    the member has left                  ─▶ SKIPPED      asleep                ─▶ PENDING until the window's end
    in doubt, and must not go out twice  ─▶ SKIPPED      the channel rests     ─▶ PENDING until after its rest

The doubt comes before what only puts it off: PENDING would forget it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sojourn.application.breaker import look
from sojourn.application.deliver import channel_of, destination_of
from sojourn.application.records import Stored
from sojourn.application.workshop import Workshop
from sojourn.domain.breaker import Admission, Breaker, BreakerPolicy, admission, come_back
from sojourn.domain.delivery import MAX_SETBACKS, closed, parked, put_off
from sojourn.domain.effect import Effect, EffectStatus, SendMessage
from sojourn.domain.journey import JourneyStatus
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress, Status
from sojourn.domain.sleep import sleeps_until


@dataclass(frozen=True, slots=True)
class Gate:
    """The breaker before the place an effect goes to. `policy` None: there is none."""

    channel: str
    policy: BreakerPolicy | None = None
    stored: Stored[Breaker] | None = None

    def admission(self, now: datetime) -> Admission:
        """Whether a call may be made."""
        return admission(self.stored.value if self.stored is not None else None, now)


def gate_of(shop: Workshop, effect: Effect, *, fresh: bool) -> Gate:
    """The gate as it stands, read now where that is `fresh`."""
    channel, destination = channel_of(shop, effect), destination_of(effect)
    if channel is None or channel.breaker is None:
        return Gate(destination)
    return Gate(destination, channel.breaker, look(shop, destination, fresh=fresh))


def held(shop: Workshop, effect: Effect, gate: Gate, now: datetime) -> Effect | None:
    """The effect as it must be put back or closed instead of being performed; None: perform it."""
    in_doubt = effect.status is EffectStatus.PERFORMING
    if in_doubt and effect.setbacks >= MAX_SETBACKS:
        reason = f"{effect.setbacks + 1} performers in a row did not come back from it"
        return closed(effect, EffectStatus.DEAD, reason, now=now, failure="system")
    progress = shop.store.get_many(Progress, [effect.progress_id])[0]
    if progress is not None and progress.value.status is Status.CANCELED:
        return closed(effect, EffectStatus.SKIPPED, f"the member left: {progress.value.end_reason}", now=now)
    if in_doubt and not repeatable(shop, effect):
        return closed(effect, EffectStatus.SKIPPED, "uncertain: an earlier delivery may have arrived", now=now)
    head = shop.catalog.head(effect.journey_id)
    if head is not None and head.status is JourneyStatus.PAUSED:
        return parked(effect, now=now)
    wakes = _sleeping(shop, effect, now)
    if wakes is not None:
        return put_off(effect, "asleep", until=wakes, now=now)
    return _resting(effect, gate, now)


def _sleeping(shop: Workshop, effect: Effect, now: datetime) -> datetime | None:
    """A message that was deferred or retried may fall into the sleep window by now."""
    definition = shop.catalog.definition(effect.journey_id, effect.version)
    if definition is None or not isinstance(effect.payload, SendMessage) or definition.settings.sleep_start_time is None:
        return None
    stored = shop.store.get_many(Member, [effect.member_key])[0] if definition.settings.timezone_of == "member" else None
    window = sleeps_until(definition.settings, stored.value if stored else None, now)
    return window[0] if window else None


def repeatable(shop: Workshop, effect: Effect) -> bool:
    """Whether what may have arrived may go out again. Our own effects are idempotent by their ids; a channel says so itself."""
    channel = channel_of(shop, effect)
    return channel is None or channel.idempotent or channel.resend_when_uncertain


def _resting(effect: Effect, gate: Gate, now: datetime) -> Effect | None:
    """No attempt is burnt on a channel that rests. Coming back is spread out, or the first tick would be the next flood."""
    if gate.stored is None or gate.admission(now) != "rest":
        return None
    breaker = gate.stored.value
    until = come_back(breaker, effect.id)
    if until is None:
        return None
    reason = f"channel {breaker.channel!r} is resting until {breaker.until:%H:%M:%S} UTC: {breaker.reason}"
    return put_off(effect, reason, until=until, now=now)
