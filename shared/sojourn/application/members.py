"""Members from outside: written one by one or by the file, read by conditions and messages.

What is written *replaces* the member (`put_member`) or is *merged* into it (`import_members`): merged, a field
that is not given stays, attributes and addresses are set key by key, and null removes one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError, field_validator
from pydantic_core import ErrorDetails

from sojourn.application.audit import Change, commit_changes, write_entry
from sojourn.application.records import CommitResult, Create, Stored, Update, Write
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.errors import Changed, InputError, NotFound, Unavailable
from sojourn.domain.event import MAX_DATA_DEPTH, Identifier, depth_of
from sojourn.domain.fields import Name
from sojourn.domain.ids import member_key
from sojourn.domain.member import Member
from sojourn.domain.moment import ZoneName

MAX_ATTRIBUTES = 500
MAX_ADDRESSES = 50
MAX_ATTRIBUTES_BYTES = 262_144
MAX_MESSAGE_CHARACTERS = 200
IMPORT_BATCH = 200
"""Rows that are read and written together."""
IMPORTS = "members"
"""What the audit's entries about imports are about."""

Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class MemberFields(BaseModel):
    """What is known of a member. `addresses` by channel; `timezone` is an IANA name, `locale` such as zh-TW."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attributes: Annotated[dict[Name, JsonValue], Field(max_length=MAX_ATTRIBUTES)] = Field(default_factory=dict)
    timezone: ZoneName | None = None
    locale: Locale | None = None
    addresses: Annotated[dict[Name, Address | None], Field(max_length=MAX_ADDRESSES)] = Field(default_factory=dict)

    @field_validator("attributes")
    @classmethod
    def _bounded(cls, attributes: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if depth_of(dict(attributes)) > MAX_DATA_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DATA_DEPTH} levels")
        if (size := len(json.dumps(attributes))) > MAX_ATTRIBUTES_BYTES:
            raise ValueError(f"{size:,} bytes; at most {MAX_ATTRIBUTES_BYTES:,}")
        return attributes


class MemberRecord(MemberFields):
    """A member as others write it."""

    bot_id: Identifier
    member_id: Identifier


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A row of a file: its line, and the fields as read; or `fault`, where the row could not be read at all."""

    line: int
    fields: Mapping[str, JsonValue]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class RowFault:
    """One thing wrong in a row: `field` is empty where it is the row as a whole."""

    field: str
    message: str
    value: str | None = None

    def __str__(self) -> str:
        place, value = f"{self.field}: " if self.field else "", f", not {self.value}" if self.value is not None else ""
        return f"{place}{self.message}{value}"


