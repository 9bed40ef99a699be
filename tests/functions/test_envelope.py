"""The push envelope: the bodies that Pub/Sub, its emulator and Eventarc send, and bodies that nobody should send.

`payloads/` holds whole bodies with every field; the data is a LogEntry as a sink publishes it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.domain.errors import EnvelopeInvalid
from sojourn.domain.event import read_log_entry
from sojourn.domain.trace import TraceContext, derived_span_id, derived_trace_id
from sojourn.runtime.envelope import MAX_BODY_BYTES, open_envelope, push_body
from tests.builders import START
from tests.functions.bodies import NO_ENVELOPE, payload_file


@pytest.mark.parametrize(
    ("name", "message_id"),
    [("wrapped_push", "10835012345678901"), ("emulator_push", "1"), ("eventarc_push", "10835012345678901")],
)
def test_a_real_push_opens_to_the_log_entry_that_was_published(name: str, message_id: str) -> None:
    envelope = open_envelope(payload_file(name))
    event = read_log_entry(envelope.data, now=START)
    assert envelope.message_id == message_id
    assert event is not None
    assert (event.name, event.occurred_at.microsecond) == ("order.completed", 987_654)


@pytest.mark.parametrize(("name", "message_id"), [("empty_data", "2"), ("attributes_only", "10835012345678902")])
def test_a_message_without_data_is_an_envelope_of_nothing(name: str, message_id: str) -> None:
    envelope = open_envelope(payload_file(name))
    assert (envelope.data, envelope.message_id) == (b"", message_id)


@pytest.mark.parametrize("body", NO_ENVELOPE.values(), ids=NO_ENVELOPE.keys())
def test_what_is_no_envelope_is_refused_by_the_field_in_few_words(body: bytes) -> None:
    with pytest.raises(EnvelopeInvalid, match=r"^(body|message\.data): ") as raised:
        open_envelope(body)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("odd", [None, 5, "x" * 5_000, ["1"], {}])
def test_a_message_id_is_short_text_whatever_was_sent(odd: object) -> None:
    body = json.dumps({"message": {"data": "", "messageId": odd}}).encode()
    assert len(open_envelope(body).message_id) <= 100


@pytest.mark.parametrize("name", ["wrapped_push", "emulator_push", "eventarc_push"])
def test_a_real_push_says_when_pubsub_took_the_message(name: str) -> None:
    assert open_envelope(payload_file(name)).published_at == datetime(2026, 3, 2, 8, 59, 59, 321_000, tzinfo=UTC)


@pytest.mark.parametrize("odd", [None, 5, "", "yesterday", "2026-03-02T08:59:59", ["1"], {}])
def test_a_time_that_is_none_is_left_out(odd: object) -> None:
    body = json.dumps({"message": {"data": "", "publishTime": odd}}).encode()
    assert open_envelope(body).published_at is None


@pytest.mark.parametrize(
    "odd", [None, 5, "x", [], {"traceparent": None}, {"traceparent": ["00"]}, {"traceparent": "00-x-y-01"}]
)
def test_attributes_that_name_no_trace_are_left_out(odd: object) -> None:
    body = json.dumps({"message": {"data": "", "attributes": odd}}).encode()
    assert open_envelope(body).parent is None


@given(st.binary(), st.datetimes(timezones=st.just(UTC)))
def test_where_and_when_a_message_was_published_comes_through(data: bytes, published_at: datetime) -> None:
    place = TraceContext(derived_trace_id(data.hex()), derived_span_id(data.hex()))
    body = push_body(data, attributes={"traceparent": place.traceparent}, published_at=published_at)
    envelope = open_envelope(body)
    assert (envelope.parent, envelope.published_at) == (place, published_at)


@given(st.binary())
def test_what_is_pushed_in_process_opens_to_the_same_bytes(data: bytes) -> None:
    assert open_envelope(push_body(data)).data == data


def test_the_largest_message_of_pubsub_fits() -> None:
    assert len(push_body(bytes(10_000_000))) < MAX_BODY_BYTES
