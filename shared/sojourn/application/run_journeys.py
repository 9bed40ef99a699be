"""`run_journeys`: advance members. One read, a pure core, one write, then publish (design, section 5).

::

    messages ─▶ get progress ─▶ head, version ─▶ stimuli ─▶ advance ─▶ commit ─▶ publish
                  │ gone, stale    │ PAUSED: park  │ events that it listens for,
                  ▼                ▼ ENDED: cancel │ a due wait, an effect's result
                 204                               ▼ none: nothing to do

No effect is performed before the commit, so there is nothing to undo and no claim to hold. After a crash `sweep_at` is the
durable intent. A member who listens looks for events before the hop (an exit event wins over a wake-up due at the same time)
and, when the hop began a wait, once more after its commit (the other half of ingest's bargain).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sojourn.application.messages import RunMessage, message_about
from sojourn.application.outcome import UNAVAILABLE, About, Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.records import Commit, CommitResult, Create, Stored, Update
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect
from sojourn.domain.engine import Transition, advance_all, extended, migrate, parked
from sojourn.domain.journey import Journey, JourneyStatus
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress, Status, due_for_sweep
from sojourn.domain.stimulus import Cancel, Due, EffectFinished, EventReceived, Resume, Stimulus


@dataclass(frozen=True, slots=True)
class _Hop:
    """A progress that is worth a look: nothing is decided yet."""

    message: RunMessage
    stored: Stored[Progress]
    progress: Progress
    """As it stands on the present version, with the pauses of the journey added to its wait; not yet written."""
    definition: Definition
    canceled: str | None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a hop will write and publish. `outcome` is the answer once that is done; `again`: look once more."""

    commit: Commit
    outcome: Outcome
    messages: tuple[Outgoing, ...] = ()
    again: bool = False


def run_journeys(shop: Workshop, messages: Sequence[RunMessage]) -> list[Outcome]:
    """Run a hop for each message; one outcome for each. Messages for the same progress run one after the other."""
    outcomes: list[Outcome | None] = [None] * len(messages)
    pending = list(enumerate(messages))
    for _ in range(MAX_ROUNDS + len(messages)):
        if not pending:
            break
        first, rest = _first_of_each(pending)
        results = _round(shop, [message for _, message in first])
        for (index, message), (outcome, again) in zip(first, results, strict=True):
            if outcome is not None and (outcomes[index] is None or outcome.retry):
                outcomes[index] = outcome
            if again:
                rest.append((index, RunMessage(progress_id=message.progress_id) if outcome else message))
        pending = rest
    for index, _ in pending:
        outcomes[index] = UNAVAILABLE
    return [outcome or UNAVAILABLE for outcome in outcomes]


def _first_of_each(
    pending: Sequence[tuple[int, RunMessage]],
) -> tuple[list[tuple[int, RunMessage]], list[tuple[int, RunMessage]]]:
    """The first message of each progress, and the rest for a later round."""
    seen: set[str] = set()
    first: list[tuple[int, RunMessage]] = []
    rest: list[tuple[int, RunMessage]] = []
    for item in pending:
        (rest if item[1].progress_id in seen else first).append(item)
        seen.add(item[1].progress_id)
    return first, rest


def _round(shop: Workshop, messages: Sequence[RunMessage]) -> list[tuple[Outcome | None, bool]]:
    """For each message the outcome (None: undecided, somebody else wrote in between) and whether to look again."""
    now = shop.now()
    found = shop.store.get_many(Progress, [message.progress_id for message in messages])
    considered = [_consider(shop, message, stored, now) for message, stored in zip(messages, found, strict=True)]
    members = _members(shop, [hop for hop in considered if isinstance(hop, _Hop)])
    planned = [
        _plan(shop, hop, members.get(hop.progress.member_key), now) if isinstance(hop, _Hop) else hop for hop in considered
    ]
    answers = zip(_carry_out(shop, planned), found, strict=True)
    return [(outcome and replace(outcome, about=_about(stored)), again) for (outcome, again), stored in answers]


def _about(stored: Stored[Progress] | None) -> About | None:
    return About(stored.value.trace_id, stored.value.journey_id) if stored is not None else None


