"""Entry: may this member start this journey because of this event? And the one write that makes it so, exactly once.

::

    gate ─▶ filter ─▶ entry key ─▶ repeat rule ─▶ create(progress)  [+ compare-and-set entries, where the rule counts]

The progress id is a hash of the entry key, so the same event delivered again, in any order, to any number of instances at once,
finds the progress that is there. Where a publication changed the rules, ids and counts of before say nothing, and the member's
passages are looked through. Every refusal has a word, which is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sojourn.application.messages import message_about
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.records import Commit, CommitResult, Create, Stored, Update, Write
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.event import Event
from sojourn.domain.expression import Expression, Scope, as_json, as_text, compile_expression, decided_by, scope
from sojourn.domain.ids import progress_id
from sojourn.domain.journey import Entries, Journey, JourneyStatus, entries_id
from sojourn.domain.journey_settings import Settings
from sojourn.domain.member import Member
from sojourn.domain.node import Trigger, entry_filter
from sojourn.domain.progress import Progress, Status, due_for_sweep

ENROLLED_EVENT = "journey.enrolled"
"""The event by which members enter when a journey or somebody from outside asks for it."""
RULES_OVERLAP = timedelta(hours=1)
"""An event that happened up to so long after the rules changed may have been here before: clocks differ."""
ONCE = "1"
"""The entry key of a journey that a member enters once: the progress id itself is the count."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member who may enter: the journey as it stands, the trigger that the event matched, the event.

    `member` saves reading the document, where the caller has it.
    """

    head: Journey
    definition: Definition
    trigger: Trigger
    event: Event
    member: Member | None = None


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
    drafts = {index: _draft(shop, candidates[index], now) for index in indices}
    plans = _plans(shop, candidates, drafts)
    decided: dict[int, Entry | None] = {index: Entry(plan) for index, plan in plans.items() if isinstance(plan, Outcome)}
    commits = {index: plan for index, plan in plans.items() if not isinstance(plan, Outcome)}
    taken: dict[int, Progress] = {}
    for (index, commit), result in zip(commits.items(), shop.commit_many(list(commits.values())), strict=True):
        progress = commit[0].record
        assert isinstance(progress, Progress)
        if result is CommitResult.APPLIED:
            decided[index] = Entry(Outcome("entered"), message_about(progress))
        elif result is CommitResult.CONFLICT and len(commit) == 1:
            taken[index] = progress
    found = shop.store.get_many(Progress, [progress.id for progress in taken.values()]) if taken else []
    return decided | {index: _already(candidates[index], there) for index, there in zip(taken, found, strict=True)}


def _already(candidate: Candidate, found: Stored[Progress] | None) -> Entry:
    """The progress was there. By this event: a duplicate, and its first message may have been lost; by another: a refusal."""
    if found is None or found.value.trigger.id != candidate.event.id:
        return Entry(Outcome("entry_key_taken" if candidate.definition.settings.entry_key else "repeat_limit"))
    return Entry(Outcome("duplicate"), message_about(found.value) if found.value.status is Status.READY else None)


def _draft(shop: Workshop, candidate: Candidate, now: datetime) -> Progress | Outcome:
    """The progress that the candidate would enter with, or the refusal."""
    settings = candidate.definition.settings
    refusal = gate(candidate.head, candidate.definition, now) or _filter(shop, candidate, now)
    if refusal is not None:
        return Outcome(refusal)
    if settings.entry_key is not None:
        key = _keyed(shop, candidate, settings.entry_key, now)
        return _progress(shop, candidate, key, now) if key is not None else Outcome("entry_key_missing")
    return _progress(shop, candidate, ONCE if settings.repeat_journey_times == 1 else candidate.event.id, now)


def _plans(
    shop: Workshop, candidates: Sequence[Candidate], drafts: Mapping[int, Progress | Outcome]
) -> dict[int, Commit | Outcome]:
    """The commit that lets each draft in, or the refusal; the counts that rules look at are read for all at once."""
    plans: dict[int, Commit | Outcome] = {}
    counted: dict[int, Progress] = {}
    for index, draft in drafts.items():
        candidate = candidates[index]
        if isinstance(draft, Outcome):
            plans[index] = draft
        elif candidate.definition.settings.counts_entries:
            counted[index] = draft
        else:
            settings = candidate.definition.settings
            unlimited = settings.repeat_journey_times is None  # otherwise once, and the id is the count
            earlier = _passages(shop, draft) if _looks_back(candidate, counted=unlimited) else []
            plans[index] = _refused(settings, draft, earlier, len(earlier)) or (Create(draft),)
    ids = [entries_of(draft) for draft in counted.values()]
    stored = dict(zip(counted, shop.store.get_many(Entries, ids), strict=True)) if counted else {}
    known = {draft.id for draft in counted.values()} | {
        one.value.last_progress_id for one in stored.values() if one is not None
    }
    there = [one.value for one in shop.store.get_many(Progress, sorted(known)) if one is not None] if known else []
    found = {progress.id: progress for progress in there}
    for index, draft in counted.items():
        candidate, entries = candidates[index], stored[index]
        holds = entries is not None and _counts(candidate.head, entries.value)
        before = _passages(shop, draft) if _looks_back(candidate, counted=holds) else None
        plans[index] = _counted(candidate.definition.settings, draft, entries, found, before)
    return plans


def _looks_back(candidate: Candidate, *, counted: bool) -> bool:
    """Whether passages by other rules may matter: to whether the event was here, or to a count that does not know of them."""
    changed_at = candidate.head.entry_rules_at
    return changed_at is not None and (not counted or candidate.event.occurred_at < changed_at + RULES_OVERLAP)


def _counts(head: Journey, entries: Entries) -> bool:
    """Whether the count was last written by the present rules, and so knows of all passages."""
    return head.version is not None and head.entry_rules_since <= entries.version <= head.version


def _passages(shop: Workshop, draft: Progress) -> list[Progress]:
    """The member's passages through the journey by whatever version, the newest first; of all journeys the newest MAX_PAGE."""
    found = shop.store.newest(Progress, {"member_key": draft.member_key})
    return [stored.value for stored in found if stored.value.journey_id == draft.journey_id]


