"""Mutations: the engine with one of its safeguards taken away, and within how many seeds the simulation must notice.

Each is a patch of the real code at run time. One that no run of seeds finds would show that the simulation looks away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from sojourn.adapters.memory import MemoryStore
from sojourn.application import catalog, entry, holding, ingest, perform_effects, run_journeys, settling, sweep, workshop
from sojourn.application.outcome import Outcome
from sojourn.application.records import Commit, CommitResult, Stored, Update, Write
from sojourn.domain import engine, visit, walk
from sojourn.domain.ids import effect_id, fraction
from sojourn.domain.journey import Entries, QuotaShare
from sojourn.domain.progress import Progress
from sojourn.domain.stimulus import Due
from tests.simulation.run import run_seed

Patch = tuple[object, str, object]


@dataclass(frozen=True, slots=True)
class Mutation:
    """`patches`: the place, the name, what stands there instead. `within`: seeds by which it must be found.

    `known` is the first seed that found it when all were last searched for (`python -m tests.simulation --mutations`).
    """

    name: str
    known: int
    within: int
    patches: Callable[[], Sequence[Patch]]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The engine is mutated until this is left."""
        running = [patch.object(place, name, instead) for place, name, instead in self.patches()]
        for one in running:
            one.start()
        try:
            yield
        finally:
            for one in running:
                one.stop()


@dataclass(frozen=True, slots=True)
class Found:
    """The first seed that notices a mutation, and what it says; None: none did."""

    seed: int | None
    violation: str | None


def find(mutation: Mutation, *, search: bool = False) -> Found:
    """Run the seed that is known to notice, then all from the first on until one does; to `search`, only those."""
    with mutation.applied():
        for seed in (*(() if search else (mutation.known,)), *range(mutation.within)):
            violation = run_seed(seed).violation
            if violation is not None:
                return Found(seed, violation)
    return Found(None, None)


# What each takes away


def _no_tokens() -> Sequence[Patch]:
    return [(workshop.Workshop, "_own", lambda self, records: iter(()))]


def _no_sweep() -> Sequence[Patch]:
    return [(sweep, "_sweep", lambda shop, shards, deep: Outcome("swept"))]


def _no_second_look() -> Sequence[Patch]:
    return [(run_journeys, "_began_to_listen", lambda after: False)]


def _no_look_after_park() -> Sequence[Patch]:
    return [(run_journeys, "_resumed_meanwhile", lambda shop, plan: False)]


def _no_look_after_an_effect_is_parked() -> Sequence[Patch]:
    return [(perform_effects, "_resumed_meanwhile", lambda shop, effect: False)]


def _no_visit_in_effect_ids() -> Sequence[Patch]:
    return [(visit, "effect_id", lambda progress_id, node_id, visits: effect_id(progress_id, node_id, 1))]


def _no_leases() -> Sequence[Patch]:
    def busy(effect: Any, now: Any) -> str | None:
        return "duplicate" if effect.status.terminal else None

    return [(perform_effects, "_busy", busy)]


def _bump_is_a_lease() -> Sequence[Patch]:
    real = perform_effects._busy
    return [(perform_effects, "_busy", lambda effect, now: real(replace(effect, sweep_count=0), now))]


def _lost_updates(*kinds: type) -> Callable[[], Sequence[Patch]]:
    """The store takes an update of these kinds whatever has been written since."""

    def patches() -> Sequence[Patch]:
        real = MemoryStore._commit

        def commit(self: MemoryStore, commit: Commit) -> CommitResult:
            return real(self, tuple(self_fresh(self, write) for write in commit))

        def self_fresh(self: MemoryStore, write: Write) -> Write:
            current = self._documents[type(write.record)].get(write.record.id)
            if current is None or not isinstance(write, Update) or not isinstance(write.record, kinds):
                return write
            version: object = current.version
            return Update(write.record, version)

        return [(MemoryStore, "_commit", commit)]

    return patches


def _split_commits() -> Sequence[Patch]:
    """State first, then effects: what is together in one commit is written one by one."""
    real = workshop.Workshop.commit_many

    def commit_many(self: workshop.Workshop, commits: Sequence[Commit]) -> list[CommitResult]:
        results = real(self, [commit[:1] for commit in commits])
        for commit, result in zip(commits, results, strict=True):
            if result is CommitResult.APPLIED:
                for write in commit[1:]:
                    real(self, [(write,)])
        return results

    return [(workshop.Workshop, "commit_many", commit_many)]


