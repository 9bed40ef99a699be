"""The questions of the `Store` port as Firestore queries; `infra/firestore_indexes.json` holds an index for each.

The emulator answers without any index, so a test derives from each query here which one it needs.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeAlias

from google.cloud.firestore_v1.types import StructuredQuery

from sojourn.adapters.firestore_codec import COLLECTIONS
from sojourn.adapters.firestore_values import form_of
from sojourn.application.ports import MAX_PAGE
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.journey import Journey, JourneyStatus, MemberEvent, RejectedEvent
from sojourn.domain.progress import Progress, Status

Query: TypeAlias = Any
"""A bare protobuf `google.firestore.v1.StructuredQuery`."""
_Condition: TypeAlias = tuple[str, str, object]
"""Field, operator, value."""

_TEXTS = tuple[str, ...]
_Query = StructuredQuery.pb()


def due(kind: type, shard: int, *, after: datetime | None, until: datetime, limit: int) -> Query:
    """What the sweep of a shard must look at, oldest first."""
    lower: list[_Condition] = [("sweep_at", "GREATER_THAN", after)] if after is not None else []
    upper: _Condition = ("sweep_at", "LESS_THAN_OR_EQUAL", until)
    return _query(kind, ("shard", "EQUAL", shard), *lower, upper, order_by="sweep_at", limit=limit)


def listeners(member_key: str, event_name: str) -> Query:
    """The names, and nothing else, of the member's progress that listens for the event."""
    member: _Condition = ("member_key", "EQUAL", member_key)
    query = _query(Progress, member, ("listens", "ARRAY_CONTAINS", event_name))
    query.select.fields.add(field_path="__name__")
    return query


def member_events(member_key: str, *, since: datetime) -> Query:
    """The member's kept events since then, by event time."""
    recent: _Condition = ("event.occurred_at", "GREATER_THAN_OR_EQUAL", since)
    member: _Condition = ("member_key", "EQUAL", member_key)
    return _query(MemberEvent, member, recent, order_by="event.occurred_at", limit=MAX_PAGE)


def journeys(statuses: Collection[JourneyStatus]) -> Query:
    """Heads in one of the statuses; at least one, Firestore refuses an empty list."""
    return _query(Journey, ("status", "IN", tuple(statuses)))


def journeys_to_end(until: datetime) -> Query:
    """Active heads whose end has come."""
    active: _Condition = ("status", "IN", (JourneyStatus.ONGOING, JourneyStatus.PAUSED))
    return _query(Journey, active, ("schedule_end_at", "LESS_THAN_OR_EQUAL", until))


def live_progress(journey_id: str, *, parked: bool, limit: int) -> Query:
    """Progress of the journey that is not terminal."""
    live = tuple(status for status in Status if not status.terminal)
    of_journey: list[_Condition] = [("journey_id", "EQUAL", journey_id), ("parked", "EQUAL", parked)]
    return _query(Progress, *of_journey, ("status", "IN", live), limit=limit)


def parked_effects(journey_id: str, *, limit: int) -> Query:
    """Effects of the journey that wait for its resume."""
    of_journey: list[_Condition] = [("journey_id", "EQUAL", journey_id), ("parked", "EQUAL", True)]
    return _query(Effect, *of_journey, ("status", "EQUAL", EffectStatus.PENDING), limit=limit)


def rejected(*, limit: int) -> Query:
    """Rejected events, newest first."""
    return _query(RejectedEvent, order_by="created_at", descending=True, limit=limit)


def _query(
    kind: type, *conditions: _Condition, order_by: str | None = None, descending: bool = False, limit: int | None = None
) -> Query:
    query = _Query(from_=[{"collection_id": COLLECTIONS[kind]}])
    for name, operator, value in conditions:
        condition = query.where.composite_filter.filters.add().field_filter
        condition.field.field_path, condition.op = name, condition.Operator.Value(operator)
        form_of(_TEXTS if isinstance(value, tuple) else type(value)).write(condition.value, value)
    if conditions:
        query.where.composite_filter.op = query.where.composite_filter.AND
    if order_by is not None:
        query.order_by.add(field={"field_path": order_by}, direction="DESCENDING" if descending else "ASCENDING")
    if limit is not None:
        query.limit.value = limit
    return query
