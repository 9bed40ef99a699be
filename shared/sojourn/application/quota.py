"""The message quota of a journey: never exceeded by however many instances at once, and without one hot document.

The quota is divided among `SHARES` documents. A message starts at the share that its effect's id names and takes one from it in
the very commit that claims the effect, which notes the share, so that a retry takes none twice. Where a share is used up the
next is tried: only when all are is the quota.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sojourn.application.records import CommitResult, Create, Stored, Update
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.effect import Effect, SendMessage
from sojourn.domain.ids import shard_of
from sojourn.domain.journey import QuotaShare, quota_share_id

SHARES = 16


@dataclass(frozen=True, slots=True)
class Taken:
    """One message of a share, once `write` is committed."""

    share: int
    write: Create | Update


def take_from(shop: Workshop, effect: Effect, quota: int) -> Taken | None:
    """A message of the quota for an effect that has none yet; None: the quota is used up."""
    first = shard_of(effect.id, SHARES)
    for share in ((first + step) % SHARES for step in range(SHARES)):
        found = _read(shop, effect.journey_id, share)
        if (found.value.used if found else 0) < quota // SHARES + (share < quota % SHARES):
            return Taken(share, _counted(shop, effect.journey_id, share, found, 1))
    return None


def takes(effect: Effect) -> bool:
    """Whether the effect must have a message of the quota before it is performed."""
    return effect.quota_share is None and isinstance(effect.payload, SendMessage)


def give_back(shop: Workshop, effect: Effect) -> None:
    """Return the message of an effect that failed, and with it the note on the effect: a commit in doubt is not repeated.

    At worst one stays unused, never one too many.
    """
    for _ in range(MAX_ROUNDS):
        stored = shop.store.get_many(Effect, [effect.id])[0]
        share = stored.value.quota_share if stored is not None and stored.value.failed else None
        if stored is None or share is None:
            return
        returned = shop.stamp_effect(replace(stored.value, quota_share=None), rev=stored.value.rev + 1)
        counted = _counted(shop, effect.journey_id, share, _read(shop, effect.journey_id, share), -1)
        if shop.commit_many([(Update(returned, stored.version), counted)])[0] is CommitResult.APPLIED:
            return


def _read(shop: Workshop, journey_id: str, share: int) -> Stored[QuotaShare] | None:
    return shop.store.get_many(QuotaShare, [quota_share_id(journey_id, share)])[0]


def _counted(shop: Workshop, journey_id: str, share: int, found: Stored[QuotaShare] | None, change: int) -> Create | Update:
    token = shop.tokens.token()
    if found is None:
        return Create(QuotaShare(quota_share_id(journey_id, share), journey_id, share, change, token=token))
    after = replace(found.value, used=found.value.used + change, rev=found.value.rev + 1, token=token)
    return Update(after, found.version)