def _unknown_is_applied() -> Sequence[Patch]:
    real = workshop.Workshop.commit_many

    def commit_many(self: workshop.Workshop, commits: Sequence[Commit]) -> list[CommitResult]:
        known = {CommitResult.UNKNOWN: CommitResult.APPLIED}
        return [known.get(result, result) for result in real(self, commits)]

    return [(workshop.Workshop, "commit_many", commit_many)]


def _events_count_again() -> Sequence[Patch]:
    def consume(self: walk.Walk, event: Any) -> None:
        self.changed = True

    return [(walk.Walk, "consume", consume)]


def _look_before_writing() -> Sequence[Patch]:
    """Ingest looks for listeners and then writes the event down."""
    keep, signal = ingest._keep_for_listeners, ingest._signal
    return [(ingest, "_keep_for_listeners", signal), (ingest, "_signal", keep)]


def _no_look_before_the_hop() -> Sequence[Patch]:
    real = run_journeys._stimuli

    def stimuli(shop: Any, hop: Any, now: Any) -> Any:
        found = real(shop, hop, now)
        due = [one for one in found if isinstance(one, Due)]
        return due or found

    return [(run_journeys, "_stimuli", stimuli)]


def _waits_end_early() -> Sequence[Patch]:
    real = run_journeys._stimuli

    def stimuli(shop: Any, hop: Any, now: Any) -> Any:
        return real(shop, hop, now + timedelta(minutes=2))

    return [(run_journeys, "_stimuli", stimuli)]


def _any_wait_is_over() -> Sequence[Patch]:
    """A wake-up wakes from whatever wait an event of the same hop has led on to."""
    real = engine._wake

    def wake(hop: Any, at: Any) -> None:
        hop.before = replace(hop.before, schedule_at=hop.schedule_at)
        real(hop, at)

    return [(engine, "_wake", wake)]


def _heads_for_an_hour() -> Sequence[Patch]:
    return [(catalog, "MAX_HEAD_AGE", timedelta(hours=1))]


def _who_left_is_spoken_to() -> Sequence[Patch]:
    return _without_holding("the member left")


def _asleep_is_spoken_to() -> Sequence[Patch]:
    return [(holding, "_sleeping", lambda shop, effect, now: None)]


def _in_doubt_again() -> Sequence[Patch]:
    return [(holding, "repeatable", lambda shop, effect: True)]


def _silence_is_failure() -> Sequence[Patch]:
    """What may have arrived counts as not arrived."""
    return [(perform_effects, "repeatable", lambda shop, effect: True)]


def _without_holding(reason: str) -> Sequence[Patch]:
    real = holding.held

    def held(*arguments: Any) -> Any:
        found = real(*arguments)
        return None if found is not None and (found.reason or "").startswith(reason) else found

    return [(perform_effects, "held", held)]


def _lost_lease_writes() -> Sequence[Patch]:
    """Whose lease ran out writes over what the next performer wrote."""

    def release(shop: Any, effect: Any) -> Any:
        stored = shop.store.get_many(type(effect), [effect.id])[0]
        return perform_effects._write(shop, effect, stored) or Outcome("lost_lease")

    return [(perform_effects, "_release", release)]


def _page_before_its_members() -> Sequence[Patch]:
    """Settling turns the page before it has told the members."""

    def settle(shop: Any, journey_id: str) -> Outcome:
        held_back: list[Any] = []
        result = real(replace(shop, publisher=_Later(shop.publisher, held_back)), journey_id)
        shop.publish_many(held_back)
        return result

    real = settling.settle
    return [(sweep, "settle", settle)]


class _Later:
    """A publisher that says yes and keeps the messages."""

    def __init__(self, inner: Any, kept: list[Any]) -> None:
        self._inner, self._kept = inner, kept

    def publish_many(self, messages: Sequence[Any]) -> list[bool]:
        self._kept += messages
        return [True] * len(messages)


def _since_is_now() -> Sequence[Patch]:
    """Events that occurred before the awaited result was noticed do not count for the next wait."""
    real = engine._finish_await
    return [(engine, "_finish_await", lambda hop, finished: real(hop, replace(finished, at=hop.now)))]


