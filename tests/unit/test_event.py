"""`read_log_entry`: what is ours, what is not, and the field that each rejection names."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from sojourn.domain.errors import EventRejected
from sojourn.domain.event import MAX_DATA_DEPTH, MAX_EMIT_DEPTH, Cause, Event, read_log_entry, write_log_entry
from tests.builders import BOT, MEMBER, START, after, entry, payload

MAX_MESSAGE_CHARACTERS = 500
HOLE = "@"
"""Stands in an entry for bytes that no JSON writer would put there."""


def read(data: bytes) -> Event:
    found = read_log_entry(data, now=START)
    assert found is not None
    return found


def rejected(data: bytes) -> EventRejected:
    with pytest.raises(EventRejected) as raised:
        read_log_entry(data, now=START)
    assert len(str(raised.value)) <= MAX_MESSAGE_CHARACTERS
    return raised.value


def changed(place: str, value: JsonValue) -> bytes:
    """An entry of ours with another value at a dotted place."""
    whole = node = json.loads(entry())
    *parents, last = place.split(".")
    for parent in parents:
        node = node[parent]
    node[last] = value
    return json.dumps(whole).encode()


def holding(raw: bytes) -> bytes:
    """An entry of ours with `raw` in its data, byte for byte."""
    return entry(payload(hole=HOLE)).replace(f'"{HOLE}"'.encode(), raw)


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def test_an_entry_of_ours_becomes_an_event() -> None:
    found = read(entry(payload("order.completed", total=12.5)))
    data: dict[str, JsonValue] = {"bot_id": BOT, "member_id": MEMBER, "total": 12.5}
    assert found == Event("order.completed-1", "order.completed", BOT, MEMBER, START, data)


@pytest.mark.parametrize("mark", ["true", 1, 1.0, False, None, [], {}])
def test_only_the_boolean_true_makes_an_entry_ours(mark: JsonValue) -> None:
    assert read_log_entry(changed("jsonPayload.metadata.support_journey", mark), now=START) is None


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"textPayload": "support_journey"}',
        b'{"jsonPayload": null}',
        b'{"jsonPayload": []}',
        b'{"jsonPayload": {"metadata": null}}',
        b'{"jsonPayload": {"metadata": [{"support_journey": true}]}}',
        b'{"metadata": {"support_journey": true}}',
        b'{"jsonPayload": {"metadata": {"support_journey": true, "support_journey": false}}}',
    ],
)
def test_an_entry_without_the_mark_is_none_of_ours_however_odd(data: bytes) -> None:
    assert read_log_entry(data, now=START) is None


UNREADABLE = {
    "empty": b"",
    "text": b"hello",
    "cut off": entry()[:-1],
    "more after it": entry() + b"{}",
    "list": b"[]",
    "number": b"1",
    "null": b"null",
    "UTF-16": entry().decode().encode("utf-16"),
    "latin-1": holding('"é"'.encode("latin-1")),
    "NaN": holding(b"NaN"),
    "Infinity": holding(b"-Infinity"),
    "a number beyond a double": holding(b"1e400"),
    "a number below all doubles": holding(b"[[-1.8E+308]]"),
    "a number of 5,000 digits": holding(b"1" * 5_000),
    "100,000 brackets": b"[" * 100_000,
    "100,000 brackets, closed": holding(nested(100_000)),
    "900 brackets elsewhere": entry().replace(b'"INFO"', nested(900)),
    "half a surrogate pair": holding(b'"\\ud800"'),
    "half a surrogate pair as a key": holding(b'{"\\udfff": 1}'),
    "half a surrogate pair in an id": entry().replace(b'"ann"', b'"\\ud800"'),
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_kept_as_if_it_were_ours(data: bytes) -> None:
    error = rejected(data)
    assert error.reason == "malformed"
    assert str(error).startswith("entry: not ")


def test_an_entry_above_googles_limit_is_not_even_parsed() -> None:
    assert read(entry(payload(text="x" * 250 * 1024))).data["text"]
    data = entry(payload(text="x" * 300 * 1024))
    error = rejected(data)
    assert (error.reason, str(error)) == ("oversized", f"entry: {len(data):,} bytes; at most 262,144")


def test_data_may_be_nested_so_deep_and_no_deeper() -> None:
    assert read(holding(nested(MAX_DATA_DEPTH))).data["hole"]
    error = rejected(holding(nested(MAX_DATA_DEPTH + 1)))
    assert (error.reason, str(error)) == ("too_deep", "jsonPayload.data: nested deeper than 16 levels")


STRING, OBJECT = "valid string", "valid dictionary"
NO_TEXT: list[JsonValue] = [5, 1.5, True, [], {}]
NO_OBJECT: list[JsonValue] = [5, None, [], "x"]
NO_NUMBER: list[JsonValue] = ["1", None, True, 1.5, []]
WRONG: list[tuple[str, JsonValue, str]] = [
    *((place, value, STRING) for place in ("logName", "insertId", "jsonPayload.event") for value in [*NO_TEXT, None]),
    *((f"jsonPayload.data.{key}", value, STRING) for key in ("bot_id", "member_id") for value in [*NO_TEXT, None]),
    *((f"jsonPayload.data.{key}", "", "at least 1 character") for key in ("bot_id", "member_id")),
    *((f"jsonPayload.data.{key}", "x" * 201, "at most 200 characters") for key in ("bot_id", "member_id")),
    *(("jsonPayload.data", value, OBJECT) for value in NO_OBJECT),
    *(("jsonPayload.event", value, "match pattern") for value in ("a b", "é", "-", "a\0", "\n", "a/b")),
    ("jsonPayload.event", "", "at least 1 character"),
    ("jsonPayload.event", "x" * 200_000, "at most 100 characters"),
    *(("jsonPayload.metadata.event_id", value, STRING) for value in NO_TEXT),
    ("jsonPayload.metadata.event_id", "", "at least 1 character"),
    ("jsonPayload.metadata.event_id", "x" * 201, "at most 200 characters"),
    *(("jsonPayload.metadata.depth", value, "valid integer") for value in NO_NUMBER),
    ("jsonPayload.metadata.depth", -1, "greater than or equal to 0"),
]
NO_MOMENT: list[tuple[JsonValue, str]] = [
    ("", "valid datetime"),
    ("soon", "valid datetime"),
    ("2026-02-30T00:00:00Z", "valid datetime"),
    ("2026-03-02T24:00:00Z", "valid datetime"),
    (True, "valid datetime"),
    ([], "valid datetime"),
    (1e300, "valid datetime"),
    ("2026-03-02T09:00:00", "timezone"),
    ("2026-03-02", "timezone"),
    (0, "between 2000 and 9998"),
    ("0001-01-01T00:00:00Z", "between 2000 and 9998"),
    ("0001-01-01T00:00:00+14:00", "between 2000 and 9998"),
    ("9999-12-31T23:59:59-14:00", "between 2000 and 9998"),
]
WRONG += [(place, *wrong) for place in ("timestamp", "jsonPayload.metadata.occurred_at") for wrong in NO_MOMENT]


@pytest.mark.parametrize(("place", "value", "wanted"), WRONG, ids=lambda part: f"{part!r:.40}")
def test_a_wrong_field_is_rejected_by_its_name_with_its_value(place: str, value: JsonValue, wanted: str) -> None:
    error = rejected(changed(place, value))
    assert error.reason == "malformed"
    assert str(error).startswith(f"{place}: ")
    assert wanted in str(error)
    assert str(error).endswith(f"not {value!r:.80}")


@pytest.mark.parametrize("place", ["event", "data", "data.bot_id", "data.member_id"])
def test_a_missing_field_is_rejected_by_its_name(place: str) -> None:
    whole = json.loads(entry())
    node = whole["jsonPayload"]
    *parents, last = place.split(".")
    for parent in parents:
        node = node[parent]
    del node[last]
    assert str(rejected(json.dumps(whole).encode())) == f"jsonPayload.{place}: Field required"


@pytest.mark.parametrize("version", [2, 0, -1, "1", True, None, 1.5, [], {}, "x" * 10_000])
def test_an_unknown_version_is_rejected_as_such_whatever_else_is_wrong(version: JsonValue) -> None:
    error = rejected(
        entry(payload(metadata={"depth": "?"}) | {"metadata": {"support_journey": True, "schema_version": version}})
    )
    assert error.reason == "unknown_version"
    assert str(error) == f"jsonPayload.metadata.schema_version: {version!r:.40}; this engine reads 1"


@pytest.mark.parametrize("place", ["timestamp", "jsonPayload.metadata.occurred_at"])
def test_a_clock_may_be_ten_minutes_ahead_and_no_more(place: str) -> None:
    assert read(changed(place, after(minutes=10).isoformat())).occurred_at == after(minutes=10)
    error = rejected(changed(place, after(minutes=11).isoformat()))
    assert error.reason == "future"
    assert str(error).startswith(f"{place}: 2026-03-02T09:11:00+00:00 is more than")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-03-02T09:00:00.123456789Z", START.replace(microsecond=123_456)),
        ("2026-03-02T09:00:00Z", START),
        ("2026-03-02T17:00:00+08:00", START),
        ("2026-03-02t09:00:00z", START),
    ],
)
def test_a_timestamp_is_read_as_google_writes_it(written: str, expected: datetime) -> None:
    found = read(changed("timestamp", written))
    assert (found.occurred_at, found.occurred_at.tzinfo) == (expected, UTC)


def test_the_producers_time_counts_before_the_entrys() -> None:
    found = read(changed("jsonPayload.metadata.occurred_at", "2026-03-01T00:00:00Z"))
    assert found.occurred_at == START - timedelta(hours=33)


def test_without_an_event_id_the_entry_itself_is_the_id() -> None:
    anonymous = payload(metadata={"event_id": None})
    same, again = read(entry(anonymous)), read(entry(anonymous))
    others = [read(entry(anonymous, insert_id="i2")), read(entry(anonymous, at=START - timedelta(microseconds=1)))]
    assert same.id == again.id
    assert len({found.id for found in (same, *others)}) == 3
    missing = "jsonPayload.metadata.event_id: missing, and there is no insertId to take its place"
    assert str(rejected(entry(anonymous, insert_id=""))) == missing


@pytest.mark.parametrize("odd", ["a\0b", " ", "\n", "é", "a/b", "..", "__x__", "😀", "x" * 200])
def test_ids_are_any_text(odd: str) -> None:
    found = read(entry(payload(metadata={"event_id": odd}, bot_id=odd, member_id=odd)))
    assert (found.id, found.bot_id, found.member_id) == (odd, odd, odd)


def test_of_a_key_that_occurs_twice_the_last_counts() -> None:
    assert read(entry().replace(b'"event": "joined"', b'"event": 5, "event": "left"')).name == "left"


def test_producers_may_add_keys_of_their_own() -> None:
    extra = payload(metadata={"team": "shop", "trace": [1]}) | {"level": "info"}
    assert read(entry(extra)).name == "joined"


@pytest.mark.parametrize("depth", [MAX_EMIT_DEPTH + 1, 10**4_000])
def test_events_that_journeys_emit_in_a_circle_are_rejected(depth: int) -> None:
    assert read(changed("jsonPayload.metadata.depth", MAX_EMIT_DEPTH)).depth == MAX_EMIT_DEPTH
    error = rejected(changed("jsonPayload.metadata.depth", depth))
    assert (error.reason, str(error)[:28]) == ("loop", "jsonPayload.metadata.depth: ")


json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
)
subjects = st.fixed_dictionaries({"bot_id": st.just(BOT), "member_id": st.just(MEMBER)}, optional={"more": json_values})


@given(subjects, st.integers(0, MAX_EMIT_DEPTH))
def test_an_emitted_event_comes_back_as_it_was_written(data: dict[str, JsonValue], depth: int) -> None:
    written = Event("e1", "tier.reached", BOT, MEMBER, START, data, depth)
    assert read(write_log_entry(written)) == written


def test_an_emitted_event_is_one_deeper_than_its_cause_until_half_a_day_has_passed() -> None:
    cause = Cause(3, START)
    assert [cause.next_depth(after(hours=hours)) for hours in (0, 11.9, 12, 500)] == [4, 4, 1, 1]


def test_what_an_emitted_event_says_of_its_subject_is_overwritten() -> None:
    written = Event("e2", "tier", BOT, MEMBER, START, {"bot_id": "other"}, 1)
    assert read(write_log_entry(written)).data == {"bot_id": BOT, "member_id": MEMBER}


def read_or_reject(data: bytes) -> None:
    message = ""
    try:
        read_log_entry(data, now=START)
    except EventRejected as error:
        message = str(error)
    assert len(message) <= MAX_MESSAGE_CHARACTERS


@given(st.binary())
def test_no_bytes_raise_anything_but_a_rejection(data: bytes) -> None:
    read_or_reject(data)


@given(json_values)
def test_no_json_raises_anything_but_a_rejection(value: JsonValue) -> None:
    read_or_reject(json.dumps(value).encode())


PLACES = ["timestamp", "insertId", "logName", "trace", "jsonPayload"]
PLACES += [f"jsonPayload.{key}" for key in ("event", "data", "metadata")]
PLACES += [f"jsonPayload.data.{key}" for key in ("bot_id", "member_id", "more")]
PLACES += [f"jsonPayload.metadata.{key}" for key in ("event_id", "schema_version", "occurred_at", "depth", "support_journey")]


@given(st.sampled_from(PLACES), json_values)
def test_no_value_in_any_field_raises_anything_but_a_rejection(place: str, value: JsonValue) -> None:
    read_or_reject(changed(place, value))
