"""What only Firestore does: refuse documents, fail in many ways, and need an index for every query."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from google.api_core.exceptions import (
    Aborted,
    DeadlineExceeded,
    GoogleAPICallError,
    InternalServerError,
    PermissionDenied,
    ResourceExhausted,
    RetryError,
    ServiceUnavailable,
)
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.types import RunQueryResponse, StructuredQuery
from pytest_mock import MockerFixture

from sojourn.adapters import firestore_queries as queries
from sojourn.adapters.firestore_codec import COLLECTIONS, Unreadable
from sojourn.adapters.firestore_store import FirestoreStore
from sojourn.adapters.firestore_writes import MAX_REQUEST_BYTES
from sojourn.application.ports import Store
from sojourn.application.records import MAX_PAGE, CommitResult, Create, Question, Where
from sojourn.domain.audit import AuditEntry
from sojourn.domain.effect import Effect
from sojourn.domain.enrollment import Enrollment
from sojourn.domain.errors import Unavailable
from sojourn.domain.history import Refusal
from sojourn.domain.journey import Journey, JourneyStatus, RejectedEvent
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress
from tests.contract.records import NOON, a_journey, a_progress, a_rejected, an_effect

INDEXES = json.loads((Path(__file__).parents[2] / "infra" / "firestore_indexes.json").read_text(encoding="utf-8"))
PASSING = [
    Aborted("contention"),
    DeadlineExceeded("slow"),
    InternalServerError("oops"),
    ResourceExhausted("ramp up"),
    ServiceUnavailable("down"),
    RetryError("gave up", cause=None),
]
ASKS: list[Callable[[Store], object]] = [
    lambda store: store.get_many(Progress, ["p"]),
    lambda store: store.due(Effect, 0, since=None, until=NOON),
    lambda store: store.listeners("member", "paid"),
    lambda store: store.journeys([JourneyStatus.ONGOING]),
    lambda store: store.tally_many([Question(Journey, {"status": "ENDED"})]),
    lambda store: list(store.scan(Journey)),
]
RPCS = ("batch_get_documents", "run_query", "run_aggregation_query", "batch_write", "commit")
Failing: TypeAlias = Callable[[Exception], FirestoreStore]

APPLIED, UNKNOWN, REFUSED = CommitResult.APPLIED, CommitResult.UNKNOWN, CommitResult.REFUSED
SINGLE = (Create(a_progress()),)
TOGETHER = (Create(a_progress("together")), Create(an_effect()))


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture) -> Iterator[Failing]:
    """Makes a store whose every request raises."""
    store = FirestoreStore("nowhere", emulator_host="127.0.0.1:1")

    def with_error(error: Exception) -> FirestoreStore:
        for rpc in RPCS:
            mocker.patch.object(store._requests, rpc, side_effect=error)
        return store

    yield with_error
    store.close()


@pytest.fixture
def store(firestore_host: str, project: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FirestoreStore]:
    store = FirestoreStore(project, emulator_host=firestore_host)
    yield store
    store.close()


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_a_commit_without_a_clear_answer_is_unknown(failing: Failing, error: Exception) -> None:
    assert failing(error).commit_many([SINGLE, TOGETHER]) == [UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_a_read_without_an_answer_is_unavailable(failing: Failing, error: Exception, ask: Callable[[Store], object]) -> None:
    with pytest.raises(Unavailable, match="Firestore"):
        ask(failing(error))


def test_a_read_that_breaks_off_half_way_is_unavailable(failing: Failing, mocker: MockerFixture) -> None:
    def broken() -> Iterator[object]:
        yield RunQueryResponse.pb()()
        raise ServiceUnavailable("half way")

    store = failing(RuntimeError())
    mocker.patch.object(store._requests, "run_query", return_value=broken())
    with pytest.raises(Unavailable):
        store.listeners("member", "paid")


@pytest.mark.parametrize("ask", [*ASKS, lambda store: store.commit_many([SINGLE]), lambda store: store.commit_many([TOGETHER])])
def test_a_wrong_set_up_stays_an_error_of_google_s(failing: Failing, ask: Callable[[Store], object]) -> None:
    with pytest.raises(GoogleAPICallError, match="no role"):
        ask(failing(PermissionDenied("no role")))


@pytest.mark.emulators
def test_a_document_that_is_too_large_is_refused_and_its_neighbours_are_not(store: FirestoreStore) -> None:
    too_large = replace(a_journey("large"), name="x" * 1_100_000)
    no_id = a_journey("x" * 1_501)
    results = store.commit_many([(Create(journey),) for journey in (a_journey("a"), too_large, no_id, a_journey("b"))])
    assert results == [APPLIED, REFUSED, REFUSED, APPLIED]
    assert [journey.id for journey in store.journeys([JourneyStatus.ONGOING])] == ["a", "b"]


@pytest.mark.emulators
@pytest.mark.parametrize("size", [1_100_000, MAX_REQUEST_BYTES + 1])
def test_a_commit_with_such_a_document_is_refused_as_a_whole(store: FirestoreStore, size: int) -> None:
    too_large = a_rejected("large", data=random.Random(1).randbytes(size))
    commits = [(Create(a_progress("a")),), (Create(a_progress("b")), Create(too_large)), (Create(too_large),)]
    assert store.commit_many(commits) == [APPLIED, REFUSED, REFUSED]
    assert [s is not None for s in store.get_many(Progress, [a_progress("a").id, a_progress("b").id])] == [True, False]


@pytest.mark.emulators
def test_a_document_that_holds_no_record_is_left_out_and_named_and_the_others_come(
    store: FirestoreStore, caplog: pytest.LogCaptureFixture
) -> None:
    due = [replace(a_progress(f"p{number}"), shard=0, sweep_at=NOON) for number in range(MAX_PAGE + 1)]
    by_id = sorted(due, key=lambda progress: progress.id)
    store.commit_many([(Create(progress),) for progress in due])
    spoil(store, by_id[0])
    first = store.due(Progress, 0, since=None, until=NOON)
    second = store.due(Progress, 0, since=None, until=NOON, after=first.after)
    assert [stored.value for stored in (*first.found, *second.found)] == by_id[1:]
    assert first.unreadable == [by_id[0].id]
    assert f"progress {by_id[0].id}: no Progress can be read from it: status cannot be read" in caplog.text
    assert "ASLEEP" not in caplog.text
    mine = {"member_key": due[0].member_key}
    assert [stored.value for stored in store.find(Progress, mine)] == by_id[1:]
    assert [stored.value.id for stored in store.find(Progress, mine, limit=2)] == [one.id for one in by_id[1:3]]
    assert len(store.newest(Progress, mine)) == len(list(store.scan(Progress))) == MAX_PAGE
    with pytest.raises(Unreadable, match="status cannot be read"):
        store.get_many(Progress, [by_id[0].id])


def spoil(store: FirestoreStore, progress: Progress) -> None:
    """As by a hand in the console, or a release that is not this one."""
    document = types.Document(name=store._name(Progress, progress.id), fields={"status": types.Value(string_value="ASLEEP")})
    write = types.Write(update=document, update_mask=types.DocumentMask(field_paths=["status"]))
    store._requests.commit(types.CommitRequest.pb()(database=store._database, writes=[types.Write.pb(write)]))


def _needed(query: Any) -> tuple[str, set[str], list[tuple[str, str]]]:
    """The collection, the fields compared for equality, and the field of range, order or sum with its direction."""
    if sums := [each.sum.field.field_path for each in getattr(query, "aggregations", ()) if each.HasField("sum")]:
        collection, equal, _ = _needed(query.structured_query)
        return collection, equal, [(field, "ASCENDING") for field in sums]
    query = getattr(query, "structured_query", query)
    filters = [each.field_filter for each in query.where.composite_filter.filters]
    operators = StructuredQuery.FieldFilter.Operator
    equal = {f.field.field_path for f in filters if f.op in (operators.EQUAL, operators.IN, operators.ARRAY_CONTAINS)}
    ranges = {f.field.field_path: "ASCENDING" for f in filters if f.field.field_path not in equal}
    orders = {o.field.field_path: StructuredQuery.Direction(o.direction).name for o in query.order_by}
    orders.pop("__name__", None)
    return query.from_[0].collection_id, equal, list((ranges | orders).items())


def _serves(index: Any, equal: set[str], rest: list[tuple[str, str]]) -> bool:
    found = [(field["path"], field.get("order") or field["array_config"]) for field in index["fields"]]
    return {path for path, _ in found[: len(equal)]} == equal and found[len(equal) :] == rest


AT_NODE: Where = {"journey_id": "welcome", "node_id": "hello"}
OF_VERSION: Where = {"journey_id": "welcome", "version": 1}
PERIODS = ("2026-11-20T11:55", "2026-11-20T12:00")
QUERIES = {
    "due progress": queries.due(Progress, 0, since=NOON, until=NOON, after=None),
    "due effects": queries.due(Effect, 0, since=None, until=NOON, after=(NOON, "name")),
    "listeners": queries.listeners("member", "paid"),
    "member events": queries.member_events("member", since=NOON),
    "journeys": queries.journeys([JourneyStatus.ONGOING]),
    "journeys to end": queries.journeys_to_end(NOON),
    "journeys to settle": queries.journeys_to_settle(),
    "live progress": queries.live_progress("welcome", parked=True, after=None),
    "parked effects": queries.parked_effects("welcome"),
    "progress of a journey": queries.find(Progress, {"journey_id": "welcome", "status": "ENDED"}, after=None, limit=9),
    "progress at a node": queries.find(Progress, {**AT_NODE, "status": "ENDED"}, after="name", limit=9),
    "passages": queries.newest(Progress, {"member_key": "member"}, limit=9),
    "effects of a member": queries.newest(Effect, {"member_key": "member"}, limit=9),
    "effects of a journey": queries.find(Effect, {"status": "DEAD", "journey_id": "welcome"}, after=None, limit=9),
    "effects of a bot": queries.find(Effect, {"status": "DEAD", "bot_id": "shop"}, after="name", limit=9),
    "effects left": queries.tally(Question(Effect, {"status": "DEAD", "bot_id": "shop"}), after="name"),
    "members in error": queries.find(Progress, {"in_error": True}, after=None, limit=9),
    "members in error of a journey": queries.find(Progress, {"in_error": True, "journey_id": "welcome"}, after=None, limit=9),
    "members in error of a bot": queries.find(Progress, {"in_error": True, "bot_id": "shop"}, after="name", limit=9),
    "journeys that failed": queries.greatest(Effect, "journey_id", {"failed_in": PERIODS}, below="welcome"),
    "journeys with members in error": queries.greatest(Progress, "journey_id", {"failed_in": PERIODS}, below=None),
    "failures of a journey": queries.tally(Question(Effect, {"journey_id": "welcome", "failed_in": PERIODS})),
    "an example of those": queries.find(Effect, {"journey_id": "welcome", "failed_in": PERIODS}, after=None, limit=1),
    "an example in error": queries.find(Progress, {"journey_id": "welcome", "failed_in": PERIODS}, after=None, limit=1),
    "effects that were over": queries.tally(Question(Effect, {"journey_id": "welcome", "finished_in": PERIODS})),
    "members who moved": queries.tally(Question(Progress, {"journey_id": "welcome", "moved_in": PERIODS})),
    "failures at a node": queries.tally(Question(Effect, {**AT_NODE, "failure": "system"})),
    "refusals": queries.newest(Refusal, {"member_key": "member"}, limit=9),
    "reasons of refusal": queries.greatest(Refusal, "reason", {"journey_id": "welcome"}, below="filter"),
    "refused for": queries.tally(Question(Refusal, {"journey_id": "welcome", "reason": "filter"})),
    "reasons of skips": queries.greatest(Effect, "skipped_for", AT_NODE, below=None),
    "skipped for": queries.tally(Question(Effect, {**AT_NODE, "skipped_for": "uncertain"})),
    "effects at a node": queries.tally(Question(Effect, {**AT_NODE, "status": "DONE"})),
    "progress by status": queries.tally(Question(Progress, {**OF_VERSION, "status": ("READY", "WAITING")})),
    "goals": queries.tally(Question(Progress, {**OF_VERSION, "goal_reached": True}, "goal_revenue")),
    "days of entry": queries.greatest(Progress, "entered_on", {"journey_id": "welcome"}, below="2026-11-20"),
    "entered on a day": queries.tally(Question(Progress, {"journey_id": "welcome", "entered_on": "2026-11-20"})),
    "reached": queries.tally(Question(Progress, {"journey_id": "welcome", "reached": "hello"})),
    "left at": queries.tally(Question(Progress, {"journey_id": "welcome", "left_at": "hello"})),
    "rejected": queries.find(RejectedEvent, {"status": "OPEN"}, after=None, limit=1),
    "members of a bot": queries.find(Member, {"bot_id": "shop"}, after=None, limit=1),
    "open enrollments": queries.find(Enrollment, {"done": False}, after=None, limit=1),
    "journeys of a bot": queries.find(Journey, {"bot_id": "shop"}, after="name", limit=9),
    "journeys of a bot by status": queries.tally(Question(Journey, {"bot_id": "shop", "status": "DRAFT"})),
    "effects by status": queries.find(Effect, {"status": "DEAD"}, after="name", limit=9),
    "audit": queries.newest(AuditEntry, {}, after=(NOON, "name"), limit=9),
    "audit of a subject": queries.newest(AuditEntry, {"subject": "journeys/welcome"}, limit=9),
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_every_query_has_an_index(query: Any) -> None:
    collection, equal, rest = _needed(query)
    single = [{"collection": each["collection"], "fields": [each]} for each in INDEXES["single_field_indexes"]]
    candidates = [index for index in [*INDEXES["composite_indexes"], *single] if index["collection"] == collection]
    assert any(_serves(index, equal, rest) for index in candidates), (collection, equal, rest)


def test_every_index_serves_a_query() -> None:
    needed = [_needed(query) for query in QUERIES.values()]
    for index in INDEXES["composite_indexes"]:
        assert any(index["collection"] == name and _serves(index, equal, rest) for name, equal, rest in needed), index


def test_every_collection_is_in_the_table() -> None:
    assert set(INDEXES["collections_without_other_indexes"]) == set(COLLECTIONS.values())


def test_a_scan_needs_no_index() -> None:
    assert [_needed(queries.everything(kind, after=None))[1:] for kind in COLLECTIONS] == [(set(), [])] * len(COLLECTIONS)
