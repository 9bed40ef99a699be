"""Whatever is read comes to a value that can be stored and sent on, or to an error of ours that is short. Never to a crash."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from emulator.log_router.filter import FilterError, compile_filter
from emulator.scenarios import shop
from sojourn.application.members import MemberInvalid, parse_member
from sojourn.application.messages import EnrollMessage, SweepMessage, read_message
from sojourn.domain.definition import Definition
from sojourn.domain.errors import DefinitionInvalid, EnvelopeInvalid, EventRejected, InputError, MessageInvalid
from sojourn.domain.event import Event, read_log_entry, write_log_entry
from sojourn.domain.loading import dump_definition, load_stored
from sojourn.domain.strict_json import read_json
from sojourn.runtime.definition_file import definition_from_text
from sojourn.runtime.envelope import open_envelope, push_body
from sojourn.runtime.member_file import read_members
from tests.builders import START, entry
from tests.fuzz.edits import edited

MAX_TEXT_CHARACTERS = 1_000
ODD_JSON = (
    *(
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"true",
        b"-",
        b"0",
        b"1e400",
        b"-1E-400",
        b"NaN",
        b"\x00",
        b"\xff",
    ),
    *(
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\u0000"',
        b"9" * 400,
        b"0.1" + b"0" * 400,
        b"[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]",
        b"{}",
    ),
    *(
        b'"support_journey": true',
        b'"data": {}',
        b'"bot_id": 5',
        b'"9999-12-31T23:59:59.999999999Z"',
        b'"0001-01-01T00:00:00Z"',
    ),
    *(
        b'"timestamp": 1e300',
        b'"timestamp": -1',
        b'"depth": 99999999999999999999',
        b'"insertId": ""',
        b"\xef\xbb\xbf",
        b"/* */",
    ),
)
ODD_TEXT = (
    *(
        "'",
        '"',
        "{{",
        "}}",
        "[",
        "]",
        "{",
        "}",
        ":",
        "- ",
        "? ",
        "| ",
        "> ",
        "&a ",
        "*a ",
        "<<: ",
        "!!str ",
        "%YAML 1.1\n",
        "---\n",
    ),
    *(
        "\n",
        "\t",
        "\x00",
        "\x85",
        "\u2028",
        "\ufeff",
        "\ud800",
        "~",
        "null",
        "yes",
        "0x1F",
        "1:30",
        "1e400",
        ".inf",
        ".nan",
        "9" * 400,
    ),
    *(
        "2026-13-45",
        "next: a",
        "branches: [{}]",
        "key: exit",
        "else: a",
        "settings: {}",
        "#",
        "@",
        "`",
        "=",
        "event.data.x.map(x, x)",
    ),
)
ODD_FILTER = (
    "(",
    ")",
    "-",
    "NOT ",
    " OR ",
    " AND ",
    "=~",
    "!~",
    ":*",
    '"',
    "\\",
    ".",
    "<=",
    "--",
    "\n",
    "NULL_VALUE",
    "log_id(",
    "9e999",
)
LINES = '{"bot_id": "b", "member_id": "m", "timezone": "Asia/Taipei", "attributes": {"n": 1.5}, "addresses": {"mail": "a@b"}}\n'
CSV = "bot_id,member_id,timezone,attributes.n,addresses.mail\nb,m,Asia/Taipei,1.5,a@b\n"


def expect_short(error: object, *, start: str | tuple[str, ...] = "") -> None:
    assert len(str(error)) <= MAX_TEXT_CHARACTERS
    assert str(error).startswith(start)


@given(edited(entry(), ODD_JSON))
def test_a_log_entry_is_an_event_that_reads_back_or_none_of_ours_or_rejected(data: bytes) -> None:
    try:
        event = read_log_entry(data, now=START)
    except EventRejected as error:
        expect_short(error)
        return
    if event is not None:
        assert isinstance(event, Event)
        again = read_log_entry(write_log_entry(event), now=START)
        assert again is not None and (again.id, again.bot_id, again.member_id) == (event.id, event.bot_id, event.member_id)


@given(edited(push_body(entry()), (*ODD_JSON, b'"message"', b'"data": "="', b'"publishTime": 5')))
def test_a_push_body_is_an_envelope_or_refused_by_the_field(body: bytes) -> None:
    try:
        assert isinstance(open_envelope(body).data, bytes)
    except EnvelopeInvalid as error:
        expect_short(error, start=("body: ", "message.data: "))


MESSAGE = EnrollMessage(journey_id="j", node_id="n", fired_at=START, after="a").to("t").data


@pytest.mark.parametrize("kind", [EnrollMessage, SweepMessage])
@given(data=edited(MESSAGE, (*ODD_JSON, b'"shards": [1024]', b'"settle": ""')))
def test_a_message_is_one_of_its_kind_or_refused(kind: type[EnrollMessage | SweepMessage], data: bytes) -> None:
    try:
        assert isinstance(read_message(kind, data), kind)
    except MessageInvalid as error:
        expect_short(error)


@pytest.mark.parametrize("path", [shop.FOLDER / name for name in shop.FILES], ids=lambda path: path.name)
@given(choices=st.data())
@settings(max_examples=50)
def test_a_definition_file_is_a_definition_that_reads_back_or_all_its_faults(path: Path, choices: st.DataObject) -> None:
    text = choices.draw(edited(path.read_text(), ODD_TEXT))
    try:
        found = definition_from_text(text, name=path.name)
    except DefinitionInvalid as error:
        for fault in error.faults:
            expect_short(fault)
        return
    assert isinstance(found, Definition)
    assert load_stored(dump_definition(found)) == found


@given(
    st.text(st.sampled_from('resource.type="a" jsonPayload:*()-<>=~!\\\n'), max_size=60)
    | edited('a.b="c" OR NOT d=~"e"', ODD_FILTER)
)
def test_a_filter_decides_or_says_where_it_is_wrong(text: str) -> None:
    try:
        decided = compile_filter(text).matches({"jsonPayload": {"a": "x", "n": 1, "l": ["\ud800", None]}, "severity": "ERROR"})
    except FilterError as error:
        expect_short(error)
        return
    assert isinstance(decided, bool)


@pytest.mark.parametrize(("name", "text"), [("m.jsonl", LINES), ("m.csv", CSV)])
@given(choices=st.data())
def test_a_members_file_is_rows_each_right_or_with_its_faults(name: str, text: str, choices: st.DataObject) -> None:
    changed = choices.draw(edited(text, (*ODD_TEXT, '"a"', ",", "\r", "attributes.", '{"a": 1e400}')))
    try:
        rows = list(read_members(io.StringIO(changed, newline=""), name=name))
    except InputError as error:
        expect_short(error)
        return
    for row in rows:
        try:
            fields: JsonValue = parse_member(row.fields).model_dump(mode="json") if row.fault is None else row.fault
            assert json.dumps(fields, allow_nan=False)
        except MemberInvalid as error:
            expect_short(error.faults[0])


@given(st.binary(max_size=60) | edited(b'{"a": [1, 2.5, "x", null, {"b": true}]}', ODD_JSON))
def test_strict_json_is_what_any_json_reader_takes(data: bytes) -> None:
    try:
        value = read_json(data)
    except ValueError:
        return
    assert read_json(json.dumps(value, allow_nan=False).encode()) == value


def test_of_a_key_that_occurs_twice_the_last_value_counts() -> None:
    twice = entry().replace(b'"bot_id": "bot-1"', b'"bot_id": "bot-2", "bot_id": "bot-1"')
    found = read_log_entry(twice, now=START)
    assert found is not None and found.bot_id == "bot-1"
