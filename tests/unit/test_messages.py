"""The messages between functions: what is written is read back, and anything else is refused by the field."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.application.messages import (
    MAX_SHARDS,
    EffectMessage,
    EnrollMessage,
    Message,
    RunMessage,
    SweepMessage,
    read_message,
)
from sojourn.domain.errors import MessageInvalid


@pytest.mark.parametrize(
    "message",
    [
        RunMessage(progress_id="p1"),
        RunMessage(progress_id="p1", rev=3),
        EffectMessage(effect_id="e1"),
        SweepMessage(),
        SweepMessage(shards=(), deep=True),
        SweepMessage(shards=(0, 5, MAX_SHARDS - 1)),
        EnrollMessage(journey_id="j", node_id="clock"),
        EnrollMessage(journey_id="j", node_id="clock", fired_at=datetime(2026, 3, 2, 9, tzinfo=UTC), after="m1"),
    ],
    ids=str,
)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    outgoing = message.to("topic")
    assert outgoing.topic == "topic"
    assert read_message(type(message), outgoing.data) == message


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (RunMessage, b"", "RunMessage: Invalid JSON: EOF"),
        (RunMessage, b"[]", "RunMessage: Input should be an object, not []"),
        (RunMessage, b"null", "RunMessage: Input should be an object, not None"),
        (RunMessage, b"{}", "RunMessage: progress_id: Field required"),
        (RunMessage, b'{"progress_id": ""}', "RunMessage: progress_id: String should have at least 1"),
        (RunMessage, b'{"progress_id": 5}', "RunMessage: progress_id: Input should be a valid string, not 5"),
        (RunMessage, b'{"progress_id": "p", "rev": "3"}', "RunMessage: rev: Input should be a valid integer, not '3'"),
        (RunMessage, b'{"progress_id": "p", "v": 2}', "RunMessage: v: Input should be 1, not 2"),
        (RunMessage, b'{"progress_id": "p", "at": 1}', "RunMessage: at: Extra inputs are not permitted, not 1"),
        (RunMessage, b'{"progress_id": "\\ud800"}', "RunMessage: Invalid JSON: unexpected end of hex escape"),
        (RunMessage, b"[" * 10_000, "RunMessage: Invalid JSON: recursion limit exceeded"),
        (RunMessage, b"[" * 100_000, "RunMessage: 100,000 bytes; at most 16,384"),
        (EffectMessage, b'{"progress_id": "p"}', "EffectMessage: effect_id: Field required"),
        (EnrollMessage, b'{"journey_id": "j"}', "EnrollMessage: node_id: Field required"),
        (EnrollMessage, b'{"journey_id": "j", "node_id": "n", "fired_at": "2026-03-02T09:00"}', "EnrollMessage: fired_at: "),
        (SweepMessage, b'{"shards": 1}', "SweepMessage: shards: Input should be a valid "),
        (SweepMessage, b'{"shards": [-1]}', "SweepMessage: shards.0: Input should be greater than or equal to 0"),
        (SweepMessage, b'{"shards": [1024]}', "SweepMessage: shards.0: Input should be less than 1024"),
        (SweepMessage, b'{"deep": 1}', "SweepMessage: deep: Input should be a valid boolean, not 1"),
        (SweepMessage, b'{"' + b"x" * 10_000 + b'": 1}', "SweepMessage: xxx"),
    ],
    ids=lambda part: f"{part!s:.40}",
)
def test_what_is_no_message_is_refused_by_the_field_in_few_words(kind: type[Message], data: bytes, message: str) -> None:
    with pytest.raises(MessageInvalid) as raised:
        read_message(kind, data)
    assert str(raised.value).startswith(message)
    assert len(str(raised.value)) < 500


@given(st.sampled_from([RunMessage, EffectMessage, SweepMessage, EnrollMessage]), st.binary())
def test_no_bytes_raise_anything_but_a_refusal(kind: type[Message], data: bytes) -> None:
    with suppress(MessageInvalid):  # `{}` is a tick
        assert isinstance(read_message(kind, data), kind)
