"""Everything in memory: the adapters of `make demo`, of most tests, and of the simulation. Part of the product.

Records are immutable, so they are kept as they are; the store's version of a document is a counter. It counts what it is asked
to do, for the tests that assert what a hop costs.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, cast

from pydantic import JsonValue

from sojourn.application.ports import Job, Outgoing
from sojourn.application.records import (
    MAX_PAGE,
    Commit,
    CommitResult,
    Create,
    Delete,
    Moment,
    Page,
    Question,
    R,
    Record,
    S,
    Stored,
    Tally,
    Where,
)
from sojourn.domain.breaker import BreakerPolicy
from sojourn.domain.effect import Delivery, Effect
from sojourn.domain.journey import Journey, JourneyStatus, MemberEvent
from sojourn.domain.progress import Progress
from sojourn.domain.retry import RetryPolicy
from sojourn.domain.schedule import next_strike

_Documents = dict[str, Stored[Any]]


class MemoryStore:
    """`Store` in dictionaries, with an index for the sweep's and the listeners' queries."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._documents: dict[type, _Documents] = defaultdict(dict)
        self._by_member: dict[tuple[type, str], set[str]] = defaultdict(set)
        self._swept: dict[tuple[type, int], list[Moment]] = defaultdict(list)
        """For each kind and shard when documents are due, in order: the sweep's index."""
        self._versions = 0
        self.reads: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()
        self.queries: Counter[str] = Counter()

    def forget_counts(self) -> None:
        """Count from zero again."""
        for counts in (self.reads, self.writes, self.queries):
            counts.clear()

    def get_many(self, kind: type[R], ids: Sequence[str]) -> list[Stored[R] | None]:
        with self._lock:
            self.reads[kind.__name__] += len(ids)
            return [self._documents[kind].get(identifier) for identifier in ids]

    def commit_many(self, commits: Sequence[Commit]) -> list[CommitResult]:
        with self._lock:
            return [self._commit(commit) for commit in commits]

    def _commit(self, commit: Commit) -> CommitResult:
        for write in commit:
            current = self._documents[type(write.record)].get(write.record.id)
            expected = None if isinstance(write, Create) else write.version
            if (current.version if current else None) != expected:
                return CommitResult.CONFLICT
        for write in commit:
            if isinstance(write, Delete):
                self._unindex(self._documents[type(write.record)].pop(write.record.id).value)
            else:
                self._put(write.record)
        return CommitResult.APPLIED

    def _put(self, record: Record) -> None:
        self._versions += 1
        self.writes[type(record).__name__] += 1
        before = self._documents[type(record)].get(record.id)
        self._documents[type(record)][record.id] = Stored(record, self._versions)
        if before is not None:
            self._unindex(before.value)
        if isinstance(record, Progress | Effect) and record.shard is not None and record.sweep_at is not None:
            insort(self._swept[type(record), record.shard], (record.sweep_at, record.id))
        if isinstance(record, Progress):
            self._by_member[Progress, record.member_key].add(record.id)
        elif isinstance(record, MemberEvent):
            self._by_member[MemberEvent, record.event.member_key].add(record.id)

    def _unindex(self, record: Record) -> None:
        if isinstance(record, Progress | Effect) and record.shard is not None and record.sweep_at is not None:
            index = self._swept[type(record), record.shard]
            del index[bisect_left(index, (record.sweep_at, record.id))]

    def scan(self, kind: type[R]) -> Iterator[R]:
        with self._lock:
            found = [cast(R, stored.value) for stored in self._documents[kind].values()]
        return iter(found)

    def due(
        self, kind: type[S], shard: int, *, since: datetime | None, until: datetime, after: Moment | None = None
    ) -> Page[S]:
        with self._lock:
            self.queries[kind.__name__] += 1
            index, documents = self._swept[kind, shard], self._documents[kind]
            first = bisect_left(index, (since, "")) if since is not None else 0
            if after is not None:
                first = max(first, bisect_right(index, after))
            last = bisect_right(index, until, key=lambda entry: entry[0])
            page = index[first : min(last, first + MAX_PAGE)]
            found = [documents[identifier] for _, identifier in page]
            return Page(found, page[-1] if first + MAX_PAGE < last else None)

    def listeners(self, member_key: str, event_name: str) -> list[str]:
        with self._lock:
            self.queries["Progress"] += 1
            progress = self._documents[Progress]
            return sorted(i for i in self._by_member[Progress, member_key] if event_name in progress[i].value.listens)

    def member_events(self, member_key: str, *, since: datetime) -> list[MemberEvent]:
        with self._lock:
            self.queries["MemberEvent"] += 1
            ids = self._by_member.get((MemberEvent, member_key), ())
            events: list[MemberEvent] = [self._documents[MemberEvent][identifier].value for identifier in ids]
        kept = [kept for kept in events if kept.event.occurred_at >= since]
        return sorted(kept, key=lambda kept: (kept.event.occurred_at, kept.event.id))[-MAX_PAGE:]

    def journeys(self, statuses: Collection[JourneyStatus]) -> list[Journey]:
        return sorted((s.value for s in self._query(Journey, lambda j: j.status in statuses)), key=lambda journey: journey.id)

    def journeys_to_end(self, until: datetime) -> list[Stored[Journey]]:
        active = (JourneyStatus.ONGOING, JourneyStatus.PAUSED)
        return self._query(
            Journey, lambda j: j.status in active and j.schedule_end_at is not None and j.schedule_end_at <= until
        )

    def journeys_to_settle(self) -> list[Journey]:
        return [stored.value for stored in self._query(Journey, lambda journey: journey.settling is not None)]

    def live_progress(self, journey_id: str, *, parked: bool, after: str | None = None) -> list[Stored[Progress]]:
        def wanted(progress: Progress) -> bool:
            return progress.journey_id == journey_id and progress.parked is parked and not progress.status.terminal

        found = sorted(self._query(Progress, wanted), key=lambda stored: stored.value.id)
        return [stored for stored in found if after is None or stored.value.id > after][:MAX_PAGE]

    def parked_effects(self, journey_id: str) -> list[Stored[Effect]]:
        return self._query(Effect, lambda effect: effect.journey_id == journey_id and effect.parked)[:MAX_PAGE]

    def find(self, kind: type[R], where: Where, *, after: str | None = None, limit: int = MAX_PAGE) -> list[Stored[R]]:
        found = sorted(self._query(kind, lambda record: _holds(record, where)), key=lambda stored: stored.value.id)
        return [stored for stored in found if after is None or stored.value.id > after][:limit]

    def newest(self, kind: type[R], where: Where, *, after: Moment | None = None, limit: int = MAX_PAGE) -> list[Stored[R]]:
        def place(stored: Stored[Any]) -> Moment:
            return stored.value.created_at, stored.value.id

        found: list[Stored[Any]] = list(self._query(kind, lambda record: _holds(record, where)))
        beyond = [stored for stored in found if after is None or place(stored) < after]
        return sorted(beyond, key=place, reverse=True)[:limit]

    def distinct(self, kind: type[R], attribute: str, where: Where) -> list[str]:
        values = {getattr(stored.value, attribute) for stored in self._query(kind, lambda record: _holds(record, where))}
        return sorted(values - {None}, reverse=True)[:MAX_PAGE]

    def tally_many(self, questions: Sequence[Question]) -> list[Tally]:
        return [self._tally(question) for question in questions]

    def _tally(self, question: Question) -> Tally:
        kind: Any = question.kind
        beyond = question.after or ""
        found = [s.value for s in self._query(kind, lambda record: _holds(record, question.where)) if s.value.id > beyond]
        numbers = [getattr(record, question.sum_of) or 0 for record in found] if question.sum_of else []
        return Tally(len(found), float(sum(numbers)))

    def _query(self, kind: type[R], wanted: Any) -> list[Stored[R]]:
        with self._lock:
            self.queries[kind.__name__] += 1
            return [stored for stored in self._documents[kind].values() if wanted(stored.value)]


