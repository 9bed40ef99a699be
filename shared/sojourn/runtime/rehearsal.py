"""A rehearsal: what a journey would do with a member, played in memory before anybody is touched.

::

    script ─▶ Scene ─▶ Stage, the journey published there ─▶ enter ─▶ [next moment: what is logged, what is due] ─▶ Rehearsal

The use cases are the real ones, on the memory adapters. Channels answer what the script says and send nothing. Of the real
cloud only the journey, the member, the limits and the channels' names and policies are read. (`tests/simulation` is another
thing: it looks for faults of the engine.)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never
from zoneinfo import ZoneInfo

from sojourn.application.enroll import enroll
from sojourn.application.entry import ENROLLED_EVENT, Candidate, looked_at
from sojourn.application.history import Line, timeline
from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import get_journey
from sojourn.application.members import MemberFields, get_member
from sojourn.application.messages import Delivered, EnrollMessage
from sojourn.application.operations import enroll_member, get_version
from sojourn.application.records import Create
from sojourn.application.workshop import Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect
from sojourn.domain.enrollment import SCHEDULED_EVENT
from sojourn.domain.errors import NotFound
from sojourn.domain.event import Event, JsonObject, write_log_entry
from sojourn.domain.journey import Journey, RejectedEvent
from sojourn.domain.loading import load_stored
from sojourn.domain.member import Member
from sojourn.domain.node import ApiTrigger, EventTrigger, ScheduleTrigger, SendMessageNode, branch_names, entry_filter
from sojourn.domain.progress import Progress
from sojourn.runtime.scene import Scene, make_scene
from sojourn.runtime.script import Script

if TYPE_CHECKING:
    from sojourn.runtime.stage import Stage

SOMEBODY = "somebody"
"""The id of a member whom the script does not name."""

Stopped: TypeAlias = Literal["over", "until", "limit"]
"""Nothing is left to happen; the script's `until` has come; the stage gave up."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, and what became of it: `entered`, the word for why not, `signaled` (a member listens), `unwanted`."""

    at: datetime
    name: str
    outcome: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What became of the member, who came by `entry`.

    `lines` tell everything, the oldest first; an effect that was tried again has a line for each state. `crowd` are the
    passages of all members, the member's among them. `warnings`: what the real cloud lacks.
    """

    definition: Definition
    version: int
    member: Member
    zone: ZoneInfo
    stopped_at: datetime
    stopped: Stopped
    entry: Heard
    heard: tuple[Heard, ...]
    lines: tuple[Line, ...]
    passages: tuple[Progress, ...]
    effects: tuple[Effect, ...]
    crowd: tuple[Progress, ...]
    warnings: tuple[str, ...] = ()

    def branches(self) -> dict[str, dict[str, int]]:
        """For each node of several paths how often each was taken, by all members."""
        steps = Counter((step.node_id, step.outcome) for progress in self.crowd for step in progress.trail)
        forks = [(node.id, branch_names(node)) for node in self.definition.nodes if len(branch_names(node)) > 1]
        return {node_id: {name: steps[node_id, name] for name in names} for node_id, names in forks}


def rehearse_stored(shop: Workshop, journey_id: str, script: Script, *, definition: Definition | None = None) -> Rehearsal:
    """Rehearse a journey of the store, or an unsaved `definition` of it as the next version. Raises NotFound, InputError."""
    if definition is None:
        definition, version = _asked_for(shop, get_journey(shop, journey_id), script)
    else:
        stored = shop.store.get_many(Journey, [journey_id])[0]
        version = ((stored.value.version if stored else None) or 0) + 1
    return rehearse(definition, script, now=shop.now(), version=version, shop=shop)


def _asked_for(shop: Workshop, head: Journey, script: Script) -> tuple[Definition, int]:
    if script.version == "draft" or (script.version is None and head.draft is not None):
        if head.draft is None:
            raise NotFound(f"journey {head.id!r} has no draft; version {head.version} is published")
        return load_stored(head.draft), (head.version or 0) + 1
    number = script.version or head.version
    assert number is not None, "a journey has a draft or a version"
    return load_stored(get_version(shop, head.id, number).definition), number


def rehearse(
    definition: Definition, script: Script, *, now: datetime, version: int = 1, shop: Workshop | None = None
) -> Rehearsal:
    """Play the script, from `now` on unless it says otherwise; `shop` is the real cloud, where there is one.

    Raises InputError where the script does not fit the journey, NotFound for a member whom the cloud does not know.
    """
    from sojourn.runtime.stage import Stage  # with every use case of a member's way, of which the API has no other need

    scene = make_scene(definition, script, _member(definition, script, shop, now), now=now)
    named = {node.id: node.settings.channel for node in definition.nodes if isinstance(node, SendMessageNode)}
    stage = Stage(scene.start, scene.answers, shop=shop, channels=named.values())
    stage.shop.store.commit_many([(Create(member),) for member in scene.members])
    stage.publish(definition, version)
    missing = {node_id: channel for node_id, channel in named.items() if shop is not None and channel not in shop.channels}
    warnings = (f"node {node_id!r}: the cloud has no channel {channel!r}" for node_id, channel in missing.items())
    return replace(_Play(scene, stage).run(version), warnings=tuple(warnings))


def _member(definition: Definition, script: Script, shop: Workshop | None, now: datetime) -> Member:
    if script.member is None and script.member_id is not None and shop is not None:
        return get_member(shop, definition.bot_id, script.member_id)
    known, member_id = script.member or MemberFields(), script.member_id or SOMEBODY
    attributes = {name: value for name, value in known.attributes.items() if value is not None}
    addresses = {name: value for name, value in known.addresses.items() if value is not None}
    return Member(definition.bot_id, member_id, attributes, known.timezone, known.locale, addresses, 1, SOMEBODY, now)


class _Play:
    def __init__(self, scene: Scene, stage: Stage) -> None:
        self._scene, self._stage, self._shop = scene, stage, stage.shop
        self._journey_id, self._member = scene.definition.id, scene.members[0]
        self._heard: list[Heard] = []
        self._lines: dict[Line, None] = {}
        self._numbers = count(1)

    def run(self, version: int) -> Rehearsal:
        entry = self._enter()
        self._stage.settle()
        self._tell()
        stopped = self._go_on()
        key, crowd = self._member.id, tuple(self._shop.store.scan(Progress))
        return Rehearsal(
            definition=self._scene.definition,
            version=version,
            member=self._member,
            zone=self._scene.zone,
            stopped_at=self._shop.now(),
            stopped=stopped,
            entry=entry,
            heard=tuple(self._heard),
            lines=tuple(self._lines),
            passages=tuple(progress for progress in crowd if progress.member_key == key),
            effects=tuple(effect for effect in self._shop.store.scan(Effect) if effect.member_key == key),
            crowd=crowd,
        )

    def _go_on(self) -> Stopped:
        """From moment to moment, as long as anything is left to happen."""
        events = list(self._scene.events)
        while not self._stage.exhausted:
            due = self._stage.due()
            moments = [event.at for event in events[:1]] + ([due] if due is not None else [])
            if not moments:
                return "over"
            self._stage.move_to(min(*moments, self._scene.until))
            if min(moments) > self._scene.until:
                return "until"
            while events and events[0].at <= self._shop.now() and not self._stage.exhausted:
                event = events.pop(0)
                self._heard.append(self._everybody(event.name, event.data))
            self._stage.tick()
            self._tell()
        return "limit"

    def _tell(self) -> None:
        """Write down what is new: a progress keeps only its newest steps, and an effect its last state."""
        found = timeline(self._shop, self._member.bot_id, self._member.member_id)
        self._lines |= dict.fromkeys(found.lines)

    def _enter(self) -> Heard:
        """Everybody comes to the trigger."""
        trigger = self._scene.trigger
        match trigger:
            case EventTrigger(settings=settings):
                heard = self._everybody(settings.name, self._scene.data)
            case ApiTrigger():
                heard = self._enroll()
            case ScheduleTrigger():
                heard = self._fire(trigger)
            case _:
                assert_never(trigger)
        return replace(heard, why=heard.why or self._why(heard))

    def _everybody(self, name: str, data: JsonObject) -> Heard:
        heard = [self._log(self._event(member, name, data)) for member in self._scene.members]
        return heard[0]

    def _event(self, member: Member, name: str, data: JsonObject) -> Event:
        subject = {**data, "bot_id": member.bot_id, "member_id": member.member_id}
        return Event(f"rehearsed-{next(self._numbers)}", name, member.bot_id, member.member_id, self._shop.now(), subject)

    def _log(self, event: Event) -> Heard:
        answer = ingest(self._shop, [write_log_entry(event)])[0]
        if answer.code == "rejected":
            (rejected,) = self._shop.store.newest(RejectedEvent, {}, limit=1)
            return Heard(event.occurred_at, event.name, answer.code, rejected.value.detail)
        return Heard(
            event.occurred_at, event.name, (answer.code, *answer.notes)[-1]
        )  # of entering, if it could: that comes last

    def _enroll(self) -> Heard:
        data, ids = self._scene.data, [member.member_id for member in self._scene.members]
        outcomes = [enroll_member(self._shop, self._journey_id, member_id, data=data) for member_id in ids]
        return Heard(self._shop.now(), ENROLLED_EVENT, outcomes[0].code)

    def _fire(self, trigger: ScheduleTrigger) -> Heard:
        """Only once: how it goes on at the next firing is another rehearsal. Members enter by id."""
        message = EnrollMessage(journey_id=self._journey_id, node_id=trigger.id)
        outcome = enroll(self._shop, [Delivered(message, self._shop.now())])[0]
        place = sorted(member.id for member in self._scene.members).index(self._member.id)
        return Heard(self._shop.now(), SCHEDULED_EVENT, outcome.notes[place] if outcome.notes else outcome.code)

    def _why(self, heard: Heard) -> str | None:
        """What decided against the member, where the word alone does not say."""
        settings = self._scene.definition.settings
        match heard.outcome:
            case "filter":
                return self._looked_at(heard, entry_filter(self._scene.trigger))
            case "entry_key_missing":
                return self._looked_at(heard, settings.entry_key)
            case "not_started":
                return f"the journey begins at {self._local(settings.schedule_start_at)}"
            case "ended":
                return f"the journey ends at {self._local(settings.schedule_end_at)}"
            case "another_year":
                return "the schedule has one moment, which is over"
        return None

    def _looked_at(self, heard: Heard, source: str | None) -> str | None:
        head = self._shop.catalog.head(self._journey_id)
        if source is None or head is None:
            return None
        event = self._event(self._member, heard.name, self._scene.data)
        return looked_at(self._shop, Candidate(head, self._scene.definition, self._scene.trigger, event, self._member), source)

    def _local(self, moment: datetime | None) -> str:
        return f"{moment.astimezone(self._scene.zone):%Y-%m-%d %H:%M} {self._scene.zone.key}" if moment is not None else "?"
