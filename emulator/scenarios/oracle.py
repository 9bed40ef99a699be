"""The oracle: what the raw log lines demand, worked out without the engine, and whether the stores agree.

It reads the lines by itself and knows when each step delivers. Of each journey it knows only what the clock alone says: how
long a passage takes at least and at most, and by when a member who is still on the way must have had which message.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from emulator.scenarios.shop import STEP, Scenario
from emulator.scenarios.shop_lines import Happening, LineCounts, count_lines, read_line
from emulator.snapshot import Snapshot
from sojourn.domain.effect import Effect, EffectStatus, SendMessage
from sojourn.domain.progress import Progress, Status

NOTICED = STEP
"""A wait that is over is noticed at the next step."""
NIGHT = timedelta(hours=10)
"""What the sleep window adds to a message at most."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What the clock alone says of a journey; `messages`: by when after the entry, at the latest, which node has sent."""

    shortest: timedelta
    longest: timedelta
    messages: Mapping[str, timedelta]


_FIRST_REMINDER = timedelta(hours=6) + NOTICED + NIGHT + NOTICED
_LAST_REMINDER = _FIRST_REMINDER + timedelta(days=1) + NOTICED + NIGHT + NOTICED
PACES = {
    "onboarding": Pace(timedelta(days=1), timedelta(days=11), {"welcome": NIGHT + NOTICED}),
    "abandoned-cart": Pace(
        timedelta(hours=30), _LAST_REMINDER, {"first_reminder": _FIRST_REMINDER, "last_reminder": _LAST_REMINDER}
    ),
}


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage of a member; `journey` is the file's id, of which every bot has a copy."""

    journey: str
    bot_id: str
    member_id: str
    entry_key: str

    def __str__(self) -> str:
        return f"{self.journey} of {self.bot_id}/{self.member_id} ({self.entry_key})"


@dataclass(frozen=True, slots=True)
class Stay:
    """The step at which a passage begins, and the one that brings an event on which it must be left."""

    begins_at: datetime
    left_at: datetime | None


@dataclass(frozen=True, slots=True)
class Demands:
    """What must be in the stores: passages, and the reasons of rejected lines by the trace that each line has of its own."""

    passages: Mapping[Passage, Stay]
    rejected: Mapping[str, str]
    lines: LineCounts


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the stores hold, and what is too much or missing; `faults` has a sentence for each."""

    entered: int
    ended: int
    canceled: int
    waiting: int
    effects: int
    duplicates: int
    lost: int
    faults: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The last line of the demo."""
        names = ("entered", "ended", "canceled", "waiting", "effects", "duplicates", "lost")
        return "demo: " + " ".join(f"{name}={getattr(self, name)}" for name in names)


@dataclass(frozen=True, slots=True)
class _Fault:
    kind: Literal["duplicate", "lost"]
    text: str


def demands(scenario: Scenario) -> Demands:
    """Read every line, and work out who must have entered, who must have left, and what must have been rejected."""
    readings = [(scenario.step_of(line.arrives_at), read_line(line)) for line in scenario.lines]
    happenings = [(step, reading) for step, reading in readings if isinstance(reading, Happening)]
    leaves: defaultdict[tuple[str, ...], list[datetime]] = defaultdict(list)
    for step, happening in happenings:
        leaves[_left_by(happening)].append(step)
    passages: dict[Passage, Stay] = {}
    for step, happening in sorted(happenings, key=lambda pair: pair[0]):
        passage = _entered_by(happening)
        if passage is not None and passage not in passages:
            passages[passage] = Stay(step, _left_at(passage, step, leaves))
    rejected = {reading.trace: reading.reason for _, reading in readings if reading and not isinstance(reading, Happening)}
    return Demands(passages, rejected, count_lines(scenario.lines))


def _entered_by(happening: Happening) -> Passage | None:
    match happening.name:
        case "member.joined":
            return Passage("onboarding", happening.bot_id, happening.member_id, "1")
        case "cart.updated" if happening.cart_id is not None and happening.items > 0:
            return Passage("abandoned-cart", happening.bot_id, happening.member_id, f"key:{happening.cart_id}")
    return None


def _left_by(happening: Happening) -> tuple[str, ...]:
    """The key of what an event ends: everything of the member, or one cart's passage."""
    match happening.name:
        case "account.closed":
            return (happening.bot_id, happening.member_id)
        case "order.completed" if happening.cart_id is not None:
            return (happening.bot_id, happening.member_id, f"key:{happening.cart_id}")
    return ()


def _left_at(passage: Passage, begins_at: datetime, leaves: Mapping[tuple[str, ...], Sequence[datetime]]) -> datetime | None:
    """An exit event that arrived before the entry, out of order, ends the passage as it begins."""
    member = (passage.bot_id, passage.member_id)
    steps = (*leaves.get(member, ()), *leaves.get((*member, passage.entry_key), ()))
    return max(begins_at, min(steps)) if steps else None


def judge(demands: Demands, snapshot: Snapshot) -> Verdict:
    """Compare the stores with the demands. Right is: no duplicates, nothing lost."""
    statuses = Counter(progress.status for progress in snapshot.progress)
    faults = [*_judge_passages(demands, snapshot), *_judge_effects(snapshot), *_judge_rejected(demands, snapshot)]
    kinds = Counter(fault.kind for fault in faults)
    return Verdict(
        entered=len(snapshot.progress),
        ended=statuses[Status.ENDED],
        canceled=statuses[Status.CANCELED],
        waiting=sum(count for status, count in statuses.items() if not status.terminal),
        effects=sum(effect.status is EffectStatus.DONE for effect in snapshot.effects),
        duplicates=kinds["duplicate"],
        lost=kinds["lost"],
        faults=tuple(f"{fault.kind}: {fault.text}" for fault in faults),
    )


