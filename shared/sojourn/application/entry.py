"""Entry: may this member start this journey because of this event? And the one write that makes it so, exactly once.

::

    gate ─▶ filter ─▶ entry key ─▶ repeat rule ─▶ create(progress)  [+ compare-and-set entries, where the rule counts]

The progress id is a hash of the entry key, so the same event delivered again, in any order, to any number of instances at once,
finds the progress that is there. Every refusal has a word, which is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sojourn.application.messages import RUNS_TOPIC, RunMessage
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import Commit, CommitResult, Create, Outgoing, Stored, Update
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.event import Event
from sojourn.domain.expression import Expression, Scope, as_json, as_text, compile_expression, scope
from sojourn.domain.ids import progress_id
from sojourn.domain.journey import Entries, Journey, JourneyStatus, entries_id
from sojourn.domain.member import Member
from sojourn.domain.node import Trigger
from sojourn.domain.progress import Progress, Status, due_for_sweep

ONCE = "1"
"""The entry key of a journey that a member enters once: the progress id itself is the count."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member who may enter: the journey as it stands, the trigger that the event matched, the event."""

    head: Journey
    definition: Definition
    trigger: Trigger
    event: Event


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a candidate; `message` starts the first hop, where there is something to start."""

    outcome: Outcome
    message: Outgoing | None = None


def enter_many(shop: Workshop, candidates: Sequence[Candidate]) -> list[Entry]:
    """Let the candidates in, or say why not. One that loses a compare-and-set is looked at again."""
    entries: list[Entry | None] = [None] * len(candidates)
    open_ones = list(range(len(candidates)))
    for _ in range(MAX_ROUNDS + len(candidates)):
        if not open_ones:
            break
        decided = _round(shop, candidates, _first_of_each(candidates, open_ones))
        for index, entry in decided.items():
            entries[index] = entry
        open_ones = [index for index in open_ones if entries[index] is None]
    return [entry or Entry(UNAVAILABLE) for entry in entries]


def _first_of_each(candidates: Sequence[Candidate], indices: Sequence[int]) -> list[int]:
    """At most one candidate of each member and journey: two would write the same documents."""
    first = {(candidates[index].head.id, candidates[index].event.member_key): index for index in reversed(indices)}
    return sorted(first.values())


def _round(shop: Workshop, candidates: Sequence[Candidate], indices: Sequence[int]) -> dict[int, Entry | None]:
    now = shop.now()
    decided: dict[int, Entry | None] = {}
    commits: dict[int, Commit] = {}
    for index in indices:
        plan = _plan(shop, candidates[index], now)
        if isinstance(plan, tuple):
            commits[index] = plan
        else:
            decided[index] = Entry(plan)
    for (index, commit), result in zip(commits.items(), shop.commit_many(list(commits.values())), strict=True):
        if result is CommitResult.APPLIED:
            decided[index] = _entered(commit)
        elif result is CommitResult.CONFLICT and len(commit) == 1:
            decided[index] = _already(shop, candidates[index], commit)
    return decided


def _entered(commit: Commit) -> Entry:
    progress = commit[0].record
    assert isinstance(progress, Progress)
    return Entry(Outcome("entered"), RunMessage(progress_id=progress.id, rev=progress.rev).to(RUNS_TOPIC))


def _already(shop: Workshop, candidate: Candidate, commit: Commit) -> Entry:
    """The progress was there. By this event: a duplicate, and its first message may have been lost; by another: a refusal."""
    found = shop.store.get_many(Progress, [commit[0].record.id])[0]
    if found is None or found.value.trigger.id != candidate.event.id:
        return Entry(Outcome("entry_key_taken" if candidate.definition.settings.entry_key else "repeat_limit"))
    first = RunMessage(progress_id=found.value.id, rev=found.value.rev).to(RUNS_TOPIC)
    return Entry(Outcome("duplicate"), first if found.value.status is Status.READY else None)


def _plan(shop: Workshop, candidate: Candidate, now: datetime) -> Commit | Outcome:
    """The commit that lets the candidate in, or the refusal."""
    refusal = _gate(candidate.head, candidate.definition, now) or _filter(shop, candidate, now)
    if refusal is not None:
        return Outcome(refusal)
    settings = candidate.definition.settings
    key: str | None = candidate.event.id
    if settings.entry_key is not None:
        key = _keyed(shop, candidate, settings.entry_key, now)
        if key is None:
            return Outcome("entry_key_missing")
    if settings.repeat_journey_times == 1 and settings.entry_key is None:
        return (Create(_progress(shop, candidate, ONCE, now)),)
    assert key is not None
    if settings.repeat_journey_times is None and not settings.skips_while_active:
        return (Create(_progress(shop, candidate, key, now)),)
    return _counted(shop, candidate, _progress(shop, candidate, key, now))


def _gate(head: Journey, definition: Definition, now: datetime) -> str | None:
    """PAUSED and not yet started journeys let nobody in (design, section 3)."""
    settings = definition.settings
    if head.status is JourneyStatus.PAUSED:
        return "paused"
    if head.status is not JourneyStatus.ONGOING or (settings.schedule_end_at and now >= settings.schedule_end_at):
        return "ended"
    return "not_started" if settings.schedule_start_at and now < settings.schedule_start_at else None


def _filter(shop: Workshop, candidate: Candidate, now: datetime) -> str | None:
    condition = candidate.trigger.settings.filter if candidate.trigger.key == "event" else None
    if condition is None:
        return None
    expression = compile_expression(condition)
    return None if expression.holds(_scope(shop, candidate, expression, now)).value else "filter"


def _keyed(shop: Workshop, candidate: Candidate, source: str, now: datetime) -> str | None:
    """The value of the `entry_key` expression, marked so that no value can be taken for an event id."""
    expression = compile_expression(source)
    value = as_json(expression.evaluate(_scope(shop, candidate, expression, now)).value)
    return None if value is None or isinstance(value, dict | list) else f"key:{as_text(value)}"


def _scope(shop: Workshop, candidate: Candidate, expression: Expression, now: datetime) -> Scope:
    """What an entry's expressions see; the member's document is read only where the expression names `member`."""
    event = candidate.event.variables()
    journey = {"id": candidate.head.id, "name": candidate.head.name, "version": candidate.head.version}
    reads = "member" in expression.variables
    stored = shop.store.get_many(Member, [candidate.event.member_key])[0] if reads else None
    member = stored.value.variables() if stored else {"id": candidate.event.member_id, "attributes": {}}
    values = {"event": event, "trigger": event, "journey": journey, "member": member, "context": {}, "now": now}
    return scope(values, expression.variables)


def _counted(shop: Workshop, candidate: Candidate, progress: Progress) -> Commit | Outcome:
    """Rules that need a count: entries and progress are committed together, so neither is ever there without the other."""
    event, settings = candidate.event, candidate.definition.settings
    identifier = entries_id(candidate.head.id, event.bot_id, event.member_id)
    stored = shop.store.get_many(Entries, [identifier])[0]
    if stored is None:
        first = Entries(identifier, candidate.head.id, event.member_key, 1, progress.id, progress.created_at)
        return Create(progress), Create(replace(first, token=progress.token))
    existing, last = shop.store.get_many(Progress, [progress.id, stored.value.last_progress_id])
    if existing is not None:
        return Outcome("duplicate" if existing.value.trigger.id == event.id else "entry_key_taken")
    if settings.repeat_journey_times is not None and stored.value.count >= settings.repeat_journey_times:
        return Outcome("repeat_limit")
    if settings.skips_while_active and last is not None and not last.value.status.terminal:
        return Outcome("already_active")
    return Create(progress), _count(stored, progress)


def _count(stored: Stored[Entries], progress: Progress) -> Update:
    entries = replace(
        stored.value,
        count=stored.value.count + 1,
        last_progress_id=progress.id,
        updated_at=progress.created_at,
        rev=stored.value.rev + 1,
        token=progress.token,
    )
    return Update(entries, stored.version)


def _progress(shop: Workshop, candidate: Candidate, entry_key: str, now: datetime) -> Progress:
    head, event = candidate.head, candidate.event
    assert head.version is not None, "only published journeys are entered"
    progress = Progress(
        id=progress_id(event.bot_id, head.id, event.member_id, entry_key),
        journey_id=head.id,
        version=head.version,
        bot_id=event.bot_id,
        member_id=event.member_id,
        member_key=event.member_key,
        entry_key=entry_key,
        status=Status.READY,
        node_id=candidate.trigger.id,
        trigger=event,
        since=event.occurred_at,
        rev=1,
        token="",
        created_at=now,
        updated_at=now,
        listens=tuple(sorted(candidate.definition.always_listens)),
        consumed=(event.id,),
        extended=head.resumes,
    )
    return shop.stamp_progress(replace(progress, sweep_at=due_for_sweep(progress, now=now)), rev=1)
