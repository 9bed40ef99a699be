"""Refusals, written down: why an event that a trigger heard did not start its journey. One create for each, and no more.

A redelivered event that did enter may meet a journey that is paused by now: that is a duplicate, not a refusal. So whoever was
turned away before the entry was looked for is looked for here.
"""

from __future__ import annotations

from collections.abc import Sequence

from sojourn.application.entry import ONCE, Candidate, Entry
from sojourn.application.workshop import Workshop
from sojourn.domain.history import refusal_of
from sojourn.domain.ids import progress_id
from sojourn.domain.progress import Progress

NO_REFUSALS = frozenset({"entered", "duplicate"})


def record_refusals(shop: Workshop, candidates: Sequence[Candidate], entries: Sequence[Entry]) -> list[bool]:
    """Record those of `entries` that are refusals; for each entry whether that is done, or was not needed."""
    refused = [index for index, entry in enumerate(entries) if _is_refusal(entry)]
    inside = _inside(shop, [candidates[index] for index in refused])
    fresh = [index for index, entered in zip(refused, inside, strict=True) if not entered]
    now = shop.now()
    records = [
        refusal_of(
            candidates[index].event,
            candidates[index].head.id,
            reason=entries[index].outcome.code,
            now=now,
            token=shop.tokens.token(),
        )
        for index in fresh
    ]
    by_id = {record.id: record for record in records}
    created = dict(zip(by_id, shop.create_many(list(by_id.values())), strict=True))
    kept = {index: created[record.id] for index, record in zip(fresh, records, strict=True)}
    return [kept.get(index, True) for index in range(len(entries))]


def _is_refusal(entry: Entry) -> bool:
    return not entry.outcome.retry and entry.outcome.code not in NO_REFUSALS


def _inside(shop: Workshop, candidates: Sequence[Candidate]) -> list[bool]:
    """For each whether this very event has already let the member in. A keyed passage is not looked for: timelines leave out
    a refusal whose event started a passage."""
    found = shop.store.get_many(Progress, [_passage(candidate) for candidate in candidates]) if candidates else []
    return [
        stored is not None and stored.value.trigger.id == candidate.event.id
        for stored, candidate in zip(found, candidates, strict=True)
    ]


def _passage(candidate: Candidate) -> str:
    settings, event = candidate.definition.settings, candidate.event
    once = settings.repeat_journey_times == 1 and settings.entry_key is None
    return progress_id(event.bot_id, candidate.head.id, event.member_id, ONCE if once else event.id)