def _consider(shop: Workshop, message: RunMessage, stored: Stored[Progress] | None, now: datetime) -> _Hop | _Plan | Outcome:
    """Steps 1 and 2 of the protocol: is there anything to do, and does the journey let the member move?"""
    if stored is None:
        return Outcome("gone")
    progress = stored.value
    if progress.status.terminal and not progress.listens:
        return Outcome("duplicate")
    if message.rev is not None and message.rev != progress.rev and not progress.listens and not progress.awaits:
        return Outcome("stale")
    head = shop.catalog.head(progress.journey_id, at_least=message.head_rev)
    if head is not None and head.status is JourneyStatus.PAUSED and not progress.status.terminal:
        return Outcome("parked") if progress.parked else _park(shop, stored, now)
    definition = shop.catalog.definition(progress.journey_id, progress.version)
    if definition is None:
        return Outcome("version_missing", retry=True)
    if head is None or head.status is JourneyStatus.ENDED:
        return _Hop(message, stored, progress, definition, (head and head.end_reason) or "journey ended")
    return _on_version(shop, _Hop(message, stored, _extended(head, progress, now), definition, None), head, now)


def _on_version(shop: Workshop, hop: _Hop, head: Journey, now: datetime) -> _Hop | Outcome:
    """The hop on the version that the last publication wants the member on."""
    progress = hop.progress
    if head.version is None or head.version <= progress.version or progress.status.terminal or head.migration.mode == "pin":
        return hop
    if head.migration.mode == "cancel":
        return replace(hop, canceled=f"replaced by version {head.version}")
    newer = shop.catalog.definition(head.id, head.version)
    if newer is None:
        return Outcome("version_missing", retry=True)
    moved = migrate(hop.definition, newer, progress, version=head.version, nodes=head.migration.nodes, now=now)
    return replace(hop, progress=moved, definition=newer)


def _extended(head: Journey, progress: Progress, now: datetime) -> Progress:
    """Waits that pauses interrupted last longer, where resume was asked for that; each pause counts once."""
    missed = [extension for extension in head.extensions if extension.resume > progress.extended]
    if not missed or progress.status.terminal:
        return progress
    return extended(progress, seconds=sum(one.seconds for one in missed), resume=missed[-1].resume, now=now)


def _park(shop: Workshop, stored: Stored[Progress], now: datetime) -> _Plan:
    progress = shop.stamp_progress(parked(stored.value, now=now), rev=stored.value.rev)
    return _Plan((Update(progress, stored.version),), Outcome("parked"))


def _members(shop: Workshop, hops: Sequence[_Hop]) -> dict[str, Member]:
    """Members of the hops whose definition reads them, in one request."""
    keys = list({hop.progress.member_key for hop in hops if hop.definition.reads_member})
    found = shop.store.get_many(Member, keys) if keys else []
    return {stored.value.id: stored.value for stored in found if stored is not None}


def _plan(shop: Workshop, hop: _Hop, member: Member | None, now: datetime) -> _Plan | Outcome:
    """Steps 3 and 4: the pure core, and the commit that it asks for."""
    progress = hop.progress
    stimuli = _stimuli(shop, hop, now)
    transition = advance_all(hop.definition, progress, stimuli, member=member, now=now, max_nodes=shop.limits.max_nodes_per_hop)
    if transition.progress is hop.stored.value:
        return _rearm(shop, hop.stored, now)
    after = shop.stamp_progress(transition.progress, rev=progress.rev + 1)
    effects = [shop.stamp_effect(effect, rev=1) for effect in transition.effects]
    commit: Commit = (Update(after, hop.stored.version, hop.stored.value), *(Create(effect) for effect in effects))
    outcome = Outcome("advanced", notes=_notes(hop, transition))
    return _Plan(commit, outcome, _next(after, effects), again=_began_to_listen(after))