def _judge_passages(demands: Demands, snapshot: Snapshot) -> Iterator[_Fault]:
    found: defaultdict[Passage, list[Progress]] = defaultdict(list)
    for progress in snapshot.progress:
        found[_passage_of(progress)].append(progress)
    sent: defaultdict[str, list[Effect]] = defaultdict(list)
    for effect in snapshot.effects:
        if isinstance(effect.payload, SendMessage) and effect.status is EffectStatus.DONE:
            sent[effect.progress_id].append(effect)
    for passage in found.keys() - demands.passages.keys():
        yield from [_Fault("duplicate", f"{passage}: no line asks for it")] * len(found[passage])
    for passage, stay in demands.passages.items():
        if passage not in found:
            yield _Fault("lost", f"{passage}: never entered, though a line of {stay.begins_at:%d %b} asks for it")
        yield from [_Fault("duplicate", f"{passage}: entered twice")] * (len(found[passage]) - 1)
        for progress in found[passage]:
            yield from _judge_position(passage, stay, progress, now=snapshot.now)
            yield from _judge_messages(passage, stay, sent[progress.id], now=snapshot.now)


def _passage_of(progress: Progress) -> Passage:
    journey = progress.journey_id.removesuffix(f"-{progress.bot_id}")
    return Passage(journey, progress.bot_id, progress.member_id, progress.entry_key)


def _judge_position(passage: Passage, stay: Stay, progress: Progress, *, now: datetime) -> Iterator[_Fault]:
    allowed = _allowed(PACES[passage.journey], stay, now)
    if progress.status not in allowed:
        wanted = " or ".join(sorted(allowed))
        why = f", {progress.end_reason}" if progress.end_reason else ""
        yield _Fault("lost", f"{passage}: {progress.status} at {progress.node_id}{why}; must be {wanted}")
    elif progress.status is Status.WAITING and (progress.schedule_at is None or progress.schedule_at + NOTICED < now):
        yield _Fault("lost", f"{passage}: stuck at {progress.node_id}, due since {progress.schedule_at}")
    elif progress.status is Status.ENDED and (progress.ended_at or now) - stay.begins_at < PACES[passage.journey].shortest:
        yield _Fault("lost", f"{passage}: a wait was skipped, the end came at {progress.ended_at}")


def _allowed(pace: Pace, stay: Stay, now: datetime) -> set[Status]:
    """Where a passage can be. Between shortest and longest, the way it took decides, and the oracle does not know that."""
    lasted = (stay.left_at or now) - stay.begins_at
    if lasted >= pace.longest:
        return {Status.ENDED}
    still = Status.CANCELED if stay.left_at is not None else Status.WAITING
    return {still} if lasted < pace.shortest else {still, Status.ENDED}


def _judge_messages(passage: Passage, stay: Stay, sent: Iterable[Effect], *, now: datetime) -> Iterator[_Fault]:
    counts = Counter(effect.node_id for effect in sent)
    for node_id, count in counts.items():
        yield from [_Fault("duplicate", f"{passage}: {node_id} was sent {count} times")] * (count - 1)
    for effect in sent:
        if stay.left_at is not None and effect.created_at >= stay.left_at:
            yield _Fault("duplicate", f"{passage}: {effect.node_id} was sent after the member had left")
    for node_id, within in PACES[passage.journey].messages.items():
        if (stay.left_at or now) - stay.begins_at >= within and not counts[node_id]:
            yield _Fault("lost", f"{passage}: {node_id} was never sent")


def _judge_effects(snapshot: Snapshot) -> Iterator[_Fault]:
    """Every effect is performed in its time, and every message comes once."""
    for effect in snapshot.effects:
        name = f"effect {effect.node_id} of {effect.bot_id}/{effect.member_id}"
        deliveries = snapshot.deliveries.get(effect.id, 0)
        due = effect.not_before or effect.created_at
        if effect.status in (EffectStatus.FAILED, EffectStatus.DEAD) or (
            not effect.status.terminal and due + NOTICED < snapshot.now
        ):
            yield _Fault("lost", f"{name}: {effect.status}, {effect.reason}")
        elif effect.status is EffectStatus.DONE and isinstance(effect.payload, SendMessage) and not deliveries:
            yield _Fault("lost", f"{name}: DONE, but the mailbox has no message")
        yield from [_Fault("duplicate", f"{name}: delivered {deliveries} times")] * (deliveries - 1)
    for unknown in snapshot.deliveries.keys() - {effect.id for effect in snapshot.effects}:
        yield _Fault("duplicate", f"the mailbox has a message of no effect: {unknown}")


def _judge_rejected(demands: Demands, snapshot: Snapshot) -> Iterator[_Fault]:
    kept = {json.loads(rejected.data).get("trace"): rejected for rejected in snapshot.rejected}
    for trace, reason in demands.rejected.items():
        if trace not in kept:
            yield _Fault("lost", f"the line with trace {trace} must be kept as {reason}")
        elif kept[trace].reason != reason:
            yield _Fault("lost", f"the line with trace {trace} is {kept[trace].reason}; must be {reason}")
    for trace, rejected in kept.items():
        if trace not in demands.rejected:
            yield _Fault("lost", f"the line with trace {trace} is right, but was rejected: {rejected.detail}")
