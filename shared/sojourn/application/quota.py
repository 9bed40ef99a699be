"""The message quota of a journey: never exceeded by however many instances at once, and without one hot document.

The quota is divided among `SHARES` documents. A message starts at the share that its effect's id names and takes one from it by
compare-and-set, together with a note on the effect, so that a retry takes none twice. Where a share is used up the next is
tried: only when all are is the quota.
"""

from __future__ import annotations

from dataclasses import replace

from sojourn.application.records import CommitResult, Create, Stored, Update
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.effect import Effect, SendMessage
from sojourn.domain.ids import shard_of
from sojourn.domain.journey import QuotaShare, quota_share_id

SHARES = 16


def take_quota(shop: Workshop, effect: Effect, quota: int) -> Effect | None:
    """The claimed effect with one message of the quota, as it is now stored; None: the quota is used up.

    Raises LookupError where the effect is no longer ours, or the shares are too contended to say.
    """
    if effect.quota_share is not None or not isinstance(effect.payload, SendMessage):
        return effect
    first = shard_of(effect.id, SHARES)
    for step in range(SHARES):
        share = (first + step) % SHARES
        taken = _take_from(shop, effect, share, limit=quota // SHARES + (share < quota % SHARES))
        if taken is not None:
            return taken
    return None


def _take_from(shop: Workshop, effect: Effect, share: int, *, limit: int) -> Effect | None:
    for _ in range(MAX_ROUNDS):
        found = _read(shop, effect.journey_id, share)
        if limit <= (found.value.used if found else 0):
            return None
        stored = shop.store.get_many(Effect, [effect.id])[0]
        if stored is None or stored.value.token != effect.token:
            raise LookupError("the effect is somebody else's now")
        taken = shop.stamp_effect(replace(effect, quota_share=share), rev=effect.rev + 1)
        commit = (Update(taken, stored.version), _counted(shop, effect.journey_id, share, found, 1))
        if shop.commit_many([commit])[0] is CommitResult.APPLIED:
            return taken
    raise LookupError("the quota is being taken by many others")


def give_back(shop: Workshop, effect: Effect) -> None:
    """Return the message of an effect that closed without being delivered. At worst one stays unused, never one too many."""
    if effect.quota_share is None:
        return
    for _ in range(MAX_ROUNDS):
        found = _read(shop, effect.journey_id, effect.quota_share)
        if found is None:
            return
        if shop.commit_many([(_counted(shop, effect.journey_id, effect.quota_share, found, -1),)])[0] is CommitResult.APPLIED:
            return


def _read(shop: Workshop, journey_id: str, share: int) -> Stored[QuotaShare] | None:
    return shop.store.get_many(QuotaShare, [quota_share_id(journey_id, share)])[0]


def _counted(shop: Workshop, journey_id: str, share: int, found: Stored[QuotaShare] | None, change: int) -> Create | Update:
    token = shop.tokens.token()
    if found is None:
        return Create(QuotaShare(quota_share_id(journey_id, share), journey_id, share, change, token=token))
    after = replace(found.value, used=found.value.used + change, rev=found.value.rev + 1, token=token)
    return Update(after, found.version)
