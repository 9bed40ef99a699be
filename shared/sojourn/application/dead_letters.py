"""Dead letters: messages that nobody acknowledged within their delivery attempts, drained into the store.

::

    a run, an effect ─▶ does it still matter? ─ no ──▶ duplicate
                          │ yes: was it swept in vain?
                          ├─ no ───▶ handed back to the sweep                     (the store was away, not the member ill)
                          └─ yes ──▶ ERROR, DEAD: with the reason, for an operator
    a log entry, a firing ─▶ rejected_events ─▶ published once more ─▶ a letter again ─▶ stays, for an operator
    a tick, a page ─▶ dropped: the next tick does the same

A letter does not say why nobody acknowledged it. The document does: a sweep that could bump it found the store in order, so the
message itself is what fails. First the store is written, then the letter acknowledged; a letter that comes again finds it done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from sojourn.application.messages import (
    EFFECTS_TOPIC,
    ENROLLMENTS_TOPIC,
    RUNS_TOPIC,
    SWEEPS_TOPIC,
    EffectMessage,
    EnrollMessage,
    Message,
    RunMessage,
    read_message,
)
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import DeadLetter
from sojourn.application.quota import give_back
from sojourn.application.records import CommitResult, S, Stored, Update
from sojourn.application.second_round import REASON, keep, why
from sojourn.application.workshop import Workshop
from sojourn.domain.delivery import closed
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.engine import failed
from sojourn.domain.errors import MessageInvalid
from sojourn.domain.progress import Progress, Status

PULL_SIZE = 100
MAX_LETTERS_PER_TICK = 1_000
GIVE_UP_AFTER = 3
"""Sweeps that changed nothing, seven minutes or so: then a dead letter is believed."""

M = TypeVar("M", bound=Message)
Judge = Callable[[Workshop, DeadLetter, S, datetime], S | None]
"""What becomes of a document for a letter about it: the same one, it is the sweep's already; None: the letter is overtaken."""


def drain_all(shop: Workshop, *, limit: int = MAX_LETTERS_PER_TICK) -> Counter[str]:
    """Drain what waits, about `limit` letters at most; how many came to what. Raises Unavailable."""
    counts: Counter[str] = Counter()
    while counts.total() < limit and (letters := shop.dead_letters.pull(min(PULL_SIZE, limit - counts.total()))):
        outcomes = drain(shop, letters)
        done = [letter for letter, outcome in zip(letters, outcomes, strict=True) if not outcome.retry]
        shop.dead_letters.acknowledge(done)
        counts.update(outcome.code for outcome in outcomes)
        if len(done) < len(letters):
            break
    return counts


def drain(shop: Workshop, letters: Sequence[DeadLetter]) -> list[Outcome]:
    """Write down what each letter comes to; `retry`: let it come again."""
    runs = [letter for letter in letters if letter.topic == RUNS_TOPIC and _message(RunMessage, letter)]
    effects = [letter for letter in letters if letter.topic == EFFECTS_TOPIC and _message(EffectMessage, letter)]
    outcomes = _settle(shop, Progress, runs, _judge_progress) | _settle(shop, Effect, effects, _judge_effect)
    dropped = Outcome("dropped")
    outcomes |= {letter.id: dropped for letter in letters if letter.topic == SWEEPS_TOPIC or _is_page(letter)}
    outcomes |= keep(shop, [letter for letter in letters if letter.id not in outcomes])
    return [outcomes[letter.id] for letter in letters]


def _is_page(letter: DeadLetter) -> bool:
    """An enrollment that has begun asks for its own pages."""
    message = _message(EnrollMessage, letter) if letter.topic == ENROLLMENTS_TOPIC else None
    return message is not None and message.fired_at is not None


def _message(kind: type[M], letter: DeadLetter) -> M | None:
    try:
        return read_message(kind, letter.data)
    except MessageInvalid:
        return None


# Runs and effects


