"""Rehearsals over REST: what a journey would do with a member, before it is published. Nothing is written, nothing is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Response
from pydantic import JsonValue, model_validator
from pydantic_core import to_jsonable_python

from sojourn.application.history import Line, What, describe_effect
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.errors import DefinitionInvalid
from sojourn.runtime.api.access import Role, needs
from sojourn.runtime.api.call import answer, call
from sojourn.runtime.api.journeys import read_definition
from sojourn.runtime.api.questions import DefinitionBody, JourneyPath, OptionalBody
from sojourn.runtime.api.routes import Routes
from sojourn.runtime.api.views import PassageView, View
from sojourn.runtime.rehearsal import Heard, Rehearsal, Stopped, rehearse_stored
from sojourn.runtime.script import Script

MAX_LINES = 2_000
MAX_EFFECTS = 200
"""Shown of a journey that goes round in circles."""

routes = Routes("simulation", "/v1/journeys")


class SimulateBody(OptionalBody, Script):
    """A script, and instead of what is stored an unsaved `definition`."""

    definition: DefinitionBody | None = None

    @model_validator(mode="after")
    def _one(self) -> SimulateBody:
        if self.definition is not None and self.version is not None:
            raise ValueError("a definition of your own has no version: leave one of the two out")
        return self


class HeardView(View):
    """An event, and what became of it: `entered` or the word for why not, `signaled` (somebody listens), `unwanted`."""

    at: datetime
    name: str
    outcome: str
    why: str | None


class LineView(View):
    """One thing that happened, at the member's local time; `reason` has the values that decided."""

    at: datetime
    what: What
    node_id: str | None
    outcome: str
    reason: str | None


class RehearsedEffect(View):
    """What would have been done: `payload` as rendered, `delivered_at` when it would have arrived. `kind` is the node's key."""

    node_id: str
    kind: str
    about: str
    payload: dict[str, JsonValue]
    status: EffectStatus
    reason: str | None
    attempts: int
    asked_at: datetime
    delivered_at: datetime | None
    not_before: datetime | None
    result: JsonValue


class SimulationView(View):
    """Times are the member's local ones. `stopped`: nothing was left to happen, `until` had come, or it was too much.

    `branches`: by node how often each path was taken, by all `members`. `cut`: there are more lines or effects than these.
    """

    journey_id: str
    version: int
    bot_id: str
    member_id: str
    timezone: str
    entry: HeardView
    events: tuple[HeardView, ...]
    stopped: Stopped
    stopped_at: datetime
    passages: tuple[PassageView, ...]
    timeline: tuple[LineView, ...]
    effects: tuple[RehearsedEffect, ...]
    branches: dict[str, dict[str, int]]
    warnings: tuple[str, ...]
    cut: bool


@routes.post("/<journey:journey_id>/simulate", responses={200: SimulationView})
@needs(Role.AUTHOR)
def simulate(path: JourneyPath, body: SimulateBody) -> Response:
    """Play a member through the journey, the draft where there is one: where they go, when, what is sent."""
    definition = _unsaved(body.definition, path.journey_id) if body.definition is not None else None
    return answer(simulation_view(rehearse_stored(call().shop, path.journey_id, body, definition=definition)))


def _unsaved(body: DefinitionBody, journey_id: str) -> Definition:
    try:
        return read_definition(body, journey_id=journey_id)
    except DefinitionInvalid as error:
        faults = [replace(fault, location=("definition", *fault.location)) for fault in error.faults]
        raise DefinitionInvalid(faults) from error


def simulation_view(found: Rehearsal) -> SimulationView:
    """What others see of a rehearsal."""
    return SimulationView(
        journey_id=found.definition.id,
        version=found.version,
        bot_id=found.member.bot_id,
        member_id=found.member.member_id,
        timezone=found.zone.key,
        entry=_heard(found.entry, found.zone),
        events=tuple(_heard(heard, found.zone) for heard in found.heard),
        stopped=found.stopped,
        stopped_at=found.stopped_at.astimezone(found.zone),
        passages=tuple(PassageView.model_validate(progress) for progress in found.passages),
        timeline=tuple(_line(line, found.zone) for line in found.lines[:MAX_LINES]),
        effects=tuple(_effect(effect, found) for effect in found.effects[:MAX_EFFECTS]),
        branches=found.branches(),
        warnings=found.warnings,
        cut=len(found.lines) > MAX_LINES or len(found.effects) > MAX_EFFECTS,
    )


def _heard(heard: Heard, zone: ZoneInfo) -> HeardView:
    return HeardView.model_validate(replace(heard, at=heard.at.astimezone(zone)))


def _line(line: Line, zone: ZoneInfo) -> LineView:
    return LineView.model_validate(replace(line, at=line.at.astimezone(zone)))


def _effect(effect: Effect, found: Rehearsal) -> RehearsedEffect:
    return RehearsedEffect(
        kind=found.definition.by_id[effect.node_id].key,
        about=describe_effect(effect),
        payload=to_jsonable_python(effect.payload),
        asked_at=effect.created_at.astimezone(found.zone),
        delivered_at=effect.updated_at.astimezone(found.zone) if effect.status is EffectStatus.DONE else None,
        not_before=effect.not_before.astimezone(found.zone) if effect.not_before is not None else None,
        **{name: getattr(effect, name) for name in ("node_id", "status", "reason", "attempts", "result")},
    )