def _no_count_of_entries() -> Sequence[Patch]:
    real = entry.count_passage

    def count(stored: Stored[Entries] | None, progress: Progress, **known: Any) -> Write:
        if stored is None:
            return real(stored, progress, **known)
        return Update(replace(stored.value, rev=stored.value.rev + 1), stored.version)

    return [(entry, "count_passage", count)]


def _no_other_rules() -> Sequence[Patch]:
    return [(entry, "_looks_back", lambda candidate, counted: False)]


def _extended_at_every_hop() -> Sequence[Patch]:
    real = engine.extended
    return [
        (
            run_journeys,
            "extended",
            lambda progress, **pause: replace(real(progress, **pause), extended=progress.extended),
        )
    ]


def _no_settling_by_the_tick() -> Sequence[Patch]:
    return [(MemoryStore, "journeys_to_settle", lambda self: [])]


def _no_rearming() -> Sequence[Patch]:
    return [(run_journeys, "_rearm", lambda shop, stored, now: Outcome("nothing_due"))]


def _dice_at_every_split() -> Sequence[Patch]:
    """The branch depends on when one looks."""
    real = fraction
    return [(visit, "fraction", lambda *parts: (real(*parts) + 0.5) % 1)]


def _revisions_stand_still() -> Sequence[Patch]:
    real = workshop.Workshop.stamp_progress
    return [(workshop.Workshop, "stamp_progress", lambda self, progress, *, rev: real(self, progress, rev=progress.rev))]


def _quota_without_a_note() -> Sequence[Patch]:
    return [(perform_effects, "takes", lambda effect: False)]


MUTATIONS: Mapping[str, Mutation] = {
    mutation.name: mutation
    for mutation in (
        Mutation("no token check after an unclear commit", 1, 400, _no_tokens),
        Mutation("no sweep", 0, 20, _no_sweep),
        Mutation("no second look after a wait has begun", 0, 400, _no_second_look),
        Mutation("no look at the head after parking", 67, 1_500, _no_look_after_park),
        Mutation("no look at the head after parking an effect", 959, 1_500, _no_look_after_an_effect_is_parked),
        Mutation("effect ids without the visit", 203, 400, _no_visit_in_effect_ids),
        Mutation("no leases", 1, 400, _no_leases),
        Mutation("a bump of the sweep counts as a lease", 1, 400, _bump_is_a_lease),
        Mutation("lost updates of progress", 0, 400, _lost_updates(Progress)),
        Mutation("lost updates of entry counts", 167, 1_500, _lost_updates(Entries)),
        Mutation("lost updates of quota shares", 937, 1_500, _lost_updates(QuotaShare)),
        Mutation("state and effects in separate commits", 1, 400, _split_commits),
        Mutation("UNKNOWN is taken for APPLIED", 1, 400, _unknown_is_applied),
        Mutation("events count more than once", 0, 400, _events_count_again),
        Mutation("ingest looks before it writes", 342, 1_500, _look_before_writing),
        Mutation("no look at events before a wake-up", 17, 400, _no_look_before_the_hop),
        Mutation("waits end two minutes early", 4, 400, _waits_end_early),
        Mutation("a wake-up ends any wait", 53, 400, _any_wait_is_over),
        Mutation("heads are cached for an hour", 2, 400, _heads_for_an_hour),
        Mutation("who left is spoken to", 8, 400, _who_left_is_spoken_to),
        Mutation("who sleeps is spoken to", 330, 1_500, _asleep_is_spoken_to),
        Mutation("what is in doubt is sent again", 10, 400, _in_doubt_again),
        Mutation("a request without an answer is sent again", 25, 400, _silence_is_failure),
        Mutation("a lost lease still writes", 55, 400, _lost_lease_writes),
        Mutation("settling turns the page first", 167, 1_500, _page_before_its_members),
        Mutation("after an awaited result only what comes later counts", 6, 400, _since_is_now),
        Mutation("entries are not counted", 8, 400, _no_count_of_entries),
        Mutation("passages by other rules do not count", 58, 400, _no_other_rules),
        Mutation("pauses lengthen a wait at every hop", 2, 400, _extended_at_every_hop),
        Mutation("the tick sends no lost settling again", 9, 400, _no_settling_by_the_tick),
        Mutation("nobody tells the sweep when to come back", 32, 400, _no_rearming),
        Mutation("splits depend on more than the member", 12, 400, _dice_at_every_split),
        Mutation("revisions stand still", 0, 400, _revisions_stand_still),
        Mutation("no quota is taken", 1, 400, _quota_without_a_note),
    )
}
