"""A line of stdout becomes the LogEntry that Cloud Run's agent would make of it, whatever the line holds."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.log_router.entry import JSON_MAX_LEVELS, LINE_MAX_BYTES, LogSource, log_entry

RECEIVED_AT = datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)
RECEIVED = "2026-03-01T10:00:00.123456Z"
SOURCE = LogSource(project="p", service="shop-api")


def entry_of(line: bytes | str | dict[str, object]) -> dict[str, object]:
    raw = json.dumps(line) if isinstance(line, dict) else line
    return log_entry(raw, SOURCE, received_at=RECEIVED_AT)


def test_an_entry_names_its_log_its_service_and_its_receipt() -> None:
    entry = entry_of(b"hello\r\n")
    insert_id = entry.pop("insertId")
    assert isinstance(insert_id, str)
    assert len(insert_id) == 26
    assert entry == {
        "logName": "projects/p/logs/run.googleapis.com%2Fstdout",
        "resource": {
            "type": "cloud_run_revision",
            "labels": {
                "project_id": "p",
                "location": "local",
                "service_name": "shop-api",
                "configuration_name": "shop-api",
                "revision_name": "shop-api-local",
            },
        },
        "timestamp": RECEIVED,
        "receiveTimestamp": RECEIVED,
        "severity": "DEFAULT",
        "textPayload": "hello",
    }


def test_a_json_object_becomes_json_payload_without_its_special_keys() -> None:
    prefix = "logging.googleapis.com/"
    line: dict[str, object] = {
        "message": "paid",
        "severity": "warning",
        "time": "2026-03-01T09:59:59.5+09:00",
        "httpRequest": {"status": 200},
        f"{prefix}insertId": "mine",
        f"{prefix}labels": {"sojourn.engine": True, "n": 1, "text": "x"},
        f"{prefix}operation": {"id": "o"},
        f"{prefix}sourceLocation": {"file": "a.py"},
        f"{prefix}spanId": "000000000000004a",
        f"{prefix}trace": "projects/p/traces/t",
        f"{prefix}trace_sampled": True,
        "metadata": {"support_journey": True},
    }
    entry = entry_of(line)
    assert entry["jsonPayload"] == {"message": "paid", "metadata": {"support_journey": True}}
    assert entry["labels"] == {"sojourn.engine": "true", "n": "1", "text": "x"}
    lifted = {key: entry[key] for key in ("severity", "timestamp", "insertId", "spanId", "trace", "traceSampled")}
    assert lifted == {
        "severity": "WARNING",
        "timestamp": "2026-03-01T00:59:59.500000Z",
        "insertId": "mine",
        "spanId": "000000000000004a",
        "trace": "projects/p/traces/t",
        "traceSampled": True,
    }
    assert [entry["httpRequest"], entry["operation"], entry["sourceLocation"]] == [
        {"status": 200},
        {"id": "o"},
        {"file": "a.py"},
    ]


def test_a_message_left_alone_is_text() -> None:
    entry = entry_of({"message": "hello", "severity": "INFO"})
    assert entry["textPayload"] == "hello"
    assert "jsonPayload" not in entry


def test_a_special_key_of_the_wrong_shape_stays_in_the_payload() -> None:
    entry = entry_of({"httpRequest": "GET /", "logging.googleapis.com/labels": ["x"]})
    assert entry["jsonPayload"] == {"httpRequest": "GET /", "logging.googleapis.com/labels": ["x"]}
    assert not {"httpRequest", "labels"} & entry.keys()


@pytest.mark.parametrize(
    "line",
    [
        b"plain text",
        b'["a", "list"]',
        b"42",
        b'{"half":',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": ' + b"[" * JSON_MAX_LEVELS + b"]" * JSON_MAX_LEVELS + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=lambda line: line[:14].decode(),
)
def test_a_line_that_is_no_json_object_is_text(line: bytes) -> None:
    entry = entry_of(line)
    assert entry["textPayload"] == line[:LINE_MAX_BYTES].decode()
    assert "jsonPayload" not in entry


def test_an_object_at_the_deepest_level_google_takes_is_json() -> None:
    levels = JSON_MAX_LEVELS - 1
    assert "jsonPayload" in entry_of(b'{"a": ' + b"[" * levels + b"]" * levels + b"}")


def test_invalid_utf8_is_replaced() -> None:
    assert entry_of(b"caf\xe9")["textPayload"] == "caf\ufffd"


def test_a_line_over_the_limit_is_cut_and_is_text() -> None:
    entry = entry_of({"message": "x" * LINE_MAX_BYTES, "metadata": {"support_journey": True}})
    assert len(str(entry["textPayload"])) == LINE_MAX_BYTES


@pytest.mark.parametrize(
    ("given", "severity"),
    [("Error", "ERROR"), (400, "WARNING"), ("800", "EMERGENCY"), ("loud", "DEFAULT"), (450, "DEFAULT"), (None, "DEFAULT")],
)
def test_severity_is_one_of_googles_or_default(given: object, severity: str) -> None:
    assert entry_of({"severity": given, "a": 1})["severity"] == severity


@pytest.mark.parametrize(
    ("fields", "timestamp"),
    [
        ({"time": "2026-03-01T09:00:00Z"}, "2026-03-01T09:00:00.000000Z"),
        ({"timestamp": "2026-03-01T09:00:00.123456789Z"}, "2026-03-01T09:00:00.123456789Z"),
        ({"timestamp": {"seconds": 1772355600, "nanos": 5000}}, "2026-03-01T09:00:00.000005Z"),
        ({"timestampSeconds": "1772355600", "timestampNanos": 7}, "2026-03-01T09:00:00.000000007Z"),
        ({"timestampSeconds": 1772355600}, "2026-03-01T09:00:00.000000Z"),
    ],
)
def test_the_application_may_give_the_time_in_three_ways(fields: dict[str, object], timestamp: str) -> None:
    entry = entry_of(fields | {"a": 1})
    assert entry["timestamp"] == timestamp
    assert entry["jsonPayload"] == {"a": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"time": "yesterday"},
        {"time": "2026-03-01T09:00:00"},
        {"time": "2026-02-30T09:00:00Z"},
        {"time": "0001-01-01T00:00:00+14:00"},
        {"timestamp": {"seconds": 10**30}},
        {"timestamp": 12},
        {"timestampSeconds": True},
    ],
)
def test_a_bad_time_stays_in_the_payload_and_receipt_counts(fields: dict[str, object]) -> None:
    entry = entry_of(fields | {"a": 1})
    assert entry["timestamp"] == RECEIVED
    assert entry["jsonPayload"] == fields | {"a": 1}


def test_receipt_is_told_in_utc() -> None:
    tokyo = RECEIVED_AT.astimezone(timezone(timedelta(hours=9)))
    assert log_entry("x", SOURCE, received_at=tokyo)["receiveTimestamp"] == RECEIVED


def test_insert_ids_differ_for_equal_lines_and_repeat_for_equal_input() -> None:
    ids = [log_entry("x", SOURCE, received_at=RECEIVED_AT, sequence=number)["insertId"] for number in (0, 1, 0)]
    assert ids[0] == ids[2] != ids[1]


@settings(deadline=None)
@given(st.one_of(st.binary(), st.text(), st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps)))
def test_no_line_makes_it_fail(line: bytes | str) -> None:
    entry = entry_of(line)
    assert ("textPayload" in entry) != ("jsonPayload" in entry)
