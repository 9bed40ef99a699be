"""A script made definite: for this journey and this member, which trigger, which moments, which answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sojourn.domain.definition import Definition
from sojourn.domain.effect import Delivery
from sojourn.domain.errors import InputError
from sojourn.domain.event import JsonObject
from sojourn.domain.member import Member
from sojourn.domain.moment import zone
from sojourn.domain.node import ApiTrigger, EventTrigger, ScheduleTrigger, SendMessageNode, Trigger, WebhookNode
from sojourn.domain.schedule import next_strike
from sojourn.runtime.script import Script, in_zone

HORIZON = timedelta(days=365)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something that a service logs about the member, and when."""

    at: datetime
    name: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class Scene:
    """Who comes through which trigger, and what follows. The first of `members` is the one whom it is about.

    `zone` is theirs where it is known, whichever the journey goes by: it is for telling and being told times.
    """

    definition: Definition
    trigger: Trigger
    data: JsonObject
    members: tuple[Member, ...]
    zone: ZoneInfo
    start: datetime
    until: datetime
    events: tuple[Occasion, ...]
    answers: dict[str, Delivery]


def make_scene(definition: Definition, script: Script, member: Member, *, now: datetime) -> Scene:
    """The scene that begins `now`, unless the script says when. Raises InputError where the script does not fit the journey."""
    clock, trigger = zone(member.timezone or "") or definition.settings.zone, _trigger(definition, script)
    start = _start(definition, trigger, at=in_zone(script.at, clock) if script.at is not None else None, now=now)
    until = _moment("until", script.until if script.until is not None else HORIZON, start=start, zone=clock)
    others = (replace(member, member_id=f"{member.member_id}-{number}") for number in range(2, script.members + 1))
    events = _events(script, start=start, zone=clock)
    answers = _answers(definition, script)
    return Scene(definition, trigger, script.event.data, (member, *others), clock, start, until, events, answers)


def _trigger(definition: Definition, script: Script) -> Trigger:
    """The one that the script names, by its id or its event; else the first."""
    triggers = [node for node in definition.nodes if isinstance(node, EventTrigger | ScheduleTrigger | ApiTrigger)]
    name = script.event.name
    fitting = [one for one in triggers if script.trigger in (None, one.id) and name in (None, _listens_for(one))]
    if not fitting:
        field, wanted = ("event.name", name) if name is not None else ("trigger", script.trigger)
        known = ", ".join(f"{one.id} ({_listens_for(one) or one.key})" for one in triggers)
        raise InputError(f"{field}: no trigger {wanted!r}; there are {known}")
    if script.event.data and isinstance(fitting[0], ScheduleTrigger):
        raise InputError(f"event.data: the trigger {fitting[0].id!r} is a schedule, which brings no data")
    return fitting[0]


def _listens_for(trigger: Trigger) -> str | None:
    return trigger.settings.name if isinstance(trigger, EventTrigger) else None


def _start(definition: Definition, trigger: Trigger, *, at: datetime | None, now: datetime) -> datetime:
    """When the member comes: as the script says, else as soon as the journey has begun; by a schedule, when it strikes next."""
    begins = definition.settings.schedule_start_at
    earliest = at or max(now, begins or now)
    if not isinstance(trigger, ScheduleTrigger):
        return earliest
    schedule = trigger.settings
    if schedule.at is not None and (at is None or at <= schedule.at):
        return schedule.at
    return next_strike(schedule.line, schedule.timezone, after=earliest - _SECOND)


def _events(script: Script, *, start: datetime, zone: ZoneInfo) -> tuple[Occasion, ...]:
    """In the order of time; those of one moment in the script's."""
    events = []
    for index, event in enumerate(script.events):
        when = event.at if event.at is not None else event.after
        assert when is not None, "it has one of them"
        events.append(Occasion(_moment(f"events.{index}.at", when, start=start, zone=zone), event.name, event.data))
    return tuple(sorted(events, key=lambda event: event.at))


def _moment(field: str, when: datetime | timedelta, *, start: datetime, zone: ZoneInfo) -> datetime:
    moment = start + when if isinstance(when, timedelta) else in_zone(when, zone)
    if moment < start:
        raise InputError(
            f"{field}: {moment.astimezone(zone).isoformat()} is before the start, {start.astimezone(zone).isoformat()}"
        )
    return moment


def _answers(definition: Definition, script: Script) -> dict[str, Delivery]:
    known = [node.id for node in definition.nodes if isinstance(node, SendMessageNode | WebhookNode)]
    if unknown := [node_id for node_id in script.results if node_id not in known]:
        raise InputError(f"results.{unknown[0]}: no node of that id sends or calls; there are: {', '.join(known) or 'none'}")
    return {
        node_id: Delivery(given.outcome, reason=given.reason, result=given.result) for node_id, given in script.results.items()
    }
