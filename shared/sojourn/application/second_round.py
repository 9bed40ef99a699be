"""Dead letters that no document tells anything about: log entries, firings, whatever nobody can read.

::

    first letter ─▶ rejected_events, OPEN ─▶ published once more ─▶ REPLAYED        the store may have been away
    a letter again, published at another moment ─▶ OPEN                            for an operator
    a letter again, published at the same moment ─▶ nothing                        its acknowledgement was lost

Written first, published then, marked at last: a drain that dies in between does it again when the letter comes again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sojourn.application.messages import ENROLLMENTS_TOPIC, EnrollMessage, read_message
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import DeadLetter, Outgoing
from sojourn.application.records import CommitResult, Create, Stored, Update
from sojourn.application.workshop import Workshop
from sojourn.domain.errors import MessageInvalid
from sojourn.domain.ids import derived_id
from sojourn.domain.journey import REJECTED_RETENTION, RejectedEvent

REASON = "dead_lettered"
"""What lists and bulk repairs go by."""
SENT_AGAIN, GIVEN_UP, KEPT = Outcome("sent_again"), Outcome("given_up"), Outcome("kept")


def why(letter: DeadLetter) -> str:
    """What Pub/Sub says of a letter."""
    return f"{letter.subscription} gave its message up after {letter.attempts} deliveries"


def keep(shop: Workshop, letters: Sequence[DeadLetter]) -> dict[str, Outcome]:
    """Keep letters, and publish each once more or leave it to an operator; the outcome of each, by its id.

    Of several with the same bytes one is taken at a time.
    """
    records = {letter.id: _record(shop, letter) for letter in letters}
    turns = {record.id: record for record in reversed(records.values())}
    outcomes = _take_turns(shop, turns)
    return {
        identifier: outcomes[record.id] if record.published_at == turns[record.id].published_at else UNAVAILABLE
        for identifier, record in records.items()
    }


def _record(shop: Workshop, letter: DeadLetter) -> RejectedEvent:
    now, data = shop.now(), _data(letter)
    return RejectedEvent(
        id=derived_id("dead_letter", letter.topic or "", hashlib.sha256(data).hexdigest()),
        reason=REASON,
        detail=why(letter),
        data=data,
        created_at=now,
        expire_at=now + REJECTED_RETENTION,
        topic=letter.topic or "",
        published_at=letter.published_at,
        token=shop.tokens.token(),
    )


def _data(letter: DeadLetter) -> bytes:
    """A schedule names its firing by when the message was published: a firing that is published again says when that was."""
    try:
        firing = read_message(EnrollMessage, letter.data) if letter.topic == ENROLLMENTS_TOPIC else None
    except MessageInvalid:
        return letter.data
    if firing is None or firing.struck_at is not None:
        return letter.data
    return firing.model_copy(update={"struck_at": letter.published_at}).to(ENROLLMENTS_TOPIC).data


def _take_turns(shop: Workshop, records: Mapping[str, RejectedEvent]) -> dict[str, Outcome]:
    """Write down what is not there yet, and take what is there one turn further."""
    created = shop.commit_many([(Create(record),) for record in records.values()])
    outcomes = {
        identifier: Outcome("refused") if result is CommitResult.REFUSED else UNAVAILABLE
        for identifier, result in zip(records, created, strict=True)
    }
    found = shop.store.get_many(RejectedEvent, list(records)) if records else []
    kept = {one.value.id: one for one in found if one is not None}
    outcomes |= {identifier: _turn(records[identifier], one.value) for identifier, one in kept.items()}
    again = _published(shop, [one for identifier, one in kept.items() if outcomes[identifier] is SENT_AGAIN])
    over = [one for identifier, one in kept.items() if outcomes[identifier] is GIVEN_UP]
    done = _marked(shop, again, replayed_at=shop.now()) | _marked(shop, over, replayed_at=None)
    half_done = {identifier for identifier, outcome in outcomes.items() if outcome in (SENT_AGAIN, GIVEN_UP)} - done
    return outcomes | dict.fromkeys(half_done, UNAVAILABLE)


def _turn(letter: RejectedEvent, kept: RejectedEvent) -> Outcome:
    """What a letter, as it would be kept, does to what is kept of it."""
    is_first, is_open = letter.published_at == kept.published_at, kept.replayed_at is None
    if is_first is is_open and kept.topic:
        return SENT_AGAIN if is_first else GIVEN_UP
    return KEPT if is_open else Outcome("duplicate")


def _published(shop: Workshop, kept: Sequence[Stored[RejectedEvent]]) -> list[Stored[RejectedEvent]]:
    """Those that their topic took."""
    sent = shop.publish_many([Outgoing(one.value.topic, one.value.data) for one in kept])
    return [one for one, taken in zip(kept, sent, strict=True) if taken]


def _marked(shop: Workshop, kept: Sequence[Stored[RejectedEvent]], *, replayed_at: datetime | None) -> set[str]:
    """The ids of those of which it could be written down."""
    marks = [replace(one.value, replayed_at=replayed_at, rev=one.value.rev + 1, token=shop.tokens.token()) for one in kept]
    results = shop.commit_many([(Update(mark, one.version),) for mark, one in zip(marks, kept, strict=True)])
    return {mark.id for mark, result in zip(marks, results, strict=True) if result is CommitResult.APPLIED}
