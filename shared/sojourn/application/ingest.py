"""`ingest`: log entries in; members start on journeys, members who listen are told.

::

    entry ─▶ Event ─┬─▶ create member_events ─▶ look for listeners ─▶ signal each      (write first, then look)
                    └─▶ match triggers ───────▶ enter ──────────────▶ first hop, or a refusal for the history

Writing an event down before looking for listeners is one half of a bargain; a member who begins to wait commits first and then
looks for events (`run_journeys`). Whichever is later sees the other, so no event falls between (design, section 5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sojourn.application.entry import Candidate, enter_many
from sojourn.application.messages import RUNS_TOPIC, RunMessage
from sojourn.application.outcome import UNAVAILABLE, About, Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.refusals import record_refusals
from sojourn.application.workshop import Workshop
from sojourn.domain.errors import EventRejected
from sojourn.domain.event import Event, read_log_entry
from sojourn.domain.ids import derived_id
from sojourn.domain.journey import MEMBER_EVENT_RETENTION, REJECTED_RETENTION, MemberEvent, RejectedEvent

MAX_REJECTED_BYTES = 700_000
"""A message may have 10 MB, a document 1 MiB; a LogEntry has less than either."""


@dataclass(slots=True)
class _Item:
    """One log entry on its way: what is known of it so far, what is to be published for it, what to answer."""

    event: Event | None = None
    outcome: Outcome | None = None
    notes: list[str] = field(default_factory=list)
    messages: list[Outgoing] = field(default_factory=list)

    def answer(self) -> Outcome:
        about = About(self.event.trace_id) if self.event is not None else None
        if self.outcome is not None:
            return replace(self.outcome, about=about)
        return Outcome("taken" if self.notes or self.messages else "unwanted", notes=tuple(self.notes), about=about)


def ingest(shop: Workshop, entries: Sequence[bytes]) -> list[Outcome]:
    """Take in log entries as the sink publishes them; one outcome for each. Entries of ours that are wrong are kept whole."""
    items = [_read(shop, data) for data in entries]
    _keep_for_listeners(shop, [item for item in items if item.event is not None])
    _signal(shop, [item for item in items if item.event is not None and item.outcome is None])
    _enter(shop, [item for item in items if item.event is not None and item.outcome is None])
    _publish(shop, items)
    return [item.answer() for item in items]


def _read(shop: Workshop, data: bytes) -> _Item:
    try:
        event = read_log_entry(data, now=shop.now())
    except EventRejected as error:
        return _Item(outcome=reject(shop, data, error.reason, str(error)))
    return _Item(event=event, outcome=None if event is not None else Outcome("not_ours"))


def reject(shop: Workshop, data: bytes, reason: str, detail: str) -> Outcome:
    """Keep the entry, with the reason; delivered again, it is the same document. Whole, unless no document can hold it."""
    identifier = derived_id("rejected", hashlib.sha256(data).hexdigest())
    if len(data) > MAX_REJECTED_BYTES:
        detail = f"{detail} (the first {MAX_REJECTED_BYTES:,} of {len(data):,} bytes are kept)"
    now, kept_data = shop.now(), data[:MAX_REJECTED_BYTES]
    record = RejectedEvent(identifier, reason, detail, kept_data, now, now + REJECTED_RETENTION, token=shop.tokens.token())
    kept = shop.create_many([record])[0]
    return Outcome("rejected", notes=(reason,)) if kept else UNAVAILABLE


def _keep_for_listeners(shop: Workshop, items: Sequence[_Item]) -> None:
    now = shop.now()
    records: dict[str, MemberEvent] = {}
    kept: list[tuple[_Item, str]] = []
    for item in items:
        event = item.event
        assert event is not None
        if any(event.name in active.head.listens for active in shop.catalog.active(event.bot_id)):
            record = MemberEvent(event, now, now + MEMBER_EVENT_RETENTION, token=shop.tokens.token())
            records[record.id] = record
            kept.append((item, record.id))
    created = dict(zip(records, shop.create_many(list(records.values())), strict=True))
    for item, identifier in kept:
        item.outcome = None if created[identifier] else UNAVAILABLE


def _signal(shop: Workshop, items: Sequence[_Item]) -> None:
    for item in items:
        event = item.event
        assert event is not None
        if any(event.name in active.head.listens for active in shop.catalog.active(event.bot_id)):
            listeners = shop.store.listeners(event.member_key, event.name)
            signals = [RunMessage(progress_id=identifier) for identifier in listeners]
            item.messages += [signal.to(RUNS_TOPIC, trace_id=event.trace_id) for signal in signals]
            item.notes += ["signaled"] * len(listeners)


def _enter(shop: Workshop, items: Sequence[_Item]) -> None:
    pairs = [(item, candidate) for item in items for candidate in _candidates(shop, item.event)]
    candidates = [candidate for _, candidate in pairs]
    entries = enter_many(shop, candidates)
    recorded = record_refusals(shop, candidates, entries)
    for (item, _), entry, kept in zip(pairs, entries, recorded, strict=True):
        item.notes.append(entry.outcome.code)
        item.messages += [entry.message] if entry.message else []
        if entry.outcome.retry or not kept:
            item.outcome = replace(UNAVAILABLE, notes=tuple(item.notes))


def _candidates(shop: Workshop, event: Event | None) -> list[Candidate]:
    """Each journey of the bot with the first of its triggers that has the event's name."""
    assert event is not None
    return [
        Candidate(active.head, active.definition, trigger, event)
        for active in shop.catalog.active(event.bot_id)
        for trigger in [t for t in active.definition.event_triggers if t.settings.name == event.name][:1]
    ]


def _publish(shop: Workshop, items: Sequence[_Item]) -> None:
    owners = [item for item in items for _ in item.messages]
    sent = shop.publish_many([message for item in items for message in item.messages])
    for item, taken in zip(owners, sent, strict=True):
        if not taken:
            item.outcome = UNAVAILABLE
