"""Circuit breakers at work: what this process counts, what all processes share, and what an operator sees and resets.

A healthy channel costs no write and at most one read in five seconds: each process counts its own calls in memory
(`breaker_memory`), and writes the shared record only when it opens one or hears of a probe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sojourn.application.audit import change
from sojourn.application.records import MAX_PAGE, CommitResult, Create, Stored, Update
from sojourn.application.workshop import Workshop
from sojourn.domain.breaker import (
    Breaker,
    BreakerPolicy,
    BreakerState,
    Calls,
    admission,
    breaker_id,
    closed,
    opened,
    probing,
)
from sojourn.domain.errors import NotFound

OPENED, CLOSED = "breaker_opened", "breaker_closed"
"""Notes of an outcome, which are counted and alert."""


def look(shop: Workshop, channel: str, *, fresh: bool = False) -> Stored[Breaker] | None:
    """The channel's record, at most five seconds old; None: it is trusted, as every channel is at first."""
    now = shop.now()
    found = None if fresh else shop.breakers.record(channel, now=now)
    if found is not None:
        return found[1]
    stored = shop.store.get_many(Breaker, [breaker_id(channel)])[0]
    shop.breakers.keep(channel, stored, now=now)
    return stored


def probe(shop: Workshop, before: Stored[Breaker]) -> Update:
    """The write that makes a caller the one who tries. Of several, its precondition lets one through."""
    return Update(_stamped(shop, probing(before.value, now=shop.now()), before.value), before.version)


def heard(
    shop: Workshop, channel: str, policy: BreakerPolicy, *, failed: bool, probe: Breaker | None = None
) -> tuple[str, ...]:
    """A call has ended, that of a `probe` or one of many; notes on what follows from it."""
    calls = shop.breakers.count(channel, policy, failed=failed, now=shop.now())
    if probe is not None:
        return _probed(shop, probe, policy, failed=failed)
    return _suspect(shop, channel, policy, calls) if failed else ()


def _probed(shop: Workshop, probe: Breaker, policy: BreakerPolicy, *, failed: bool) -> tuple[str, ...]:
    """Nothing where the probe took so long that somebody else has tried, or an operator has reset it."""
    stored, now = look(shop, probe.channel, fresh=True), shop.now()
    if stored is None or stored.value.token != probe.token:
        return ()
    if failed:
        after = opened(probe, probe.channel, policy, f"{probe.reason.partition(';')[0]}; so did a try", now=now)
    else:
        after = closed(probe, "a try succeeded", now=now)
    return _write(shop, stored, after)


def _suspect(shop: Workshop, channel: str, policy: BreakerPolicy, calls: Calls) -> tuple[str, ...]:
    stored, now = look(shop, channel), shop.now()
    before = stored.value if stored is not None else None
    if admission(before, now) != "call":
        return ()
    fault = calls.fault(policy, since=before.since if before is not None else None, now=now)
    return _write(shop, stored, opened(before, channel, policy, fault, now=now)) if fault is not None else ()


def _write(shop: Workshop, stored: Stored[Breaker] | None, after: Breaker) -> tuple[str, ...]:
    """Somebody who was faster has seen the same, or more."""
    before = stored.value if stored is not None else None
    record = _stamped(shop, after, before)
    result = shop.commit_many([(Update(record, stored.version) if stored is not None else Create(record),)])[0]
    shop.breakers.forget(after.channel)
    if result is not CommitResult.APPLIED:
        return ()
    return (CLOSED,) if after.state is BreakerState.CLOSED else (OPENED,)


def _stamped(shop: Workshop, after: Breaker, before: Breaker | None) -> Breaker:
    return replace(after, token=shop.tokens.token(), rev=before.rev + 1 if before is not None else 1)


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How a channel stands; `webhook` has one for each host that was ever in trouble. `since`, `reason`: of the last change."""

    id: str
    channel: str
    state: BreakerState
    until: datetime | None = None
    since: datetime | None = None
    reason: str | None = None


def list_channels(shop: Workshop) -> list[ChannelStatus]:
    """Every channel that is configured, and every other that has a record; those in trouble first."""
    found = {stored.value.channel: stored.value for stored in shop.store.find(Breaker, {}, limit=MAX_PAGE)}
    known = [ChannelStatus(breaker_id(name), name, BreakerState.CLOSED) for name in shop.channels if name not in found]
    seen = [ChannelStatus(one.id, one.channel, one.state, one.until, one.since, one.reason) for one in found.values()]
    return sorted([*known, *seen], key=lambda status: (status.state is BreakerState.CLOSED, status.channel))


def reset_channel(shop: Workshop, channel: str) -> ChannelStatus:
    """Trust a channel again at once, by its name or id. What was put off comes back when it was told to. Raises NotFound."""
    named = next((one for one in list_channels(shop) if channel in (one.id, one.channel)), None)
    if named is None:
        raise NotFound(f"no channel {channel!r}; `sojourn channels list` shows those that there are")
    if named.since is None:
        return named
    after = change(shop, Breaker, named.id, "channel.reset", lambda before: closed(before, "reset", now=shop.now()))
    shop.breakers.forget(after.channel)
    return ChannelStatus(after.id, after.channel, after.state, after.until, after.since, after.reason)
