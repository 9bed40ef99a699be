"""The Firestore codec: every record comes back as it went in, and indexes hold only what they should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from google.cloud.firestore_v1.types import Document
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sojourn.adapters.firestore_codec import MAX_ID_BYTES, Unreadable, decode, encode, encode_changes, identifier_of, path_of
from sojourn.application.records import Record
from sojourn.domain.effect import Effect, UpdateMember
from sojourn.domain.event import Event
from sojourn.domain.journey import Journey, JourneyVersion
from sojourn.domain.progress import Progress
from tests.contract.records import NOON, a_journey, a_progress, an_effect, an_event, any_record, minutes

ROOT = "projects/p/databases/(default)/documents"


def encoded(record: Record) -> Any:
    document = Document.pb()(name=f"{ROOT}/{path_of(type(record), record.id)}")
    encode(record, document.fields)
    return document


@settings(deadline=None)  # a busy machine is no failure
@given(any_record)
def test_every_record_survives_the_wire(record: Record) -> None:
    on_the_wire = encoded(record).SerializeToString()
    back: Record = decode(type(record), Document.pb().FromString(on_the_wire))  # type: ignore[type-var]  # one kind, whichever
    assert back == record


@pytest.mark.parametrize(
    "data",
    [
        {"nested": [[1, [2]], []]},
        {"large": 2**80, "": "no name", "__x__": "reserved", "a.b": "dotted"},
        {"half": "\ud83d", "\ude00": "key", "nul": "\0", "halves": "\ud83d\ude00"},
        {"float": 1e-320, "whole": 1.0, "none": None, "empty": {}, "text": "陳大文 😀"},
    ],
)
def test_any_json_survives_in_free_fields(data: Any) -> None:
    event = Event("e", "order.completed", "shop", "mary", NOON, data)
    effect = replace(an_effect(), payload=UpdateMember(data), result=[data])
    progress = replace(a_progress(), trigger=event, context={"node": data})
    assert decode(Effect, encoded(effect)) == effect
    assert decode(Progress, encoded(progress)) == progress


def test_a_whole_float_stays_a_float_and_an_integer_an_integer() -> None:
    event = replace(an_event(), data={"float": 1.0, "whole": 1})
    back = decode(Progress, encoded(replace(a_progress(), trigger=event)))
    assert [type(value) for value in back.trigger.data.values()] == [float, int]


@pytest.mark.parametrize("record", [a_progress(), an_effect()])
def test_what_no_sweep_must_find_is_in_no_sweep_index(record: Progress | Effect) -> None:
    names = set(encoded(replace(record, shard=3)).fields)
    assert not names & {"shard", "sweep_at", "expire_at"}


@pytest.mark.parametrize("record", [a_progress(), an_effect()])
def test_what_a_sweep_must_find_is_in_its_index(record: Progress | Effect) -> None:
    fields = encoded(replace(record, shard=0, sweep_at=minutes(1))).fields
    assert fields["shard"].integer_value == 0 and fields["sweep_at"].HasField("timestamp_value")


def test_none_is_no_field() -> None:
    assert "schedule_end_at" not in encoded(a_journey("welcome")).fields


def test_a_field_of_a_later_release_is_ignored() -> None:
    document = encoded(a_progress())
    document.fields["invented_later"].string_value = "?"
    assert decode(Progress, document) == a_progress()


def test_a_field_of_an_earlier_release_takes_its_default() -> None:
    document = encoded(a_progress())
    del document.fields["sweep_count"]
    assert decode(Progress, document) == a_progress()


def test_documents_from_before_there_were_traces_are_read() -> None:
    effect, progress = encoded(replace(an_effect(), trace_id="t", caused_at=NOON)), encoded(a_progress())
    for name in ("trace_id", "caused_at"):
        del effect.fields[name]
    assert decode(Effect, effect) == an_effect()
    assert "trace" not in progress.fields["trigger"].map_value.fields
    assert decode(Progress, progress).trace_id == a_progress().trace_id


def test_a_document_without_a_required_field_is_not_decoded() -> None:
    document = encoded(a_progress())
    del document.fields["rev"]
    with pytest.raises(Unreadable, match=r"^progress \w+: no Progress can be read from it: rev is absent$"):
        decode(Progress, document)


@settings(deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=200))
@example("summer/2026").via("a slash")
@example("..").via("reserved")
@example("__x__").via("reserved")
@example("100%002F").via("looks escaped")
def test_any_author_s_id_is_a_document_id(identifier: str) -> None:
    path = path_of(Journey, identifier)
    assert path is not None
    collection, _, escaped = path.partition("/")
    assert collection == "journeys" and "/" not in escaped and not escaped.startswith((".", "_"))
    assert identifier_of(f"{ROOT}/{path}") == identifier


def test_a_version_lies_below_its_journey() -> None:
    assert path_of(JourneyVersion, "summer/2026/3") == "journeys/summer%002F2026/versions/3"


@pytest.mark.parametrize("identifier", ["", "é" * MAX_ID_BYTES])
def test_an_id_that_no_document_can_have_has_no_path(identifier: str) -> None:
    assert path_of(Progress, identifier) is None


def test_an_update_writes_what_changed_and_names_what_is_gone() -> None:
    before = replace(a_progress(), awaits="effect", parked=False)
    after = replace(before, rev=before.rev + 1, awaits=None, token="another")
    fields = Document.pb()().fields
    changed = encode_changes(after, before, fields)
    assert set(changed) >= {"rev", "awaits", "token"}
    assert {"trigger", "journey_id", "created_at", "context", "trail"}.isdisjoint(changed)
    assert set(changed) - set(fields) == {"awaits"}