def _settle(shop: Workshop, kind: type[S], letters: Sequence[DeadLetter], judge: Judge[S]) -> dict[str, Outcome]:
    """The outcomes of letters, by id. Letters about one document are one write.

    A signal for who has left and listens for the goal is not among them: no sweep would ever give it to them.
    """
    now = shop.now()
    about = {letter.id: _subject(letter) for letter in letters}
    found = {one.value.id: one for one in shop.store.get_many(kind, sorted(set(about.values()))) if one} if letters else {}
    judged: dict[str, S | None] = {}
    for letter in letters:
        stored = found.get(about[letter.id])
        if stored is None or not _only_listens(stored.value):
            judged[letter.id] = judge(shop, letter, stored.value, now) if stored else None
    written = _write(shop, found, {after.id: after for after in judged.values() if after is not None})
    return {identifier: _outcome(after, written) for identifier, after in judged.items()}


def _only_listens(record: Progress | Effect) -> bool:
    return isinstance(record, Progress) and record.status.terminal and bool(record.listens)


def _subject(letter: DeadLetter) -> str:
    if letter.topic == RUNS_TOPIC:
        return read_message(RunMessage, letter.data).progress_id
    return read_message(EffectMessage, letter.data).effect_id


def _write(shop: Workshop, found: Mapping[str, Stored[S]], after: Mapping[str, S]) -> dict[str, CommitResult]:
    changed = [record for identifier, record in after.items() if record is not found[identifier].value]
    results = shop.commit_many([(Update(record, found[record.id].version),) for record in changed])
    return {
        record.id: _follow_up(shop, record, found[record.id].version, result)
        for record, result in zip(changed, results, strict=True)
    }


def _follow_up(shop: Workshop, record: Progress | Effect, version: object, result: CommitResult) -> CommitResult:
    """A progress that is full has no room for another step: the trail makes way for the one that counts.

    A DEAD effect: what `perform` does after a failure. The quota gets its message back, the member may await the result.
    """
    if isinstance(record, Progress):
        if result is CommitResult.REFUSED and record.status is Status.ERROR:
            short = failed(record, reason=record.end_reason or REASON, now=record.updated_at, short=True)
            return shop.commit_many([(Update(shop.stamp_progress(short, rev=record.rev), version),)])[0]
    elif record.status is EffectStatus.DEAD and result is CommitResult.APPLIED:
        if record.rest is None:
            give_back(shop, record)
        shop.publish_many([RunMessage(progress_id=record.progress_id).to(RUNS_TOPIC, trace_id=record.trace_id)])
    return result


def _outcome(after: Progress | Effect | None, written: Mapping[str, CommitResult]) -> Outcome:
    if after is None:
        return Outcome("duplicate")
    match written.get(after.id):
        case CommitResult.CONFLICT | CommitResult.UNKNOWN:
            return UNAVAILABLE
        case CommitResult.REFUSED:
            return Outcome("refused")
        case _:
            return Outcome(after.status.lower() if after.status.terminal else "handed_back")


def _judge_progress(shop: Workshop, letter: DeadLetter, progress: Progress, now: datetime) -> Progress | None:
    message = read_message(RunMessage, letter.data)
    moved = progress.updated_at > letter.published_at if message.rev is None else progress.rev != message.rev
    if moved or progress.parked or progress.status.terminal:
        return None
    if progress.sweep_count >= GIVE_UP_AFTER:
        return shop.stamp_progress(failed(progress, reason=_reason(letter), now=now), rev=progress.rev + 1)
    if progress.sweep_at is not None and progress.sweep_at <= now:
        return progress
    return shop.stamp_progress(replace(progress, sweep_at=now), rev=progress.rev)


def _judge_effect(shop: Workshop, letter: DeadLetter, effect: Effect, now: datetime) -> Effect | None:
    """Claimed since, under a lease, put off: then somebody else looks after it."""
    later = effect.not_before if effect.status is EffectStatus.PENDING else effect.sweep_at
    cared_for = effect.updated_at > letter.published_at or (later is not None and later > now)
    if cared_for or effect.parked or effect.status.terminal:
        return None
    if effect.sweep_count >= GIVE_UP_AFTER:
        dead = closed(effect, EffectStatus.DEAD, _reason(letter), now=now, failure="system")
        return shop.stamp_effect(dead, rev=effect.rev + 1)
    if effect.sweep_at is not None and effect.sweep_at <= now:
        return effect
    return shop.stamp_effect(replace(effect, sweep_at=now), rev=effect.rev)


def _reason(letter: DeadLetter) -> str:
    return f"{REASON}: {why(letter)}"