def gate(head: Journey, definition: Definition, now: datetime) -> str | None:
    """PAUSED and not yet started journeys let nobody in (design, section 3)."""
    settings = definition.settings
    if head.status is JourneyStatus.PAUSED:
        return "paused"
    if head.status is not JourneyStatus.ONGOING or (settings.schedule_end_at and now >= settings.schedule_end_at):
        return "ended"
    return "not_started" if settings.schedule_start_at and now < settings.schedule_start_at else None


def _filter(shop: Workshop, candidate: Candidate, now: datetime) -> str | None:
    condition = entry_filter(candidate.trigger)
    if condition is None:
        return None
    expression = compile_expression(condition)
    return None if expression.holds(_scope(shop, candidate, expression, now)).value else "filter"


def _keyed(shop: Workshop, candidate: Candidate, source: str, now: datetime) -> str | None:
    """The value of the `entry_key` expression, marked so that no value can be taken for an event id."""
    expression = compile_expression(source)
    value = as_json(expression.evaluate(_scope(shop, candidate, expression, now)).value)
    return None if value is None or isinstance(value, dict | list) else f"key:{as_text(value)}"


def looked_at(shop: Workshop, candidate: Candidate, source: str) -> str:
    """What a filter or an entry key saw, for whoever asks why: what was missing, or the values that decided."""
    expression = compile_expression(source)
    variables = _scope(shop, candidate, expression, shop.now())
    values = decided_by([source], variables)
    return expression.evaluate(variables).reason or (f"{source} ({values})" if values else source)


def _scope(shop: Workshop, candidate: Candidate, expression: Expression, now: datetime) -> Scope:
    """What an entry's expressions see; the member's document is read only where the expression names `member`."""
    event = candidate.event.variables()
    journey = {"id": candidate.head.id, "name": candidate.head.name, "version": candidate.head.version}
    member = _member(shop, candidate) if "member" in expression.variables else {}
    values = {"event": event, "trigger": event, "journey": journey, "member": member, "context": {}, "now": now}
    return scope(values, expression.variables)


def _member(shop: Workshop, candidate: Candidate) -> dict[str, object]:
    if candidate.member is not None:
        return candidate.member.variables()
    stored = shop.store.get_many(Member, [candidate.event.member_key])[0]
    return stored.value.variables() if stored else {"id": candidate.event.member_id, "attributes": {}}


def _counted(
    settings: Settings,
    progress: Progress,
    stored: Stored[Entries] | None,
    found: Mapping[str, Progress],
    before: Sequence[Progress] | None,
) -> Commit | Outcome:
    """Rules that need a count: entries and progress are committed together, so neither is ever there without the other.

    `before`: all earlier passages, where the count does not hold; otherwise the last one says whether any is on the way.
    """
    existing = found.get(progress.id)  # also without a count: a version before this one may not have counted
    if existing is not None:
        return Outcome("duplicate" if existing.trigger.id == progress.trigger.id else "entry_key_taken")
    last = found.get(stored.value.last_progress_id) if stored is not None else None
    passages = before if before is not None else [last] if last is not None else []
    count = max(stored.value.count if stored is not None else 0, len(passages))
    refused = _refused(settings, progress, passages, count)
    return refused or (Create(progress), count_passage(stored, progress, count=count + 1, token=progress.token))


def _refused(settings: Settings, progress: Progress, passages: Sequence[Progress], count: int) -> Outcome | None:
    """Why the member may not enter once more, after so many times, `passages` among them."""
    if any(one.trigger.id == progress.trigger.id for one in passages):
        return Outcome("duplicate")
    if settings.repeat_journey_times is not None and count >= settings.repeat_journey_times:
        return Outcome("repeat_limit")
    if settings.skips_while_active and any(not one.status.terminal for one in passages):
        return Outcome("already_active")
    return None


def entries_of(progress: Progress) -> str:
    """The id of the count that a passage is in."""
    return entries_id(progress.journey_id, progress.bot_id, progress.member_id)


def count_passage(stored: Stored[Entries] | None, progress: Progress, *, count: int, token: str) -> Write:
    """The count, with this passage as the last of so many."""
    entries = Entries(
        entries_of(progress),
        progress.journey_id,
        progress.member_key,
        count,
        last_progress_id=progress.id,
        updated_at=progress.created_at,
        version=progress.version,
        rev=stored.value.rev + 1 if stored is not None else 1,
        token=token,
    )
    return Update(entries, stored.version) if stored is not None else Create(entries)


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
