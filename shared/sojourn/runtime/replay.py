"""Ask the engine anew what it answered in a golden history: a difference breaks journeys that are already running.

Whoever changes the engine or the codec sees here what it means for members in flight, and then says so or mends it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from pydantic import JsonValue

from sojourn.adapters.firestore_json import from_json, to_json
from sojourn.domain.definition import Definition
from sojourn.domain.engine import Transition, advance_all, extended, failed, migrate, parked, retried, unparked
from sojourn.domain.event import Event
from sojourn.domain.loading import load_stored
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress
from sojourn.domain.stimulus import Cancel, Due, EffectFinished, EventReceived, Resume, Stimulus
from sojourn.runtime.golden import (
    Advance,
    Extend,
    Fail,
    Golden,
    Hop,
    Migrate,
    Park,
    Probe,
    Retry,
    Unpark,
    read_stimulus,
    write_stimulus,
)

LATER = timedelta(minutes=1)
"""After its last change, what could come to a member comes."""
RESULT: JsonValue = {"id": "m1"}
OVER: Mapping[str, tuple[str | None, JsonValue, str | None]] = {
    "DONE": (None, RESULT, None),
    "FAILED": ("404 from a receiver", None, "permanent"),
    "SKIPPED": ("message_quota of 5 is used up", None, None),
    "DEAD": ("503 from a receiver (5 attempts)", None, "transient"),
}
"""How an effect that a node awaits may be over: reason, result, and kind of failure by its status."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a member is, by which definition."""

    definition: Definition
    progress: Progress
    member: Member | None


def answered(golden: Golden) -> Golden:
    """The same with the answers of the engine as it is. Raises InputError where a document cannot be read any more."""
    found = list(states(golden))
    written = to_json(found[0].progress)
    lost = sorted(name for name, value in golden.document.items() if written.get(name) != value)
    hops = tuple(_answer(state, hop) for state, hop in zip(found, golden.hops, strict=False))
    probes = tuple(_answer(found[probe.after], probe) for probe in golden.probes)
    return golden.model_copy(update={"lost": tuple(lost), "hops": hops, "probes": probes})


def states(golden: Golden) -> Iterator[State]:
    """Where the member is to begin with, and after each hop; in between everything is written and read."""
    member = from_json(Member, golden.progress_id, golden.member) if golden.member is not None else None
    progress = from_json(Progress, golden.progress_id, golden.document)
    state = State(_definition(golden.definition), progress, member)
    yield state
    for hop in golden.hops:
        progress = _act(state, hop).progress
        definition = _definition(hop.action.definition) if isinstance(hop.action, Migrate) else state.definition
        state = State(definition, from_json(Progress, progress.id, to_json(progress)), member)
        yield state


def probed(golden: Golden, events: Sequence[Event] = ()) -> Golden:
    """The same with a probe of each thing that could come in each of its states: every kind of stimulus, each of `events`."""
    probes = [
        Probe(after=after, now=now, action=Advance(do="advance", stimuli=tuple(map(write_stimulus, stimuli))))
        for after, state in enumerate(states(golden))
        for now, stimuli in _could_come(state.progress, events)
    ]
    return answered(golden.model_copy(update={"probes": tuple(probes)}))


def _could_come(progress: Progress, events: Sequence[Event]) -> Iterator[tuple[datetime, tuple[Stimulus, ...]]]:
    """The first event also comes together with the end of the wait, and from before the wait began."""
    now, due = progress.updated_at + LATER, progress.schedule_at
    yield now, (Resume(),)
    yield now, (Cancel("journey ended"),)
    if due is not None:
        yield due, (Due(due),)
    if progress.awaits is not None:
        for outcome, (reason, result, failure) in OVER.items():
            yield now, (EffectFinished(progress.awaits, outcome, now, reason, result, failure),)
        yield now, (EffectFinished("of another node", "DONE", now),)
    listened = [replace(event, occurred_at=now) for event in events if event.name in progress.listens]
    for event in listened:
        yield now, (EventReceived(event),)
    for event in listened[:1]:
        yield now, (EventReceived(replace(event, occurred_at=progress.since - LATER)),)
        if due is not None:
            yield due, (EventReceived(event), Due(due))


def _answer(state: State, hop: Hop) -> Hop:
    before, transition = to_json(state.progress), _act(state, hop)
    after = to_json(transition.progress)
    changes = {name: after.get(name) for name in sorted({*before, *after}) if before.get(name) != after.get(name)}
    effects = {effect.id: dict(to_json(effect)) for effect in transition.effects}
    return hop.model_copy(update={"changes": changes, "effects": effects})


def _act(state: State, hop: Hop) -> Transition:
    progress, now = state.progress, hop.now
    match hop.action:
        case Advance(stimuli=given, max_nodes=most):
            stimuli = [read_stimulus(one) for one in given]
            return advance_all(state.definition, progress, stimuli, member=state.member, now=now, max_nodes=most)
        case Park():
            return Transition(parked(progress, now=now))
        case Unpark(at=at):
            return Transition(unparked(progress, at=at, now=now))
        case Extend(seconds=seconds, resume=resume):
            return Transition(extended(progress, seconds=seconds, resume=resume, now=now))
        case Migrate(version=version, definition=raw, nodes=nodes):
            newer = _definition(raw)
            return Transition(migrate(state.definition, newer, progress, version=version, nodes=nodes, now=now))
        case Fail(reason=reason):
            return Transition(failed(progress, reason=reason, now=now))
        case Retry():
            return Transition(retried(progress, state.definition, now=now))
        case _:
            assert_never(hop.action)


def _definition(raw: Mapping[str, JsonValue]) -> Definition:
    return load_stored(json.dumps(raw))
