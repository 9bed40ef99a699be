"""The questions of the `Store` port as Firestore queries; `infra/firestore_indexes.json` holds an index for each.

The emulator answers without any index, so a test derives from each query here which one it needs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from google.cloud.firestore_v1.types import StructuredAggregationQuery, StructuredQuery

from sojourn.adapters.firestore_codec import COLLECTIONS
from sojourn.adapters.firestore_values import Value, form_of
from sojourn.application.records import MAX_PAGE, Question, Where
from sojourn.domain.effect import Effect
from sojourn.domain.journey import Journey, JourneyStatus, JourneyVersion, MemberEvent
from sojourn.domain.progress import Progress, Status

Query: TypeAlias = Any
"""A bare protobuf `google.firestore.v1.StructuredQuery`."""
_Condition: TypeAlias = tuple[str, str, object]
"""Field, operator, value."""

_NAME = "__name__"
_TEXTS = tuple[str, ...]
_LISTS = frozenset({"listens", "reached"})
_Query = StructuredQuery.pb()
_Aggregation = StructuredAggregationQuery.pb()


def due(kind: type, shard: int, *, since: datetime | None, until: datetime, after: tuple[datetime, str] | None) -> Query:
    """What the sweep of a shard must look at, oldest first; `after` is the moment and the full name of a document."""
    lower: list[_Condition] = [("sweep_at", "GREATER_THAN_OR_EQUAL", since)] if since is not None else []
    upper: _Condition = ("sweep_at", "LESS_THAN_OR_EQUAL", until)
    return _query(kind, ("shard", "EQUAL", shard), *lower, upper, order_by=("sweep_at", _NAME), after=after or ())


def listeners(member_key: str, event_name: str) -> Query:
    """The names, and nothing else, of the member's progress that listens for the event: all of them."""
    query = _query(Progress, ("member_key", "EQUAL", member_key), ("listens", "ARRAY_CONTAINS", event_name), limit=None)
    query.select.fields.add(field_path=_NAME)
    return query


def member_events(member_key: str, *, since: datetime) -> Query:
    """The member's kept events since then, by event time, newest first."""
    recent: _Condition = ("event.occurred_at", "GREATER_THAN_OR_EQUAL", since)
    return _query(MemberEvent, ("member_key", "EQUAL", member_key), recent, order_by=("event.occurred_at",), newest_first=True)


def journeys(statuses: Collection[JourneyStatus]) -> Query:
    """Heads in one of the statuses, all of them. At least one status: Firestore refuses an empty list."""
    return _query(Journey, ("status", "IN", tuple(statuses)), limit=None)


def journeys_to_end(until: datetime) -> Query:
    """Active heads whose end has come, all of them."""
    active: _Condition = ("status", "IN", (JourneyStatus.ONGOING, JourneyStatus.PAUSED))
    return _query(Journey, active, ("schedule_end_at", "LESS_THAN_OR_EQUAL", until), limit=None)


def journeys_to_settle() -> Query:
    """Heads that the tick has work for, all of them."""
    return _query(Journey, ("settles", "EQUAL", True), limit=None)


def live_progress(journey_id: str, *, parked: bool, after: str | None) -> Query:
    """Progress of the journey that is not terminal, by id; `after` is the full name of a document."""
    live: _Condition = ("status", "IN", tuple(status for status in Status if not status.terminal))
    of_journey: list[_Condition] = [("journey_id", "EQUAL", journey_id), ("parked", "EQUAL", parked)]
    return _query(Progress, *of_journey, live, order_by=(_NAME,), after=(after,) if after else ())


def parked_effects(journey_id: str) -> Query:
    """Effects of the journey that wait for its resume."""
    return _query(Effect, ("journey_id", "EQUAL", journey_id), ("parked", "EQUAL", True))


def find(kind: type, where: Where, *, after: str | None, limit: int) -> Query:
    """Documents where all of that holds, by id; `after` is the full name of a document."""
    return _query(kind, *_conditions(where), order_by=(_NAME,), after=(after,) if after else (), limit=limit)


def newest(kind: type, where: Where, *, after: tuple[datetime, str] | None = None, limit: int) -> Query:
    """The same, the newest first; `after` is the moment and the full name of a document."""
    order_by = ("created_at", _NAME)
    return _query(kind, *_conditions(where), order_by=order_by, newest_first=True, after=after or (), limit=limit)


def greatest(kind: type, attribute: str, where: Where, *, below: str | None) -> Query:
    """The document with the greatest text in a field, below the last one found: so are different texts listed."""
    bound: list[_Condition] = [(attribute, "LESS_THAN", below)] if below is not None else []
    query = _query(kind, *_conditions(where), *bound, order_by=(attribute,), newest_first=True, limit=1)
    query.select.fields.add(field_path=attribute)
    return query


def tally(question: Question, *, after: str | None = None) -> Query:
    """The count as `count`, and where asked for the sum as `total`: a StructuredAggregationQuery. `after` is a full name."""
    order_by, beyond = ((_NAME,), (after,)) if after else ((), ())
    found = _query(question.kind, *_conditions(question.where), order_by=order_by, after=beyond, limit=None)
    query = _Aggregation(structured_query=found)
    query.aggregations.add(alias="count").count.SetInParent()
    if question.sum_of is not None:
        query.aggregations.add(alias="total").sum.field.field_path = question.sum_of
    return query


def _conditions(where: Where) -> list[_Condition]:
    return [(name, _operator(name, value), value) for name, value in where.items()]


def _operator(name: str, value: object) -> str:
    if name in _LISTS:
        return "ARRAY_CONTAINS"
    return "IN" if isinstance(value, tuple) else "EQUAL"


def everything(kind: type, *, after: str | None) -> Query:
    """Every document of a kind, by name; `after` is the full name of a document."""
    query = _query(kind, order_by=(_NAME,), after=(after,) if after else ())
    query.from_[0].all_descendants = kind is JourneyVersion  # they lie below their journeys
    return query


def _query(
    kind: type,
    *conditions: _Condition,
    order_by: Sequence[str] = (),
    newest_first: bool = False,
    after: Sequence[datetime | str] = (),
    limit: int | None = MAX_PAGE,
) -> Query:
    query = _Query(from_=[{"collection_id": COLLECTIONS[kind]}])
    for name, operator, value in conditions:
        condition = query.where.composite_filter.filters.add().field_filter
        condition.field.field_path, condition.op = name, condition.Operator.Value(operator)
        form_of(_TEXTS if isinstance(value, tuple) else type(value)).write(condition.value, value)
    if conditions:
        query.where.composite_filter.op = query.where.composite_filter.AND
    for name in order_by:
        query.order_by.add(field={"field_path": name}, direction="DESCENDING" if newest_first else "ASCENDING")
    for position in after:
        _write_position(query.start_at.values.add(), position)
    if limit is not None:
        query.limit.value = limit
    return query


def _write_position(target: Value, position: datetime | str) -> None:
    if isinstance(position, str):
        target.reference_value = position
    else:
        form_of(datetime).write(target, position)