class MemberInvalid(InputError):
    """What was given is no member; `faults` are all of them."""

    code = "member_invalid"

    def __init__(self, faults: Sequence[RowFault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of a row: written, or every fault in it."""

    line: int
    faults: tuple[RowFault, ...] = ()


def get_member(shop: Workshop, bot_id: str, member_id: str) -> Member:
    """The member. Raises NotFound."""
    stored = shop.store.get_many(Member, [member_key(bot_id, member_id)])[0]
    if stored is None:
        raise NotFound(f"no member {member_id!r} of bot {bot_id!r}")
    return stored.value


def put_member(shop: Workshop, record: MemberRecord, *, rev: int | None = None) -> Member:
    """Create or replace the member. With `rev`, only that revision is replaced (0: only created), else Changed."""
    for _ in range(MAX_ROUNDS):
        stored = shop.store.get_many(Member, [member_key(record.bot_id, record.member_id)])[0]
        found = stored.value.rev if stored else 0
        if rev is not None and rev != found:
            raise Changed(f"member {record.member_id!r} is at revision {found}, not {rev}")
        member = _next(shop, _empty(shop, record), record, rev=found + 1)
        if commit_changes(shop, [Change("member.put", stored, member)])[0] is CommitResult.APPLIED:
            return member
    raise Unavailable(f"member {record.member_id!r} is being written by others")


@dataclass(frozen=True, slots=True)
class Imported:
    """What the audit tells of an import; `over`: until then it is on its way, or was killed on it."""

    source: str
    written: int = 0
    bad: int = 0
    over: bool = False


def import_members(shop: Workshop, rows: Iterable[MemberRow], *, source: str = "") -> Iterator[RowResult]:
    """Merge rows into members, some hundred at a time; a result for each row, in order. A bad row stops nobody.

    The audit has an entry when it begins and one with the counts, however it ends: one for each member would double the
    writes, and tell nothing that the file does not. `source` is what to call that.
    """
    remaining, begun, counts = iter(rows), Imported(source), Counter[bool]()
    write_entry(shop, "members.import", IMPORTS, after=begun)
    try:
        while batch := list(islice(remaining, IMPORT_BATCH)):
            for result in _import_batch(shop, batch):
                counts[not result.faults] += 1
                yield result
    finally:
        done = Imported(source, counts[True], counts[False], over=True)
        write_entry(shop, "members.import", IMPORTS, before=begun, after=done)


def _import_batch(shop: Workshop, rows: Sequence[MemberRow]) -> list[RowResult]:
    parsed = [(row.line, _parsed(row)) for row in rows]
    records = [record for _, record in parsed if isinstance(record, MemberRecord)]
    refused = _merge_all(shop, records)
    results = []
    for line, record in parsed:
        faults = record if isinstance(record, tuple) else refused.get(member_key(record.bot_id, record.member_id), ())
        results.append(RowResult(line, faults))
    return results


def _parsed(row: MemberRow) -> MemberRecord | tuple[RowFault, ...]:
    if row.fault is not None:
        return (RowFault("", row.fault),)
    try:
        return parse_member(row.fields)
    except MemberInvalid as error:
        return error.faults


def parse_member(fields: Mapping[str, JsonValue]) -> MemberRecord:
    """The record in `fields`. Raises MemberInvalid with every fault."""
    try:
        return MemberRecord.model_validate(fields)
    except ValidationError as error:
        faults = [_fault(fault) for fault in error.errors(include_url=False)]
        raise MemberInvalid(sorted(faults, key=lambda fault: fault.field)) from error


def _fault(fault: ErrorDetails) -> RowFault:
    shown = None if fault["type"] in ("missing", "value_error") else f"{fault['input']!r:.80}"  # ours name the value themselves
    message = fault["msg"].removeprefix("Value error, ")[:MAX_MESSAGE_CHARACTERS]
    return RowFault(".".join(map(str, fault["loc"])), message, shown)


def _merge_all(shop: Workshop, records: Sequence[MemberRecord]) -> dict[str, tuple[RowFault, ...]]:
    """Write them; rows of the same member are one write. By member: why it could not be written."""
    open_keys = list(dict.fromkeys(member_key(record.bot_id, record.member_id) for record in records))
    refused: dict[str, tuple[RowFault, ...]] = {}
    for _ in range(MAX_ROUNDS):
        if not open_keys:
            return refused
        stored = dict(zip(open_keys, shop.store.get_many(Member, open_keys), strict=True))
        members = _merged(shop, records, stored)
        results = shop.commit_many([(_write(members[key], stored[key]),) for key in open_keys])
        outcomes = dict(zip(open_keys, results, strict=True))
        refused |= {key: _TOO_LARGE for key, result in outcomes.items() if result is CommitResult.REFUSED}
        open_keys = [key for key, result in outcomes.items() if result in (CommitResult.CONFLICT, CommitResult.UNKNOWN)]
    return refused | dict.fromkeys(open_keys, _CONTENDED)


_TOO_LARGE = (RowFault("", "the store refuses the member: too large"),)
_CONTENDED = (RowFault("", "could not be written just now; import it again"),)


def _merged(shop: Workshop, records: Sequence[MemberRecord], stored: Mapping[str, Stored[Member] | None]) -> dict[str, Member]:
    """The members as all their rows leave them, one revision on."""
    members: dict[str, Member] = {}
    for record in records:
        key = member_key(record.bot_id, record.member_id)
        if key in stored:
            before = stored[key]
            current = members.get(key) or (before.value if before else _empty(shop, record))
            members[key] = _next(shop, current, record, rev=(before.value.rev if before else 0) + 1)
    return members


def _empty(shop: Workshop, record: MemberRecord) -> Member:
    return Member(record.bot_id, record.member_id, {}, None, None, {}, 0, "", shop.now())


def _next(shop: Workshop, before: Member, record: MemberRecord, *, rev: int) -> Member:
    """`before` with what the record gives."""
    given = record.model_fields_set
    return replace(
        before,
        attributes=_overlaid(before.attributes, record.attributes),
        timezone=record.timezone if "timezone" in given else before.timezone,
        locale=record.locale if "locale" in given else before.locale,
        addresses=_overlaid(before.addresses, record.addresses),
        rev=rev,
        token=shop.tokens.token(),
        updated_at=shop.now(),
    )


def _overlaid(before: Mapping[str, JsonValue], given: Mapping[str, JsonValue | None]) -> dict[str, JsonValue]:
    return {key: value for key, value in {**before, **given}.items() if value is not None}


def _write(member: Member, stored: Stored[Member] | None) -> Write:
    return Update(member, stored.version) if stored else Create(member)
