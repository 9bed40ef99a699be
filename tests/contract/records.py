"""Records for the contract suites: hypothesis strategies for any record, and plain ones for a given question."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar, get_args

from hypothesis import strategies as st
from pydantic import JsonValue

from sojourn.application.ports import Store
from sojourn.application.records import CommitResult, Create, Record, S
from sojourn.domain.audit import AuditEntry
from sojourn.domain.breaker import Breaker, BreakerState
from sojourn.domain.checkup import STAGES, Checkup
from sojourn.domain.effect import Effect, EffectStatus, Failure, Payload, Rest, SendMessage
from sojourn.domain.enrollment import Enrollment
from sojourn.domain.event import Cause, Event
from sojourn.domain.health import Ailment, Finding
from sojourn.domain.history import Refusal, refusal_of
from sojourn.domain.ids import derived_id, member_key
from sojourn.domain.journey import (
    Entries,
    Extension,
    Journey,
    JourneyStatus,
    JourneyVersion,
    MemberEvent,
    Migration,
    QuotaShare,
    RejectedEvent,
    Settling,
)
from sojourn.domain.member import Member
from sojourn.domain.progress import GoalReached, Progress, Status, Step

T = TypeVar("T")

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def minutes(count: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=count)


def an_event(name: str = "order.completed", *, member_id: str = "mary", at: datetime = NOON, identifier: str = "e1") -> Event:
    """An event of the bot `shop`."""
    return Event(identifier, name, "shop", member_id, at, {"total": 12.5, "tags": [["a"], []]})


def a_progress(name: str = "p", *, journey_id: str = "welcome", listens: tuple[str, ...] = ()) -> Progress:
    """A waiting member; its id is derived from `name`."""
    return Progress(
        id=derived_id(name),
        journey_id=journey_id,
        version=1,
        bot_id="shop",
        member_id="mary",
        member_key=member_key("shop", "mary"),
        entry_key=name,
        status=Status.WAITING,
        node_id="wait",
        trigger=an_event(),
        since=NOON,
        rev=1,
        token="first",
        created_at=NOON,
        updated_at=NOON,
        listens=listens,
    )


def an_effect(name: str = "x", *, journey_id: str = "welcome") -> Effect:
    """A pending message; its id is derived from `name`."""
    key = member_key("shop", "mary")
    payload = SendMessage("mailbox", "hello")
    return Effect(derived_id(name), "p", journey_id, 1, "shop", "mary", key, "greet", payload, created_at=NOON, updated_at=NOON)


def a_journey(identifier: str, status: JourneyStatus = JourneyStatus.ONGOING, *, ends: datetime | None = None) -> Journey:
    """A head that was published once."""
    return Journey(identifier, "shop", "Welcome", status, 1, NOON, NOON, schedule_end_at=ends)


def a_member_event(identifier: str, *, at: datetime, member_id: str = "mary") -> MemberEvent:
    """A kept event."""
    return MemberEvent(an_event(at=at, identifier=identifier, member_id=member_id), created_at=NOON, expire_at=minutes(60))


def a_refusal(identifier: str, reason: str = "filter", *, member_id: str = "mary", at: datetime = NOON) -> Refusal:
    """An event that did not enter `welcome`."""
    refused = an_event(member_id=member_id, identifier=identifier)
    return refusal_of(refused, "welcome", reason=reason, now=at, token="")


def a_rejected(identifier: str, *, at: datetime = NOON, data: bytes = b"{") -> RejectedEvent:
    """An entry that is no JSON."""
    return RejectedEvent(identifier, "malformed", "entry: not JSON", data, at, minutes(60))


def put(store: Store, *records: Record) -> None:
    """Create each by itself, and make sure of it."""
    assert set(store.commit_many([(Create(record),) for record in records])) == {CommitResult.APPLIED}


_ids = st.text(st.characters(), min_size=1, max_size=200)
_texts = st.text(st.characters(), max_size=20)
_moments = st.timedeltas(timedelta(days=-700_000), timedelta(days=2_900_000)).map(lambda passed: NOON + passed)
_wholes = st.integers(-(2**63), 2**63 - 1)
_json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_json_objects = st.dictionaries(_texts, _json_values, max_size=3)

BY_ANNOTATION: dict[object, st.SearchStrategy[object]] = {
    "str": _texts,
    "int": _wholes,
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "bytes": st.binary(max_size=200),
    "datetime": _moments,
    "JsonValue": _json_values,
    "JsonObject": _json_objects,
    "Mapping[str, JsonObject]": st.dictionaries(_texts, _json_objects, max_size=2),
    "Mapping[str, int]": st.dictionaries(_texts, _wholes, max_size=3),
    "tuple[str, ...]": st.lists(_texts, max_size=3).map(tuple),
    "Status": st.sampled_from(Status),
    "EffectStatus": st.sampled_from(EffectStatus),
    "JourneyStatus": st.sampled_from(JourneyStatus),
    "BreakerState": st.sampled_from(BreakerState),
    "Ailment": st.sampled_from(Ailment),
    "Stage": st.sampled_from(STAGES),
    "Failure": st.sampled_from(get_args(Failure)),
    "Mapping[str, str]": st.dictionaries(_texts, _texts, max_size=3),
    "Literal['pin', 'migrate', 'cancel']": st.sampled_from(["pin", "migrate", "cancel"]),
    "Literal['refuse', 'cancel']": st.sampled_from(["refuse", "cancel"]),
}
"""By what stands behind the colon of a dataclass's field: everything that producers and authors may put in, and more."""


