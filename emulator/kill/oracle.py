"""What the plans of the members demand, worked out without the engine, and whether stores and receiver agree.

Of the journeys it knows which nodes a passage comes by, on which way, and which of them the receiver hears of. It trusts
neither side: what the stores call DONE the receiver must have accepted, once, and nothing that no effect asks for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from emulator.kill.receiver import Call, repeats
from emulator.kill.scenario import ORDER_PAIRS, ORDERS, TRIAL, WAYS, Plan, Scenario
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.journey import RejectedEvent
from sojourn.domain.progress import Progress, Status

Kind: TypeAlias = Literal["stuck", "entered twice", "effects doubled", "lost", "called again", "found by the doctor"]
KINDS: tuple[Kind, ...] = get_args(Kind)
EVERY_TRIAL = frozenset({"started", "welcome", "patience", "profile", "coin", "score", "verdict", "thanks", "done"})
TOLD_OF_TRIALS = frozenset({"welcome", "reminder", "offer", "score", "thanks"})
TOLD_OF_ORDERS = frozenset({"receipt", "review"})
"""Nodes that the receiver hears of."""
WAIT_ENDS = ("completed", "timeout")
UNCERTAIN_SECONDS = 10.0
"""A performer that was killed so long after its call at most may not have written down how it went."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that must not be, in a sentence."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """What is there at the end: the stores' documents, the receiver's ledger, and when `perform` was killed."""

    progress: Sequence[Progress]
    effects: Sequence[Effect]
    rejected: Sequence[RejectedEvent]
    calls: Sequence[Call]
    killed_at: Sequence[float] = ()

    @property
    def accepted(self) -> list[Call]:
        """The calls that the receiver accepted: of each key the first that it noted."""
        return [call for call in self.calls if call.noted]


def judge(scenario: Scenario, found: Found) -> list[Fault]:
    """Every fault. Right is: none."""
    return [*_judge_members(scenario, found), *_judge_effects(found), *_judge_accepted(found), *_judge_repeats(found)]


def _judge_members(scenario: Scenario, found: Found) -> Iterator[Fault]:
    passages: defaultdict[tuple[str, str], list[Progress]] = defaultdict(list)
    for progress in found.progress:
        passages[progress.journey_id, progress.member_id].append(progress)
    effects: defaultdict[str, list[Effect]] = defaultdict(list)
    for effect in found.effects:
        effects[effect.progress_id].append(effect)
    for plan in scenario.plans:
        trials, orders = passages.pop((TRIAL, plan.member_id), []), passages.pop((ORDERS, plan.member_id), [])
        yield from _judge_entries(plan, trials, orders)
        for progress in trials:
            yield from _judge_trial(plan, progress)
            told = TOLD_OF_TRIALS & progress.visits.keys()
            yield from _judge_deliveries(progress, effects.pop(progress.id, []), told=told)
        for progress in orders:
            yield from _judge_order(progress)
            yield from _judge_deliveries(progress, effects.pop(progress.id, []), told=TOLD_OF_ORDERS)
    for journey, member in passages:
        yield Fault("entered twice", f"{journey} of {member}: nothing asks for it")
    for some in effects.values():
        yield Fault("effects doubled", f"{some[0].node_id} of {some[0].member_id}: of no passage")
    yield from (Fault("lost", f"a line was rejected: {rejected.detail}") for rejected in found.rejected)


def _judge_entries(plan: Plan, trials: Sequence[Progress], orders: Sequence[Progress]) -> Iterator[Fault]:
    """One trial; of each pair of orders exactly one, and not the last order: the limit was reached before."""
    if not trials:
        yield Fault("lost", f"trial of {plan.member_id}: never entered")
    yield from [Fault("entered twice", f"trial of {plan.member_id}")] * (len(trials) - 1)
    keys = {progress.entry_key for progress in orders}
    for pair in ORDER_PAIRS if plan.orders else ():
        entered = keys & {plan.order_id(offset) for offset in pair}
        keys -= entered
        if not entered:
            yield Fault("lost", f"orders {pair} of {plan.member_id}: none entered")
        yield from [Fault("entered twice", f"orders {pair} of {plan.member_id}")] * (len(entered) - 1)
    yield from (Fault("entered twice", f"{key} of {plan.member_id} is one too many") for key in keys)