def _holds(record: Record, where: Where) -> bool:
    return all(_is(getattr(record, attribute), wanted) for attribute, wanted in where.items())


def _is(value: object, wanted: object) -> bool:
    if isinstance(value, tuple):
        return wanted in value
    return value in wanted if isinstance(wanted, tuple) else value == wanted


class MemoryPublisher:
    """`Publisher` into lists: `take` hands over what a topic holds, `take_messages` with its attributes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._topics: dict[str, list[Outgoing]] = defaultdict(list)
        self.published: Counter[str] = Counter()

    def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
        with self._lock:
            for message in messages:
                self._topics[message.topic].append(message)
                self.published[message.topic] += 1
        return [True] * len(messages)

    def take(self, topic: str) -> list[bytes]:
        """Everything that waits in the topic, which is empty then."""
        return [message.data for message in self.take_messages(topic)]

    def take_messages(self, topic: str) -> list[Outgoing]:
        """The same, as it was published."""
        with self._lock:
            return self._topics.pop(topic, [])


class MemoryMailbox:
    """The channel `mailbox`: keeps each message once, by effect id, and counts how often it was asked to."""

    idempotent = True
    resend_when_uncertain = True
    retry = RetryPolicy()
    breaker: BreakerPolicy | None = BreakerPolicy()

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.messages: dict[str, tuple[Effect, JsonValue]] = {}
        self.deliveries: Counter[str] = Counter()

    def deliver(self, effect: Effect, message: JsonValue, *, url: str | None = None) -> Delivery:
        with self._lock:
            self.messages.setdefault(effect.id, (effect, message))
            self.deliveries[effect.id] += 1
        return Delivery("delivered", provider_id=f"mailbox-{effect.id}")


class MemoryJobs:
    """`JobScheduler` in a dictionary: `due` tells whoever plays the clock what it would have published."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}

    def put(self, job: Job) -> None:
        with self._lock:
            self._jobs[job.name] = job

    def delete(self, name: str) -> None:
        with self._lock:
            self._jobs.pop(name, None)

    def jobs(self, prefix: str) -> list[Job]:
        with self._lock:
            return [job for name, job in sorted(self._jobs.items()) if name.startswith(prefix)]

    def due(self, *, since: datetime, until: datetime) -> tuple[datetime, list[Outgoing]] | None:
        """The next moment after `since` and until `until` at which a job strikes, and the messages of all that do then."""
        strikes = [(next_strike(job.schedule, job.timezone, after=since), job) for job in self.jobs("") if not job.paused]
        first = min((moment for moment, _ in strikes), default=None)
        if first is None or first > until:
            return None
        return first, [job.message for moment, job in strikes if moment == first]


class ManualClock:
    """A clock that stands still until it is set."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        """Move to `now`; never back."""
        self._now = max(self._now, now)
