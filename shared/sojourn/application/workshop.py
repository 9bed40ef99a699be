"""The workshop that every use case works in: the ports, the limits, and the two ways to write that survive unclear answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sojourn.application.breaker_memory import BreakerMemory
from sojourn.application.catalog import Catalog
from sojourn.application.ports import Channels, Clock, DeadLetters, JobScheduler, Outgoing, Publisher, Store, Tokens
from sojourn.application.records import Commit, CommitResult, Create, R, Record
from sojourn.domain.audit import ENGINE, AuditEntry
from sojourn.domain.effect import Effect
from sojourn.domain.engine import MAX_NODES_PER_HOP
from sojourn.domain.ids import shard_of
from sojourn.domain.progress import Progress

MAX_ROUNDS = 8
"""Times a use case takes up an item again within one call: lost compare-and-sets, second looks, duplicates in one batch."""
DEFAULT_SHARDS = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """What a deployment may set."""

    max_nodes_per_hop: int = MAX_NODES_PER_HOP
    shards: int = DEFAULT_SHARDS


@dataclass(frozen=True, slots=True)
class Workshop:
    """Everything that a use case needs, composed once per process. `principal`: for whom it works, which the audit tells."""

    store: Store
    publisher: Publisher
    clock: Clock
    tokens: Tokens
    channels: Channels
    catalog: Catalog
    jobs: JobScheduler
    dead_letters: DeadLetters
    limits: Limits = Limits()
    principal: str = ENGINE
    breakers: BreakerMemory = field(default_factory=BreakerMemory)

    def by(self, principal: str) -> Workshop:
        """The same for somebody who came through a door."""
        return replace(self, principal=principal)

    def now(self) -> datetime:
        """The clock's time."""
        return self.clock.now()

    def stamp_progress(self, progress: Progress, *, rev: int) -> Progress:
        """Ready to write: its revision, a token of its own, and its shard while a sweep must find it."""
        return replace(progress, rev=rev, token=self.tokens.token(), shard=self._shard(progress))

    def stamp_effect(self, effect: Effect, *, rev: int) -> Effect:
        """The same for an effect."""
        return replace(effect, rev=rev, token=self.tokens.token(), shard=self._shard(effect))

    def _shard(self, record: Progress | Effect) -> int | None:
        return shard_of(record.id, self.limits.shards) if record.sweep_at is not None else None

    def commit_many(self, commits: Sequence[Commit]) -> list[CommitResult]:
        """Commit, and tell own writes from others'. APPLIED: it is there. CONFLICT: somebody was faster. UNKNOWN: try again.

        The client repeats a commit whose answer was lost, so an own write may come back as refused: the random token on the
        document says whose it was (gcp-facts, finding 2). One write of a commit stands for all, they are atomic.
        """
        results = self.store.commit_many(commits) if commits else []
        unclear = {index: _witness(commits[index]) for index, one in enumerate(results) if one is not CommitResult.APPLIED}
        for index in self._own(unclear):
            results[index] = CommitResult.APPLIED
        return results

    def _own(self, records: Mapping[int, Record]) -> Iterator[int]:
        """Which of them are there as they were written.

        A newer write may lie over an own one by now: then it is not among them, and the sweep publishes what we would have.
        """
        for kind in {type(record) for record in records.values()}:
            ours = {index: record for index, record in records.items() if type(record) is kind}
            ids = [record.id for record in ours.values()]
            found = self.store.get_many(kind, ids)  # type: ignore[type-var]  # one of the kinds, whichever
            for (index, record), stored in zip(ours.items(), found, strict=True):
                if stored is not None and stored.value.token == record.token:
                    yield index

    def create_many(self, records: Sequence[R]) -> list[bool]:
        """Create what may be there already; for each whether it is there now, whoever wrote it."""
        results = self.commit_many([(Create(record),) for record in records])
        return [result is not CommitResult.UNKNOWN for result in results]

    def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
        """Publish; for each whether the service took it."""
        return self.publisher.publish_many(messages) if messages else []


def _witness(commit: Commit) -> Record:
    """What tells whether a commit was applied: its audit entry, which nobody changes or deletes; else the first."""
    last = commit[-1].record
    return last if isinstance(last, AuditEntry) else commit[0].record