def _judge_trial(plan: Plan, progress: Progress) -> Iterator[Fault]:
    """Where the passage is, and by which way it came there."""
    way, name = WAYS[plan.way], f"trial of {plan.member_id} ({plan.way})"
    if not progress.status.terminal:
        yield _stuck(name, progress)
    elif progress.status not in way.statuses:
        wanted = " or ".join(sorted(way.statuses))
        yield Fault("lost", f"{name}: {progress.status}, {progress.end_reason}; must be {wanted}")
    steps = {step.node_id: step.outcome for step in progress.trail if step.node_id != "profile" or step.outcome in WAIT_ENDS}
    branch = steps.get("profile")
    if branch is not None and branch not in way.branches:
        wanted = " or ".join(sorted(way.branches)) or "nothing"
        yield Fault("lost", f"{name}: the wait was ended by {branch}; must be {wanted}")
    nodes = _nodes(plan, timeout=branch == "timeout", heads=steps.get("coin") == "heads")
    if progress.status is Status.ENDED and dict(progress.visits) != dict.fromkeys(nodes, 1):
        yield Fault("lost", f"{name}: came by {dict(progress.visits)}")


def _nodes(plan: Plan, *, timeout: bool, heads: bool) -> frozenset[str]:
    """The nodes of a passage to the end; the coin may fall as it likes."""
    reminded = {"reminder"} if timeout else set()
    offered = {"offer"} if plan.number % 2 == 0 else set()
    return EVERY_TRIAL | reminded | ({"tone"} | offered if heads else set())


def _judge_order(progress: Progress) -> Iterator[Fault]:
    name = f"order {progress.entry_key}"
    if not progress.status.terminal:
        yield _stuck(name, progress)
    elif progress.status is not Status.ENDED:
        yield Fault("lost", f"{name}: {progress.status}, {progress.end_reason}")


def _stuck(name: str, progress: Progress) -> Fault:
    return Fault("stuck", f"{name}: {progress.status} at {progress.node_id}, due {progress.schedule_at}")


def _judge_deliveries(progress: Progress, effects: Sequence[Effect], *, told: frozenset[str]) -> Iterator[Fault]:
    """One effect for each node that tells somebody; who left in between may be spared it."""
    name, counts = f"{progress.journey_id} of {progress.member_id}", Counter(effect.node_id for effect in effects)
    for node, count in counts.items():
        yield from [Fault("effects doubled", f"{name}: {count} effects of {node}")] * (count - 1)
        if node not in told:
            yield Fault("effects doubled", f"{name}: {node} was not on the way")
    yield from (Fault("lost", f"{name}: no effect of {node}") for node in told - counts.keys())
    for effect in effects:
        if effect.status is EffectStatus.SKIPPED and progress.status is not Status.CANCELED:
            yield Fault("lost", f"{name}: {effect.node_id} was skipped, {effect.reason}")


def _judge_effects(found: Found) -> Iterator[Fault]:
    """Every effect is over, and what the receiver knows agrees."""
    accepted = {call.key for call in found.accepted}
    for effect in found.effects:
        name = f"{effect.node_id} of {effect.member_id}: {effect.status}, {effect.reason}"
        if not effect.status.terminal:
            yield Fault("stuck", name)
        elif effect.status in (EffectStatus.FAILED, EffectStatus.DEAD):
            yield Fault("lost", name)
        elif effect.status is EffectStatus.DONE and effect.id not in accepted:
            yield Fault("lost", f"{name}, but the receiver knows nothing of it")


def _judge_accepted(found: Found) -> Iterator[Fault]:
    """The receiver has accepted nothing twice, under whatever key, and nothing that no effect asks for."""
    known = {effect.id for effect in found.effects}
    places: set[tuple[str, str]] = set()
    for call in found.accepted:
        name = f"{call.letter.node_id} of {call.letter.member_id}"
        place = (call.letter.progress_id, call.letter.node_id)
        if call.key not in known:
            yield Fault("effects doubled", f"{name}: accepted, but no effect asks for it")
        if place in places:
            yield Fault("effects doubled", f"{name}: accepted under two keys")
        places.add(place)


def _judge_repeats(found: Found) -> Iterator[Fault]:
    """A delivery that was answered well is made again only where the performer was killed before it had written that down."""
    for call in repeats(found.calls):
        if not any(call.began < killed_at < call.began + UNCERTAIN_SECONDS for killed_at in found.killed_at):
            yield Fault("called again", f"{call.letter.node_id} of {call.letter.member_id}: nothing was uncertain")