def any_of(kind: type[T], **given: st.SearchStrategy[object]) -> st.SearchStrategy[T]:
    """Any instance of a dataclass; a field of a type that nobody thought of is a KeyError."""
    strategies = {field.name: _strategy(str(field.type)) for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    return st.builds(kind, **(strategies | given))


def _strategy(annotation: str) -> st.SearchStrategy[object]:
    annotation = annotation.replace('"', "'")
    plain = annotation.removesuffix(" | None")
    return BY_ANNOTATION[plain] if plain == annotation else st.none() | BY_ANNOTATION[plain]


for _part in (Migration, Extension, Settling, Rest, Finding):
    BY_ANNOTATION[_part.__name__] = any_of(_part)
    BY_ANNOTATION[f"tuple[{_part.__name__}, ...]"] = st.lists(any_of(_part), max_size=2).map(tuple)


def _swept(record: S) -> S:
    """A shard only where a sweep must look: the use cases write no other."""
    return record if record.sweep_at is not None else replace(record, shard=None)


BY_ANNOTATION["Event"] = any_of(Event)
BY_ANNOTATION["Cause"] = any_of(Cause)
BY_ANNOTATION["GoalReached"] = any_of(GoalReached)
BY_ANNOTATION["tuple[Step, ...]"] = st.lists(any_of(Step), max_size=3).map(tuple)
BY_ANNOTATION["Payload"] = st.one_of([any_of(kind) for kind in get_args(Payload)])

any_record: st.SearchStrategy[Record] = st.one_of(
    any_of(Progress, id=_ids).map(_swept),
    any_of(Effect, id=_ids).map(_swept),
    any_of(Journey, id=_ids),
    any_of(JourneyVersion, journey_id=_ids, version=st.integers(1, 10**9)),
    any_of(Entries, id=_ids),
    any_of(Member),
    any_of(MemberEvent),
    any_of(QuotaShare, id=_ids),
    any_of(RejectedEvent, id=_ids),
    any_of(Refusal, id=_ids),
    any_of(Enrollment, id=_ids),
    any_of(AuditEntry, id=_ids),
    any_of(Breaker, id=_ids),
    any_of(Checkup, id=_ids),
)
