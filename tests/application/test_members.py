"""Members from outside: replaced or merged, never half written; every bad row is named, good ones are kept."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import pytest
from pydantic import JsonValue

from sojourn.application.members import (
    IMPORT_BATCH,
    MemberInvalid,
    MemberRow,
    RowResult,
    get_member,
    import_members,
    parse_member,
    put_member,
)
from sojourn.application.records import CommitResult
from sojourn.domain.errors import Changed, InputError, NotFound
from sojourn.domain.member import Member
from sojourn.runtime.member_file import read_members
from tests.application.conftest import Cloud, instead
from tests.builders import BOT, MEMBER, START

ANN: dict[str, JsonValue] = {
    "bot_id": BOT,
    "member_id": MEMBER,
    "attributes": {"first_name": "Ann", "age": 30},
    "timezone": "Asia/Taipei",
    "locale": "zh-TW",
    "addresses": {"line": "U1"},
}


def rows(*fields: Mapping[str, JsonValue]) -> list[MemberRow]:
    return [MemberRow(line, {"bot_id": BOT, "member_id": MEMBER, **each}) for line, each in enumerate(fields, 1)]


def faults(results: list[RowResult]) -> dict[int, list[str]]:
    return {result.line: [str(fault) for fault in result.faults] for result in results if result.faults}


def test_put_creates_and_get_finds(cloud: Cloud) -> None:
    put = put_member(cloud.shop, parse_member(ANN))
    assert get_member(cloud.shop, BOT, MEMBER) == put
    assert (put.rev, put.updated_at, put.timezone, put.addresses) == (1, START, "Asia/Taipei", {"line": "U1"})


def test_put_replaces_everything(cloud: Cloud) -> None:
    put_member(cloud.shop, parse_member(ANN))
    put_member(cloud.shop, parse_member({"bot_id": BOT, "member_id": MEMBER, "attributes": {"age": 31}}))
    found = get_member(cloud.shop, BOT, MEMBER)
    assert (found.rev, found.attributes, found.timezone, found.addresses) == (2, {"age": 31}, None, {})


def test_put_of_a_revision_that_is_gone_changes_nothing(cloud: Cloud) -> None:
    put_member(cloud.shop, parse_member(ANN), rev=0)
    with pytest.raises(Changed, match="revision 1, not 0"):
        put_member(cloud.shop, parse_member({**ANN, "locale": "en"}), rev=0)
    assert put_member(cloud.shop, parse_member({**ANN, "locale": "en"}), rev=1).rev == 2


def test_nobody_is_not_found(cloud: Cloud) -> None:
    with pytest.raises(NotFound, match="'nobody'"):
        get_member(cloud.shop, BOT, "nobody")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"member_id": ""}, "member_id"),
        ({"timezone": "Mars/One"}, "timezone: 'Mars/One' is no IANA time zone"),
        ({"locale": "中文"}, "locale"),
        ({"surname": "x"}, "surname"),
        ({"attributes": {"text": "x" * 300_000}}, "attributes"),
        ({"attributes": {str(number): 1 for number in range(501)}}, "attributes"),
        ({"addresses": {"line": 7}}, "addresses.line"),
    ],
)
def test_what_is_no_member_is_refused_by_its_field(wrong: dict[str, JsonValue], named: str) -> None:
    with pytest.raises(MemberInvalid) as error:
        parse_member({**ANN, **wrong})
    assert str(error.value).startswith(named)


def test_import_merges_key_by_key_and_null_removes(cloud: Cloud) -> None:
    put_member(cloud.shop, parse_member(ANN))
    given: Mapping[str, JsonValue] = {"attributes": {"age": None, "city": "Taipei"}, "addresses": {"mail": "a@b.c"}}
    assert faults(list(import_members(cloud.shop, rows(given)))) == {}
    found = get_member(cloud.shop, BOT, MEMBER)
    assert found.attributes == {"first_name": "Ann", "city": "Taipei"}
    assert (found.addresses, found.timezone) == ({"line": "U1", "mail": "a@b.c"}, "Asia/Taipei")


def test_rows_of_the_same_member_are_one_write_in_their_order(cloud: Cloud) -> None:
    results = list(import_members(cloud.shop, rows({"attributes": {"a": 1, "b": 1}}, {"attributes": {"a": 2}})))
    assert [result.line for result in results] == [1, 2]
    found = cloud.only(Member)
    assert (found.attributes, found.rev) == ({"a": 2, "b": 1}, 1)


def test_bad_rows_are_named_and_good_ones_kept(cloud: Cloud) -> None:
    many = rows(*({"member_id": f"m{number}", "timezone": "UTC"} for number in range(IMPORT_BATCH + 50)))
    many[3] = MemberRow(4, {"bot_id": BOT, "timezone": "Mars/One"})
    many[IMPORT_BATCH] = MemberRow(IMPORT_BATCH + 1, {}, "not JSON")
    found = faults(list(import_members(cloud.shop, many)))
    assert set(found) == {4, IMPORT_BATCH + 1}
    assert [text.partition(":")[0] for text in found[4]] == ["member_id", "timezone"]
    assert len(cloud.all(Member)) == IMPORT_BATCH + 48


def test_a_member_that_somebody_else_writes_meanwhile_is_merged_again(cloud: Cloud) -> None:
    def overtaken() -> Iterator[MemberRow]:
        instead(cloud.store, "commit_many", lambda commits: [CommitResult.CONFLICT for _ in commits])
        yield from rows({"locale": "en"})

    assert faults(list(import_members(cloud.shop, overtaken()))) == {}
    assert cloud.only(Member).locale == "en"


CSV = """bot_id,member_id,timezone,locale,attributes.age,attributes.code,attributes.vip,addresses.line
b,ann,Asia/Taipei,,30,007,true,U1
b,"bob
the second",,en,,"""
CSV += '"""007""",,12\n'


def test_csv_has_types_and_an_empty_cell_gives_nothing() -> None:
    ann, bob = read_members(io.StringIO(CSV, newline=""), name="members.csv")
    assert (ann.line, bob.line) == (2, 3)
    assert ann.fields["attributes"] == {"age": 30, "code": "007", "vip": True}
    assert (ann.fields["addresses"], "locale" in ann.fields) == ({"line": "U1"}, False)
    assert (bob.fields["member_id"], bob.fields["attributes"]) == ("bob\nthe second", {"code": "007"})
    assert bob.fields["addresses"] == {"line": "12"}


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("bot_id,member_id,age\n", "m.csv", "no column 'age'"),
        ("bot_id\n", "m.csv", "member_id is missing"),
        ("bot_id,member_id,member_id\n", "m.csv", "occurs twice"),
        ("", "m.csv", "bot_id is missing"),
        ("{}", "m.txt", ".txt is neither"),
        ("{}", "members", "no suffix"),
    ],
)
def test_a_file_that_is_no_list_of_members_is_refused_as_a_whole(text: str, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(read_members(io.StringIO(text), name=name))


def test_rows_that_cannot_be_read_are_rows_with_a_fault() -> None:
    csv_rows = list(read_members(io.StringIO("bot_id,member_id\nb\nb,m\n"), name="m.csv"))
    assert [(row.line, row.fault) for row in csv_rows] == [(2, "1 cells, but 2 columns"), (3, None)]
    lines = '{"bot_id": "b"}\n\nnot json\n[1]\n{"x": NaN}\n'
    json_rows = list(read_members(io.StringIO(lines), name="m.jsonl"))
    assert [(row.line, row.fault is None) for row in json_rows] == [(1, True), (3, False), (4, False), (5, False)]
