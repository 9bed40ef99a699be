"""How a golden history is first made: a member enters, one thing after another happens, the engine says what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from pydantic import JsonValue

from sojourn.adapters.firestore_json import to_json
from sojourn.application.entry import Candidate, enter_many
from sojourn.application.lifecycle import publish_journey
from sojourn.application.records import Create
from sojourn.domain.definition import Definition
from sojourn.domain.event import Event
from sojourn.domain.loading import dump_definition, parse_definition
from sojourn.domain.member import Member
from sojourn.domain.node import ApiTrigger, EventTrigger, ScheduleTrigger
from sojourn.domain.progress import Progress
from sojourn.domain.stimulus import Cancel, Due, EffectFinished, EventReceived, Resume, Stimulus
from sojourn.runtime.application import in_memory
from sojourn.runtime.golden import Action, Advance, Extend, Fail, Golden, Hop, Migrate, Park, Retry, Unpark, write_stimulus
from sojourn.runtime.replay import OVER, probed, states
from tests.builders import BOT, MEMBER, START

Node: TypeAlias = dict[str, JsonValue]
Step: TypeAlias = Callable[[Progress], tuple[datetime, Action]]
"""What happens to a member who is there, and when."""
JOINED = Event("joined-1", "joined", BOT, MEMBER, START, {"bot_id": BOT, "member_id": MEMBER, "total": 42, "plan": "gold"})


@dataclass(frozen=True, slots=True)
class Script:
    """`by` is the node that the member comes in through; `events` are tried in every state that listens for them."""

    about: str
    nodes: Sequence[Node]
    steps: Sequence[Step]
    by: str = "start"
    came: Event = JOINED
    member: Member | None = None
    events: Sequence[Event] = ()
    settings: JsonValue = field(default_factory=dict)


def parsed(nodes: Sequence[Node], settings: JsonValue) -> Definition:
    """A journey of these nodes, each of which says what follows it."""
    return parse_definition({"id": "journey-1", "bot_id": BOT, "name": "A journey", "nodes": list(nodes), "settings": settings})


def recorded(script: Script) -> Golden:
    """Play it. Each hop is asked for in the state that the one before left."""
    definition = parsed(script.nodes, script.settings)
    progress = entered(definition, script)
    golden = Golden(
        about=script.about,
        progress_id=progress.id,
        definition=json.loads(dump_definition(definition)),
        member=dict(to_json(script.member)) if script.member else None,
        document=dict(to_json(progress)),
    )
    for step in script.steps:
        *_, state = states(golden)
        now, action = step(state.progress)
        golden = golden.model_copy(update={"hops": (*golden.hops, Hop(now=now, action=action))})
    return probed(golden, script.events)


def entered(definition: Definition, script: Script) -> Progress:
    """As entering writes it, with a token that is the same every time."""
    memory = in_memory(START)
    if script.member is not None:
        memory.store.commit_many([(Create(script.member),)])
    head = publish_journey(memory.shop, definition)
    trigger = definition.by_id[script.by]
    assert isinstance(trigger, EventTrigger | ApiTrigger | ScheduleTrigger)
    (entry,) = enter_many(memory.shop, [Candidate(head, definition, trigger, script.came, script.member)])
    assert entry.outcome.code == "entered", entry
    (progress,) = memory.store.scan(Progress)
    return replace(progress, token="recorded")


def _advance(*stimuli: Stimulus, max_nodes: int | None = None) -> Action:
    most = {} if max_nodes is None else {"max_nodes": max_nodes}
    return Advance(do="advance", stimuli=tuple(map(write_stimulus, stimuli)), **most)


def resume(*, max_nodes: int | None = None) -> Step:
    """The next hop of who is READY or RUNNING."""
    return lambda progress: (progress.updated_at + timedelta(seconds=1), _advance(Resume(), max_nodes=max_nodes))


def due(*, late: timedelta = timedelta(0)) -> Step:
    """The wait is over, and somebody notices so much later."""

    def step(progress: Progress) -> tuple[datetime, Action]:
        assert progress.schedule_at is not None
        return progress.schedule_at + late, _advance(Due(progress.schedule_at))

    return step


def comes(event: Event, *, hours: float = 1) -> Step:
    """An event, so many hours after the last thing that happened."""

    def step(progress: Progress) -> tuple[datetime, Action]:
        now = progress.updated_at + timedelta(hours=hours)
        return now, _advance(EventReceived(replace(event, occurred_at=now)))

    return step


def finished(outcome: str) -> Step:
    """The effect that the member's node awaits is over."""

    def step(progress: Progress) -> tuple[datetime, Action]:
        assert progress.awaits is not None
        (reason, result, failure), now = OVER[outcome], progress.updated_at + timedelta(minutes=5)
        return now, _advance(EffectFinished(progress.awaits, outcome, now, reason, result, failure))

    return step


def leaves(reason: str) -> Step:
    """Somebody takes the member off."""
    return lambda progress: (progress.updated_at + timedelta(hours=1), _advance(Cancel(reason)))


def happens(action: Action, *, hours: float = 1) -> Step:
    """Anything else."""
    return lambda progress: (progress.updated_at + timedelta(hours=hours), action)


def paused() -> Step:
    """The journey is paused."""
    return happens(Park(do="park"))


def resumed() -> Step:
    """The journey is resumed, and the sweep is to come in a minute."""
    return lambda progress: (
        progress.updated_at + timedelta(hours=2),
        Unpark(do="unpark", at=progress.updated_at + timedelta(hours=2, minutes=1)),
    )


def extended_by(seconds: float) -> Step:
    """The first pause counts for the wait."""
    return happens(Extend(do="extend", seconds=seconds, resume=1))


def migrates(nodes: Sequence[Node], *, version: int, settings: JsonValue = None, **mapping: str) -> Step:
    """A newer version takes the member over; `mapping` says at which node."""
    raw = json.loads(dump_definition(parsed(nodes, settings or {})))
    return happens(Migrate(do="migrate", version=version, definition=raw, nodes=mapping))


def breaks(reason: str) -> Step:
    """No hop can move the member."""
    return happens(Fail(do="fail", reason=reason))


def retried() -> Step:
    """An operator lets the member go on."""
    return happens(Retry(do="retry"))
