"""Members from a file: JSON lines, or CSV with a header, as its suffix says. A row that cannot be read is named, not skipped.

CSV columns: bot_id, member_id, timezone, locale, `attributes.NAME`, `addresses.CHANNEL`. An empty cell gives nothing. The cell
of an attribute is a value where it reads as JSON (`12`, `true`, `null`, `["a"]`, `"007"` in quotes for text), else text.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from pydantic import JsonValue

from sojourn.application.members import MemberRow
from sojourn.domain.errors import InputError
from sojourn.domain.strict_json import read_json

COLUMNS = ("bot_id", "member_id", "timezone", "locale")
GROUPS = ("attributes", "addresses")
MAX_LINE_CHARACTERS = 1_048_576


def read_members(lines: IO[str], *, name: str) -> Iterator[MemberRow]:
    """The rows of an open file (universal newlines off for CSV: `newline=""`). Raises InputError where the file is neither."""
    match Path(name).suffix.lower():
        case ".csv":
            yield from _csv_rows(_csv_lines(lines))
        case ".jsonl" | ".ndjson" | ".json":
            yield from _json_rows(lines)
        case suffix:
            raise InputError(f"{name}: {suffix or 'no suffix'} is neither .csv nor .jsonl")


def _lines(file: IO[str]) -> Iterator[str]:
    """Lines as they are; of one that is too long the beginning, which is too long too. A file may be one line without end."""
    while line := file.readline(MAX_LINE_CHARACTERS + 1):
        yield line
        while len(line) > MAX_LINE_CHARACTERS and not line.endswith(("\n", "\r")):
            line = file.readline(MAX_LINE_CHARACTERS + 1)


def _json_rows(file: IO[str]) -> Iterator[MemberRow]:
    for number, line in enumerate(_lines(file), 1):
        if line.strip():
            yield _json_row(number, line)


def _json_row(number: int, line: str) -> MemberRow:
    if len(line) > MAX_LINE_CHARACTERS:
        return MemberRow(number, {}, f"longer than {MAX_LINE_CHARACTERS:,} characters")
    try:
        fields = read_json(line)
    except ValueError as error:
        return MemberRow(number, {}, f"not JSON ({error})")
    if not isinstance(fields, dict):
        return MemberRow(number, {}, f"not a JSON object but {line.strip():.80}")
    return MemberRow(number, fields)


def _csv_lines(file: IO[str]) -> Iterator[str]:
    for number, line in enumerate(_lines(file), 1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise InputError(f"line {number}: longer than {MAX_LINE_CHARACTERS:,} characters")
        yield line


def _csv_rows(lines: Iterator[str]) -> Iterator[MemberRow]:
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise InputError(f"line 1: not CSV ({error})") from error
    _check_header(header)
    while True:
        begun = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield MemberRow(begun, {}, f"not CSV ({error})")
            continue
        if cells is None:
            return
        if cells:
            yield _csv_row(begun, header, cells)


def _check_header(header: Sequence[str]) -> None:
    for column in header:
        group, dot, key = column.partition(".")
        if column not in COLUMNS and not (dot and key and group in GROUPS):
            known = ", ".join((*COLUMNS, *(f"{group}.NAME" for group in GROUPS)))
            raise InputError(f"line 1: no column {column!r:.80}; there are {known}")
    if missing := [column for column in COLUMNS[:2] if column not in header]:
        raise InputError(f"line 1: the column {missing[0]} is missing")
    if len(set(header)) < len(header):
        raise InputError("line 1: a column occurs twice")


def _csv_row(number: int, header: Sequence[str], cells: Sequence[str]) -> MemberRow:
    if len(cells) != len(header):
        return MemberRow(number, {}, f"{len(cells)} cells, but {len(header)} columns")
    fields: dict[str, JsonValue] = {}
    groups: dict[str, dict[str, JsonValue]] = {}
    for column, cell in zip(header, cells, strict=True):
        group, _, key = column.partition(".")
        if not cell:
            continue
        if group in GROUPS:
            groups.setdefault(group, {})[key] = read_value(cell) if group == "attributes" else cell
        else:
            fields[column] = cell
    merged: Mapping[str, JsonValue] = {**fields, **groups}
    return MemberRow(number, merged)


def read_value(cell: str) -> JsonValue:
    """JSON where the cell reads as JSON, text otherwise."""
    try:
        return read_json(cell)
    except ValueError:
        return cell
