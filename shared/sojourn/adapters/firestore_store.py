"""`Store` on Firestore, by the bare requests that its client library makes (`firestore_channel`): an answer for each write.

Single writes go by the hundred into one BatchWrite, where each has its own precondition and its own answer; writes that belong
together are one atomic Commit. A commit whose answer was lost may be repeated, so that an own write comes back as CONFLICT:
whoever needs to know looks at the token.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from google.api_core.exceptions import (
    Aborted,
    AlreadyExists,
    Cancelled,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    RetryError,
    ServerError,
)
from google.cloud.firestore_v1 import types
from google.rpc import code_pb2

from sojourn.adapters import firestore_queries as queries
from sojourn.adapters.firestore_channel import Requests, emulator_transport, google_transport
from sojourn.adapters.firestore_codec import Document, Unreadable, decode, identifier_of, moment_of, path_of
from sojourn.adapters.firestore_writes import Batch, Message, batches, message_of
from sojourn.application.records import (
    MAX_PAGE,
    Commit,
    CommitResult,
    Moment,
    Page,
    Question,
    R,
    Record,
    S,
    Stored,
    Tally,
    Where,
    Write,
)
from sojourn.domain.effect import Effect
from sojourn.domain.errors import Unavailable
from sojourn.domain.journey import Journey, JourneyStatus, MemberEvent
from sojourn.domain.progress import Progress

MAX_READS = 100
PARALLEL_REQUESTS = 8

_log = logging.getLogger(__name__)

_TRANSIENT = (Aborted, Cancelled, ResourceExhausted, RetryError, ServerError)
_LOST = (AlreadyExists, FailedPrecondition, NotFound)
_RESULTS = {
    code_pb2.OK: CommitResult.APPLIED,
    code_pb2.INVALID_ARGUMENT: CommitResult.REFUSED,
    code_pb2.ALREADY_EXISTS: CommitResult.CONFLICT,
    code_pb2.FAILED_PRECONDITION: CommitResult.CONFLICT,
    code_pb2.NOT_FOUND: CommitResult.CONFLICT,
}


class FirestoreStore:
    """Make it in the process that uses it: a gRPC channel survives no fork. With `emulator_host`, Google is not asked."""

    def __init__(self, project: str, database: str = "(default)", *, emulator_host: str | None = None) -> None:
        self._database = f"projects/{project}/databases/{database}"
        transport = emulator_transport(emulator_host) if emulator_host else google_transport()
        metadata = [("authorization", "Bearer owner")] if emulator_host else []  # or the emulator refuses batches
        self._requests = Requests(transport, self._database, metadata=metadata)
        self._root = f"{self._database}/documents"
        self._pool = ThreadPoolExecutor(PARALLEL_REQUESTS, thread_name_prefix="firestore")

    def close(self) -> None:
        """End the connection and the threads."""
        self._pool.shutdown()
        self._requests.close()

    def get_many(self, kind: type[R], ids: Sequence[str]) -> list[Stored[R] | None]:
        names = [self._name(kind, identifier) for identifier in ids]
        wanted = list(dict.fromkeys(filter(None, names)))
        found = {document.name: document for page in _pages(wanted, MAX_READS) for document in self._get(page)}
        documents = (found.get(name) for name in names)
        return [_stored(kind, document) if document is not None else None for document in documents]

    def _get(self, names: Sequence[str]) -> list[Document]:
        request = types.BatchGetDocumentsRequest.pb()(database=self._database, documents=names)
        with _unavailable():
            answers = list(self._requests.batch_get_documents(request))
        return [answer.found for answer in answers if answer.HasField("found")]

    def commit_many(self, commits: Sequence[Commit]) -> list[CommitResult]:
        results = [CommitResult.REFUSED] * len(commits)
        requests = list(batches([[self._message(write) for write in commit] for commit in commits]))
        outcomes = self._pool.map(self._send, requests) if len(requests) > 1 else map(self._send, requests)
        for batch, outcome in zip(requests, outcomes, strict=True):
            for (index, _), result in zip(batch, outcome, strict=True):
                results[index] = result
        refused = [
            commit[0].record.id for commit, result in zip(commits, results, strict=True) if result is CommitResult.REFUSED
        ]
        if refused:
            _log.error("refused for good: %s", refused)
        return results

    def _message(self, write: Write) -> Message:
        return message_of(write, self._name(type(write.record), write.record.id))

    def _send(self, batch: Batch) -> list[CommitResult]:
        """One request, and its commits one by one where a single one spoils it for all: Firestore then names none."""
        commits = [writes for _, writes in batch]
        try:
            return self._commit(commits[0]) if len(commits[0]) > 1 else self._batch_write(commits)
        except _LOST:
            return [CommitResult.CONFLICT] * len(batch)
        except _TRANSIENT as error:
            _log.warning("no clear answer to a commit of %d: %s", len(batch), type(error).__name__)
            return [CommitResult.UNKNOWN] * len(batch)
        except InvalidArgument as error:
            if len(batch) > 1:
                return [result for each in batch for result in self._send([each])]
            _log.warning("%s: %s", commits[0][0].update.name, type(error).__name__)  # what it says may quote a value
            return [CommitResult.REFUSED]

    def _commit(self, writes: list[Message]) -> list[CommitResult]:
        self._requests.commit(types.CommitRequest.pb()(database=self._database, writes=writes))
        return [CommitResult.APPLIED]

    def _batch_write(self, commits: list[list[Message]]) -> list[CommitResult]:
        request = types.BatchWriteRequest.pb()(database=self._database, writes=[write for (write,) in commits])
        return [_RESULTS.get(status.code, CommitResult.UNKNOWN) for status in self._requests.batch_write(request).status]

    def due(
        self, kind: type[S], shard: int, *, since: datetime | None, until: datetime, after: Moment | None = None
    ) -> Page[S]:
        documents = self._run(queries.due(kind, shard, since=since, until=until, after=self._place(kind, after)))
        found = [(document, _readable(kind, document)) for document in documents]
        unreadable = [identifier_of(document.name) for document, stored in found if stored is None]
        last = documents[-1] if len(documents) == MAX_PAGE else None
        further = (moment_of(last, "sweep_at"), identifier_of(last.name)) if last is not None else None
        return Page([stored for _, stored in found if stored is not None], further, unreadable)

    def listeners(self, member_key: str, event_name: str) -> list[str]:
        return sorted(identifier_of(found.name) for found in self._run(queries.listeners(member_key, event_name)))

    def member_events(self, member_key: str, *, since: datetime) -> list[MemberEvent]:
        events = self._records(MemberEvent, queries.member_events(member_key, since=since))
        return sorted(events, key=lambda kept: (kept.event.occurred_at, kept.event.id))

    def journeys(self, statuses: Collection[JourneyStatus]) -> list[Journey]:
        found = self._records(Journey, queries.journeys(statuses)) if statuses else []
        return sorted(found, key=lambda journey: journey.id)

    def journeys_to_end(self, until: datetime) -> list[Stored[Journey]]:
        return self._stored(Journey, queries.journeys_to_end(until))

    def journeys_to_settle(self) -> list[Journey]:
        return [stored.value for stored in self._stored(Journey, queries.journeys_to_settle())]

    def live_progress(self, journey_id: str, *, parked: bool, after: str | None = None) -> list[Stored[Progress]]:
        begin = self._name(Progress, after) if after is not None else None
        ask = partial(queries.live_progress, journey_id, parked=parked)
        return self._list(Progress, lambda last: ask(after=last.name if last else begin), limit=MAX_PAGE)

    def parked_effects(self, journey_id: str) -> list[Stored[Effect]]:
        return _all_readable(Effect, self._run(queries.parked_effects(journey_id)))

    def find(self, kind: type[R], where: Where, *, after: str | None = None, limit: int = MAX_PAGE) -> list[Stored[R]]:
        begin = self._name(kind, after) if after is not None else None
        ask = partial(queries.find, kind, where, limit=limit)
        return self._list(kind, lambda last: ask(after=last.name if last else begin), limit=limit)

    def newest(self, kind: type[R], where: Where, *, after: Moment | None = None, limit: int = MAX_PAGE) -> list[Stored[R]]:
        begin, ask = self._place(kind, after), partial(queries.newest, kind, where, limit=limit)
        return self._list(
            kind, lambda last: ask(after=(moment_of(last, "created_at"), last.name) if last else begin), limit=limit
        )

    def distinct(self, kind: type[R], attribute: str, where: Where) -> list[str]:
        texts: list[str] = []
        while len(texts) < MAX_PAGE:
            found = self._run(queries.greatest(kind, attribute, where, below=texts[-1] if texts else None))
            if not found:
                break
            texts.append(found[0].fields[attribute].string_value)
        return texts

    def tally_many(self, questions: Sequence[Question]) -> list[Tally]:
        return list(self._pool.map(self._tally, questions))

    def _tally(self, question: Question) -> Tally:
        last = self._name(question.kind, question.after) if question.after is not None else None
        query = queries.tally(question, after=last)
        request = types.RunAggregationQueryRequest.pb()(parent=self._root, structured_aggregation_query=query)
        with _unavailable():
            answers = list(self._requests.run_aggregation_query(request))
        fields = answers[0].result.aggregate_fields
        total = fields["total"]
        return Tally(fields["count"].integer_value, total.double_value + total.integer_value)

    def scan(self, kind: type[R]) -> Iterator[R]:
        last = None
        while page := self._run(queries.everything(kind, after=last)):
            yield from (stored.value for stored in _all_readable(kind, page))
            last = page[-1].name

    def _list(self, kind: type[R], ask: Callable[[Document | None], queries.Query], *, limit: int) -> list[Stored[R]]:
        """A page, by more than one query where something in it cannot be read."""
        found: list[Stored[R]] = []
        last: Document | None = None
        while True:
            documents = self._run(ask(last))
            found += _all_readable(kind, documents)
            if len(documents) < limit or len(found) >= limit:
                return found[:limit]
            last = documents[-1]

    def _stored(self, kind: type[R], query: queries.Query) -> list[Stored[R]]:
        return [_stored(kind, document) for document in self._run(query)]

    def _records(self, kind: type[R], query: queries.Query) -> list[R]:
        return [decode(kind, document) for document in self._run(query)]

    def _run(self, query: queries.Query) -> list[Document]:
        request = types.RunQueryRequest.pb()(parent=self._root, structured_query=query)
        with _unavailable():
            answers = list(self._requests.run_query(request))
        return [answer.document for answer in answers if answer.HasField("document")]

    def _place(self, kind: type[Record], moment: Moment | None) -> tuple[datetime, str] | None:
        """A place in a list by time as queries name it."""
        return (moment[0], self._name(kind, moment[1])) if moment is not None else None

    def _name(self, kind: type, identifier: str) -> str:
        """The document's full name; empty where no document can have that id, which Firestore refuses."""
        path = path_of(kind, identifier)
        return f"{self._root}/{path}" if path else ""


@contextmanager
def _unavailable() -> Iterator[None]:
    """The one place where a read that failed becomes ours; what is no passing failure is a bug and stays as it is."""
    try:
        yield
    except _TRANSIENT as error:
        raise Unavailable(f"Firestore: {error}") from error


def _stored(kind: type[R], document: Document) -> Stored[R]:
    return Stored(decode(kind, document), document.update_time.ToNanoseconds())


def _readable(kind: type[R], document: Document) -> Stored[R] | None:
    """None, and a line in the log, for what holds no record."""
    try:
        return _stored(kind, document)
    except Unreadable as error:
        _log.error("%s", error)
        return None


def _all_readable(kind: type[R], documents: Sequence[Document]) -> list[Stored[R]]:
    return [stored for document in documents if (stored := _readable(kind, document)) is not None]


def _pages(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
