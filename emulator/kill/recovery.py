"""Recovery: what a killed function leaves lying, read from the store right after the kill, and how many ticks until it moves.

::

    ingest        events of this minute that nobody has entered by, that are not kept, or not consumed by who waits for them;
                  members who are READY
    run_journey   members who are READY or RUNNING, whose wait is due, whose awaited effect is over, or whose event is kept;
                  effects that are due
    perform       effects that are due, or in the hands of the killed process (PERFORMING); members whose awaited effect is over
    sweep         members and effects that the tick was to publish

So: all that the function had to write, and all that it had to tell others. It has moved when the store shows a later revision,
or that it is there at all. After no tick: moved by Pub/Sub alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, get_args

from emulator.kill.scenario import BOT, CLOSED, COMPLETED, TRIAL, Happening, moment
from sojourn.application.records import R, S, Stored
from sojourn.application.sweep import due_pages
from sojourn.application.workshop import Workshop
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.ids import derived_id, member_key, progress_id
from sojourn.domain.journey import MemberEvent
from sojourn.domain.progress import READY_GRACE_SECONDS, Progress, Status

Kind: TypeAlias = Literal["entry", "event", "hop", "effect", "effect in hand"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TICKS_ALLOWED = 2
SHARE_WANTED = 0.99
SOON = timedelta(seconds=1.5 * READY_GRACE_SECONDS)
"""The sweep is told to look after members who are READY within this time."""


@dataclass(frozen=True, slots=True)
class Work:
    """Something left lying: the document that must come into being (`rev` is 0) or get a later revision."""

    kind: Kind
    id: str
    rev: int = 0


@dataclass(slots=True)
class Kill:
    """One kill: what it left lying, and of each kind how much has moved after how many ticks."""

    function: str
    minute: int
    at: float
    left: list[Work]
    affected: Counter[Kind]
    moved: Counter[tuple[Kind, int]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Recovered:
    """Of what kills left lying: how much there was, and how much moved after no tick, one, and so on; the rest came later."""

    affected: int
    moved: tuple[int, ...]

    @property
    def share(self) -> float:
        """The share that moved within the ticks that are allowed."""
        return sum(self.moved) / self.affected if self.affected else 1.0


def recovered(kills: Sequence[Kill], kinds: Collection[Kind]) -> Recovered:
    """Over all kills."""
    moved = tuple(sum(kill.moved[kind, ticks] for kill in kills for kind in kinds) for ticks in range(TICKS_ALLOWED + 1))
    return Recovered(sum(kill.affected[kind] for kill in kills for kind in kinds), moved)


class Recovery:
    """Watches the store."""

    def __init__(self, shop: Workshop) -> None:
        self.kills: list[Kill] = []
        self._shop = shop

    def killed(self, function: str, minute: int, arrivals: Sequence[Happening], *, at: float) -> None:
        """Look what lies there, before the next process answers. `at` is when by the monotonic clock."""
        now = moment(minute)
        match function:
            case "ingest":
                left = [*self._entries(arrivals), *self._events(arrivals), *self._signals(arrivals), *self._ready(now)]
            case "run_journey":
                left = [*self._ready(now), *self._due_members(now), *self._awaiting()]
                left += [*self._signals(arrivals), *self._effects(now)]
            case "perform":
                left = [*self._effects(now), *self._in_hand(), *self._awaiting()]
            case _:
                left = [*self._due_members(now), *self._due_effects(now)]
        left = list(dict.fromkeys(left))
        self.kills.append(Kill(function, minute, at, left, Counter(work.kind for work in left)))

    def look(self, minute: int) -> None:
        """At the end of a minute: what has moved by now?"""
        for kill in self.kills:
            still = set(self._unmoved(kill.left))
            kill.moved.update((work.kind, minute - kill.minute) for work in kill.left if work not in still)
            kill.left = [work for work in kill.left if work in still]

    def _unmoved(self, works: Sequence[Work]) -> Iterator[Work]:
        yield from self._unmoved_of(Progress, [work for work in works if work.kind in ("entry", "hop")])
        yield from self._unmoved_of(Effect, [work for work in works if work.kind in ("effect", "effect in hand")])
        yield from self._unmoved_of(MemberEvent, [work for work in works if work.kind == "event"])

    def _unmoved_of(self, record: type[R], works: Sequence[Work]) -> Iterator[Work]:
        found = self._shop.store.get_many(record, [work.id for work in works])
        return (work for work, stored in zip(works, found, strict=True) if stored is None or stored.value.rev <= work.rev)

    def _entries(self, arrivals: Sequence[Happening]) -> Iterator[Work]:
        ids = [_passage_id(one, one.enters) for one in arrivals if one.enters]
        found = self._shop.store.get_many(Progress, ids)
        return (Work("entry", id) for id, stored in zip(ids, found, strict=True) if stored is None)

    def _events(self, arrivals: Sequence[Happening]) -> Iterator[Work]:
        ids = [_kept_id(one) for one in arrivals if one.name in (COMPLETED, CLOSED)]
        found = self._shop.store.get_many(MemberEvent, ids)
        return (Work("event", id) for id, stored in zip(ids, found, strict=True) if stored is None)

    def _ready(self, now: datetime) -> Iterator[Work]:
        """Members whose next hop is on its way by a message."""
        for stored in self._due(Progress, until=now + SOON):
            if stored.value.status in (Status.READY, Status.RUNNING):
                yield Work("hop", stored.value.id, stored.value.rev)

    def _awaiting(self) -> Iterator[Work]:
        where = {"journey_id": TRIAL, "node_id": "score", "status": Status.WAITING.value}
        waiting = {stored.value.awaits: stored.value for stored in self._shop.store.find(Progress, where)}
        effects = self._shop.store.get_many(Effect, [awaited for awaited in waiting if awaited])
        over = [stored.value.id for stored in effects if stored is not None and stored.value.status.terminal]
        return (Work("hop", waiting[effect].id, waiting[effect].rev) for effect in over)

    def _signals(self, arrivals: Sequence[Happening]) -> Iterator[Work]:
        events = [one for one in arrivals if one.name in (COMPLETED, CLOSED)]
        kept = self._shop.store.get_many(MemberEvent, [_kept_id(one) for one in events])
        found = self._shop.store.get_many(Progress, [_passage_id(one, TRIAL) for one in events])
        for event, is_kept, stored in zip(events, kept, found, strict=True):
            if is_kept and stored and _wants(stored.value, event):
                yield Work("hop", stored.value.id, stored.value.rev)

    def _effects(self, now: datetime) -> Iterator[Work]:
        for stored in self._shop.store.find(Effect, {"status": EffectStatus.PENDING.value}):
            if stored.value.not_before is None or stored.value.not_before <= now:
                yield Work("effect", stored.value.id, stored.value.rev)

    def _in_hand(self) -> Iterator[Work]:
        for stored in self._shop.store.find(Effect, {"status": EffectStatus.PERFORMING.value}):
            yield Work("effect in hand", stored.value.id, stored.value.rev)

    def _due_members(self, now: datetime) -> Iterator[Work]:
        for stored in self._due(Progress, until=now):
            yield Work("hop", stored.value.id, stored.value.rev)

    def _due_effects(self, now: datetime) -> Iterator[Work]:
        for stored in self._due(Effect, until=now):
            yield Work("effect", stored.value.id, stored.value.rev)

    def _due(self, kind: type[S], *, until: datetime) -> Iterator[Stored[S]]:
        for shard in range(self._shop.limits.shards):
            for page in due_pages(self._shop, kind, shard, since=None, until=until):
                yield from page.found


def _passage_id(happening: Happening, journey: str) -> str:
    """A trial is entered once; each order is a passage of its own."""
    return progress_id(BOT, journey, happening.plan.member_id, "1" if journey == TRIAL else happening.id)


def _kept_id(happening: Happening) -> str:
    return derived_id("member_event", member_key(BOT, happening.plan.member_id), happening.id)


def _wants(progress: Progress, event: Happening) -> bool:
    """Whether the event moves the member, as things stand."""
    if progress.status.terminal or event.id in progress.consumed:
        return False
    return event.name == CLOSED or (progress.node_id == "profile" and progress.since <= event.at)
