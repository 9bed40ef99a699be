"""What must hold when nothing is on its way: every live passage has one future, nobody is forgotten, all is delivered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sojourn.application.doctor import examine
from sojourn.domain.effect import Effect, SendMessage
from sojourn.domain.event import Event
from sojourn.domain.history import Refusal
from sojourn.domain.journey import Entries, Journey, JourneyStatus
from sojourn.domain.progress import Progress
from tests.simulation.baton import HOUR, MINUTE, moment
from tests.simulation.entry_rules import ENROLLED, passages_of, wants
from tests.simulation.reference import Facts, Traveller
from tests.simulation.violation import require

if TYPE_CHECKING:
    from tests.simulation.world import World

PATIENCE = 5
"""Sweeps in vain, hours after faults were over, that show that there is no hope."""


def check_pause_between(world: World) -> None:
    """Nothing is on its way, and nothing will be for a while."""
    heads = {head.id: head for head in world.store.scan(Journey)}
    for progress in world.store.scan(Progress):
        head = heads[progress.journey_id]
        if head.settling is None and not progress.status.terminal:
            late = progress.id in world.witness.late
            if not (late and progress.parked):
                _check_future(progress, head)
            if not late and not progress.parked:
                _check_heard(world, progress, head)
    for effect in world.store.scan(Effect):
        if not (effect.parked and effect.id in world.witness.late):
            _check_effect_future(effect, heads[effect.journey_id])


def _check_future(progress: Progress, head: Journey) -> None:
    """Parked, or before the sweep at a moment; a wait says until when, or for which effect."""
    name = f"progress {progress.id[:6]} of {progress.member_id} at {progress.node_id}"
    if progress.parked:
        require(progress.sweep_at is None and head.status is JourneyStatus.PAUSED, f"{name} is parked, nobody will unpark it")
        return
    require(progress.sweep_at is not None and progress.shard is not None, f"{name} is {progress.status} without a future")
    waits = (progress.schedule_at is not None) + (progress.awaits is not None)
    require(waits == (progress.status == "WAITING"), f"{name} is {progress.status} for {waits} things")


def _check_heard(world: World, progress: Progress, head: Journey) -> None:
    """A look now would find nothing new: every event that counts has been heard."""
    if head.status is JourneyStatus.PAUSED or progress.status != "WAITING" or progress.sweep_at != progress.schedule_at:
        return
    name = f"progress {progress.id[:6]} of {progress.member_id} at {progress.node_id}"
    if _was_there(world, progress, head):
        require(head.status is not JourneyStatus.ENDED, f"{name} is on the way through a journey that has ended")
        told = head.migration.mode == "pin" or progress.version == head.version or not _all_told(world, head)
        require(told, f"{name} is on version {progress.version}, nobody has told of version {head.version}")
    log = [event for _, event in world.witness.events[progress.member_key]]
    kept = [event for event in log if event.occurred_at >= progress.trigger.occurred_at]
    versions = world.witness.versions[progress.journey_id]
    _, member = world.witness.members[progress.member_key][-1]
    facts = Facts(progress.updated_at, head, versions, kept, member, None, False, world.limits.max_nodes_per_hop)
    traveller = Traveller(progress, facts)
    for event in sorted(kept, key=lambda one: (one.occurred_at, one.id)):
        traveller.hear(event)
    require(len(traveller.consumed) == len(progress.consumed), f"{name} has not heard {traveller.consumed[-1]}")


def _was_there(world: World, progress: Progress, head: Journey) -> bool:
    """Whether the member was on the way when the head changed. Who moved later by a cached head finds out at the next move."""
    changed = next(at for _, at, one in world.witness.heads[head.id] if one.rev == head.rev)
    log = world.witness.passages[progress.id]
    return world.witness.times[next(at for at, one in log if one.rev == progress.rev)] < changed


def _all_told(world: World, head: Journey) -> bool:
    """Whether the last publication could tell everybody: a pause that comes before ends that (decision 006)."""
    since = [one for _, _, one in world.witness.heads[head.id] if one.version == head.version]
    first = next(one for one in since if one.settling is None or one.status is JourneyStatus.PAUSED)
    return first.status is not JourneyStatus.PAUSED


def _check_effect_future(effect: Effect, head: Journey) -> None:
    name = f"effect {effect.id[:6]} of {effect.node_id}"
    if effect.status.terminal:
        require(not effect.parked and effect.sweep_at is None, f"{name} is over and before the sweep")
    elif effect.parked:
        waits = head.status is JourneyStatus.PAUSED or head.settling is not None
        require(effect.sweep_at is None and waits, f"{name} is parked, nobody will unpark it")
    else:
        require(effect.sweep_at is not None, f"{name} is {effect.status} without a future")


def check_end(world: World) -> None:
    """The world has come to rest, faults long over."""
    require(not world.busy(), "a message comes again and again for ever")
    now = moment(world.baton.now - 2 * MINUTE)
    for head in world.store.scan(Journey):
        require(head.settling is None, f"{head.id} is settling for ever")
    for record in world.swept():
        due = record.sweep_at is not None and record.sweep_at <= now
        require(not due, f"{type(record).__name__} {record.id[:6]} is stuck: due since {record.sweep_at}")
    _check_doctor(world)
    _check_entries(world)
    _check_effects(world)
    _check_quotas(world)


def _check_doctor(world: World) -> None:
    """The doctor finds nothing, but what waits for him: parked by a hop that died, and whose message never came again."""
    for report in examine(world.operator()):
        for finding in report.findings:
            _, _, identifier = finding.subject.rpartition("/")
            require(identifier in world.witness.late, f"the doctor finds {finding.subject}: {finding.sentence}")


def _check_entries(world: World) -> None:
    """Every event that was to let somebody in did so, once, or was refused, and the refusal is on record."""
    refused = {(one.event_id, one.journey_id) for one in world.store.scan(Refusal)}
    for published, event in world.published:
        for head in world.store.scan(Journey):
            if _must_be_answered(world, head, event, published):
                entered = any(one.trigger.id == event.id for one in passages_of(world.witness, head.id, event.member_key))
                answered = entered or (event.id, head.id) in refused
                require(answered, f"{event.id} ({event.name} of {event.member_id}) never came to {head.id}")
    for entries in world.store.scan(Entries):
        _check_count(world, entries)


def _must_be_answered(world: World, head: Journey, event: Event, published: int) -> bool:
    """Whether the journey was open or paused, on versions that all ask for it, from when it was published until today."""
    if event.name == ENROLLED or head.status is JourneyStatus.ENDED or head.version is None:
        return False
    return all(wants(definition, event) for definition in world.witness.versions[head.id].values())


def _check_count(world: World, entries: Entries) -> None:
    passages = passages_of(world.witness, entries.journey_id, entries.member_key)
    require(entries.count <= len(passages), f"{entries.count} entries are counted, there are {len(passages)}")
    versions = world.witness.versions[entries.journey_id]
    if all(definition.settings.counts_entries for definition in versions.values()):
        require(entries.count == len(passages), f"{entries.count} entries are counted, there are {len(passages)}")


def _check_effects(world: World) -> None:
    """Done exactly once where nothing was uncertain, at least once where it is called done."""
    for effect in world.store.scan(Effect):
        name, arrivals = f"effect {effect.id[:6]} of {effect.node_id}", len(world.witness.arrivals[effect.id])
        require(effect.status.terminal or effect.id in world.witness.late, f"{name} is {effect.status} at the end")
        if not isinstance(effect.payload, SendMessage):
            continue
        if effect.status == "DONE":
            require(arrivals >= 1, f"{name} is DONE and never arrived")
        if effect.id not in world.witness.uncertain:
            require(arrivals == (effect.status == "DONE"), f"{name} is {effect.status} and arrived {arrivals} times")


def _check_quotas(world: World) -> None:
    """As many messages as the largest quota of any version at most; an uncertain one that was given up counts for none."""
    for head in world.store.scan(Journey):
        quotas = [definition.settings.message_quota for definition in world.witness.versions[head.id].values()]
        if any(quota is None for quota in quotas) or not quotas:
            continue
        of_journey = [effect for effect in world.store.scan(Effect) if effect.journey_id == head.id]
        done = [one for one in of_journey if isinstance(one.payload, SendMessage) and one.status == "DONE"]
        require(len(done) <= max(quota or 0 for quota in quotas), f"{head.id} sent {len(done)} messages, its quota is {quotas}")


def overdue(world: World) -> Iterator[str]:
    """What the sweep has taken up several times in vain since faults were over."""
    if world.baton.now < world.plan.active + 3 * HOUR:
        return
    for record in world.swept():
        if record.sweep_count >= PATIENCE:
            name = f"{type(record).__name__} {record.id[:6]} ({record.status})"
            yield f"{name} is stuck: swept {record.sweep_count} times in vain"