def _stimuli(shop: Workshop, hop: _Hop, now: datetime) -> list[Stimulus]:
    """What the progress reacts to, in the order that counts: leaving the journey, events, an effect's result, the clock."""
    progress, message = hop.progress, hop.message
    stimuli: list[Stimulus] = []
    if hop.canceled is not None:
        stimuli.append(Cancel(hop.canceled))
    if progress.listens:
        kept = shop.store.member_events(progress.member_key, since=progress.trigger.occurred_at)
        stimuli += [EventReceived(event.event) for event in kept]
    if progress.awaits is not None:
        found = shop.store.get_many(Effect, [progress.awaits])[0]
        if found is not None and found.value.status.terminal:
            effect = found.value
            how = (effect.reason, effect.result, effect.failure)
            stimuli.append(EffectFinished(effect.id, effect.status.value, effect.updated_at, *how))
    due = progress.schedule_at is None or progress.schedule_at <= now
    if (
        progress.status in (Status.READY, Status.RUNNING)
        and due
        and (message.rev == progress.rev or progress is not hop.stored.value or progress.parked)
    ):
        stimuli.append(Resume())
    if progress.status is Status.WAITING and progress.schedule_at is not None and due:
        stimuli.append(Due(progress.schedule_at))
    return stimuli


def _rearm(shop: Workshop, stored: Stored[Progress], now: datetime) -> _Plan | Outcome:
    """Nothing to do. Where the sweep came too early (after an unpark, say), tell it when to come: its own bump may be later."""
    progress = stored.value
    swept = progress.sweep_at is not None and (progress.sweep_at <= now or progress.sweep_count > 0)
    early = progress.status is Status.WAITING and swept
    if not early and not progress.parked:
        return Outcome("nothing_due")
    sweep_at = due_for_sweep(progress, now=now)
    rearmed = replace(progress, sweep_at=sweep_at, sweep_count=0, parked=False)
    return _Plan((Update(shop.stamp_progress(rearmed, rev=progress.rev), stored.version),), Outcome("rearmed"))


def _notes(hop: _Hop, transition: Transition) -> tuple[str, ...]:
    """How the passage ended. Once: a goal that is reached after the end ends nothing."""
    status = transition.progress.status
    return (status.lower(),) if status.terminal and not hop.stored.value.status.terminal else ()


def _next(after: Progress, effects: Sequence[Effect]) -> tuple[Outgoing, ...]:
    running = after.status in (Status.READY, Status.RUNNING) and after.schedule_at is None
    return (*map(message_about, effects), *([message_about(after)] if running else []))


def _began_to_listen(after: Progress) -> bool:
    return after.status is Status.WAITING and bool(after.listens)


def _carry_out(shop: Workshop, planned: Sequence[_Plan | Outcome]) -> list[tuple[Outcome | None, bool]]:
    """Step 4's write and step 5: commit everything, publish for what was applied."""
    plans = [plan for plan in planned if isinstance(plan, _Plan)]
    results = dict(zip(map(id, plans), shop.commit_many([plan.commit for plan in plans]), strict=True))
    applied = [plan for plan in plans if results[id(plan)] is CommitResult.APPLIED]
    failed = _publish(shop, applied)
    answers: list[tuple[Outcome | None, bool]] = []
    for plan in planned:
        if isinstance(plan, Outcome):
            answers.append((plan, False))
        elif results[id(plan)] is not CommitResult.APPLIED:
            answers.append((None, True))
        elif id(plan) in failed:
            answers.append((UNAVAILABLE, False))
        else:
            answers.append((plan.outcome, plan.again or _resumed_meanwhile(shop, plan)))
    return answers


def _publish(shop: Workshop, plans: Sequence[_Plan]) -> set[int]:
    """Publish what the plans ask for; the ids of the plans of which something was not taken. The sweep repairs those."""
    owners = [id(plan) for plan in plans for _ in plan.messages]
    sent = shop.publish_many([message for plan in plans for message in plan.messages])
    return {owner for owner, taken in zip(owners, sent, strict=True) if not taken}


def _resumed_meanwhile(shop: Workshop, plan: _Plan) -> bool:
    """The other half of resume's bargain: parked first, now read the head afresh; if it is ONGOING again, go on."""
    progress = plan.commit[0].record
    if not isinstance(progress, Progress) or not progress.parked:
        return False
    head = shop.catalog.head(progress.journey_id, fresh=True)
    return head is None or head.status is not JourneyStatus.PAUSED
