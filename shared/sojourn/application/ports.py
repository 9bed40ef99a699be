"""The ports: what the use cases need from the world, as Protocols. Adapters implement them, only runtime composes them.

Ports take lists and answer for each item, so that one bad item never fails its neighbours. A service that does not answer at
all is `sojourn.domain.errors.Unavailable`; nothing else is raised.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from pydantic import JsonValue

from sojourn.application.records import (
    MAX_PAGE,
    Commit,
    CommitResult,
    Moment,
    Page,
    Question,
    R,
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
from sojourn.domain.trace import TRACEPARENT, TraceContext, derived_span_id


class Store(Protocol):
    """Documents with compare-and-set. Reads see every commit that was applied before (Firestore is strongly consistent).

    A document that holds no record is left out of what goes from document to document (`due`, `live_progress`,
    `parked_effects`, `find`, `newest`, `scan`) and named in the log: nobody else waits for it. Whoever asks for it fails.
    """

    def get_many(self, kind: type[R], ids: Sequence[str]) -> list[Stored[R] | None]:
        """The documents in the order of `ids`; None for one that is not there."""
        ...

    def commit_many(self, commits: Sequence[Commit]) -> list[CommitResult]:
        """Apply each commit by itself, atomically. Two commits of one call never name the same document."""
        ...

    def due(
        self, kind: type[S], shard: int, *, since: datetime | None, until: datetime, after: Moment | None = None
    ) -> Page[S]:
        """Documents of `shard` with `since` <= sweep_at <= `until` (None: from the beginning), in the order of (sweep_at, id).

        At most MAX_PAGE, beyond `after`. Many members are due at the very same moment, so a page must continue inside one.
        """
        ...

    def listeners(self, member_key: str, event_name: str) -> list[str]:
        """Ids of the member's progress documents whose `listens` holds the event."""
        ...

    def member_events(self, member_key: str, *, since: datetime) -> list[MemberEvent]:
        """The member's kept events that occurred at `since` or later, by (occurred_at, id): the newest MAX_PAGE of them."""
        ...

    def journeys(self, statuses: Collection[JourneyStatus]) -> list[Journey]:
        """Heads in one of `statuses`, by id."""
        ...

    def journeys_to_end(self, until: datetime) -> list[Stored[Journey]]:
        """ONGOING and PAUSED heads whose schedule_end_at is at `until` or before."""
        ...

    def journeys_to_settle(self) -> list[Journey]:
        """Heads with `settling`: work on their members goes on page by page."""
        ...

    def live_progress(self, journey_id: str, *, parked: bool, after: str | None = None) -> list[Stored[Progress]]:
        """Progress of the journey that is READY, RUNNING or WAITING, parked or not, by id beyond `after`; at most MAX_PAGE."""
        ...

    def parked_effects(self, journey_id: str) -> list[Stored[Effect]]:
        """Effects of the journey that are parked; at most MAX_PAGE."""
        ...

    def find(self, kind: type[R], where: Where, *, after: str | None = None, limit: int = MAX_PAGE) -> list[Stored[R]]:
        """Documents `where`, by id beyond `after`."""
        ...

    def newest(self, kind: type[R], where: Where, *, after: Moment | None = None, limit: int = MAX_PAGE) -> list[Stored[R]]:
        """Documents `where`, by (created_at, id), the newest first, beyond `after`; of kinds that have that attribute."""
        ...

    def distinct(self, kind: type[R], attribute: str, where: Where) -> list[str]:
        """The different texts in an attribute, the greatest first, at most MAX_PAGE. One query each: for few values."""
        ...

    def tally_many(self, questions: Sequence[Question]) -> list[Tally]:
        """Count and add up without reading documents (Firestore: one read for 1,000 index entries)."""
        ...

    def scan(self, kind: type[R]) -> Iterator[R]:
        """Every document of a kind, in no order: for reports and inspections, a read each."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish: the topic's name as in `infra/functions.json` and the JSON bytes.

    `trace_id`: the trace of whom it is about; None where it is about many. `span_id`: the invocation that publishes it, which
    sets it itself; None outside of one, such as on the command line.
    """

    topic: str
    data: bytes
    trace_id: str | None = None
    span_id: str | None = None

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes that it is published with."""
        if self.trace_id is None:
            return {}
        return {TRACEPARENT: TraceContext(self.trace_id, self.span_id or derived_span_id(self.trace_id)).traceparent}


class Publisher(Protocol):
    """Pub/Sub topics."""

    def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
        """Publish and wait until the service has taken them; for each whether it did."""
        ...


@dataclass(frozen=True, slots=True)
class PulledMessage:
    """A message that was pulled; it comes again unless it is acknowledged by `ack_id`."""

    ack_id: str
    data: bytes = field(repr=False)
    message_id: str
    published_at: datetime
    attributes: Mapping[str, str]


class Subscription(Protocol):
    """A subscription to pull from. Raises Unavailable, also where there is no such subscription."""

    def pull(self, limit: int) -> list[PulledMessage]:
        """Messages, at most `limit`, as soon as there are some; none after a few seconds without."""
        ...

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """These are taken care of."""
        ...

    def release(self, ack_ids: Sequence[str]) -> None:
        """These come again, by the subscription's retry policy."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody acknowledged within its delivery attempts.

    `topic` is the one that it was published to, as in `infra/functions.json`; None: it comes from a subscription that nobody
    knows. `published_at`: when that topic took it, the same however often the letter comes.
    """

    id: str
    topic: str | None
    subscription: str
    attempts: int
    published_at: datetime
    data: bytes = field(repr=False)


class DeadLetters(Protocol):
    """The subscription that holds dead letters. Raises Unavailable, also where there is no such subscription."""

    def pull(self, limit: int) -> list[DeadLetter]:
        """Letters, at most `limit`, not always all there are; none: that was all for now. Those not acknowledged come again."""
        ...

    def acknowledge(self, letters: Sequence[DeadLetter]) -> None:
        """These are taken care of."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """Something to publish by the clock: a unix-cron line on the wall clock of a time zone, and the message."""

    name: str
    schedule: str
    timezone: str
    message: Outgoing
    description: str = ""
    paused: bool = False


class JobScheduler(Protocol):
    """Cloud Scheduler's jobs. Raises Unavailable where it does not answer."""

    def put(self, job: Job) -> None:
        """Make it so: create the job or change the one of that name, paused or not."""
        ...

    def delete(self, name: str) -> None:
        """There is no such job any more."""
        ...

    def jobs(self, prefix: str) -> list[Job]:
        """The jobs that publish whose name begins so, by name; without one whose last change failed."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """One invocation as a part of a trace; a `parent` of another trace is what it was caused by. Times in UTC."""

    name: str
    own: TraceContext
    parent: TraceContext | None
    began_at: datetime
    ended_at: datetime
    failed: bool
    attributes: Mapping[str, str | int]


class Spans(Protocol):
    """Whoever shows traces."""

    def record(self, span: Span) -> None:
        """Take it; never raises and never waits for a service."""
        ...


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """The moment, aware, UTC."""
        ...


class TokenVerifier(Protocol):
    """Who holds an ID token."""

    def principal(self, token: str) -> str:
        """The e-mail address that the token was issued for. Raises Unauthenticated, or Unavailable: keys cannot be had."""
        ...


class Tokens(Protocol):
    """A source of randomness for the tokens of writes."""

    def token(self) -> str:
        """A text that no other write has."""
        ...


class Channel(Protocol):
    """A way to the member, or to another system."""

    idempotent: bool
    """Whether the provider honours the idempotency key, so that an uncertain delivery may be repeated."""
    resend_when_uncertain: bool
    """For one that does not: `on_uncertain: resend`."""
    retry: RetryPolicy
    breaker: BreakerPolicy | None
    """When it is given a rest; None: never."""

    def deliver(self, effect: Effect, message: JsonValue, *, url: str | None = None) -> Delivery:
        """Deliver once, `effect.delivery_key` as idempotency key, of a message in parts those that `effect.rest` names.

        Never raises for what the provider says or fails to say; `retryable` only where the message cannot have arrived.
        """
        ...


Channels: TypeAlias = Mapping[str, Channel]
