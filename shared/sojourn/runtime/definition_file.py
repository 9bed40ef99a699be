"""A journey definition from a YAML or JSON file; every fault comes with its line.

A file is YAML as `yaml.SafeLoader` understands it, less what a definition has no use for: tags, keys that occur twice or are no
text, and aliases, with which a short file can be a huge definition.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from sojourn.domain.definition import Definition
from sojourn.domain.errors import DefinitionInvalid, Fault
from sojourn.domain.loading import MAX_DEPTH, MAX_VALUES, parse_definition
from sojourn.domain.sugar import Location
from sojourn.domain.wording import MAX_MESSAGE_CHARACTERS, node_id_at, quoting_hint, shown

MAX_FILE_BYTES = 1024 * 1024
MAX_NUMBER_CHARACTERS = 100
"""YAML 1.1 has numbers in base 60, and one of a million digits takes minutes to read."""
_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})


def load_definition(path: Path) -> Definition:
    """The definition in the file. Raises DefinitionInvalid with every fault, also where the file cannot be read."""
    return definition_from_text(_read_text(path), name=path.name)


def load_document(path: Path) -> object:
    """What a file holds that is no definition, read as strictly. Raises DefinitionInvalid."""
    source = _read_source(_read_text(path), name=path.name)
    if source.faults:
        raise DefinitionInvalid(source.faults)
    return source.raw


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DefinitionInvalid([Fault((), f"{path}: cannot be read: {reason}")]) from error
    if len(data) > MAX_FILE_BYTES:
        raise DefinitionInvalid([Fault((), f"{path}: larger than {MAX_FILE_BYTES:,} bytes")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DefinitionInvalid([Fault((), f"{path}: not UTF-8 ({error.reason})", line=line)]) from error


def definition_from_text(text: str, *, name: str) -> Definition:
    """The definition in `text`, which is read as JSON where `name` ends in `.json` and as YAML otherwise."""
    source = _read_source(text, name=name)
    try:
        definition = parse_definition(source.raw)
    except DefinitionInvalid as error:
        faults = (*source.faults, *(replace(fault, line=source.line_of(fault.location)) for fault in error.faults))
        raise DefinitionInvalid(sorted(faults, key=lambda fault: fault.line or 0)) from None
    if source.faults:
        raise DefinitionInvalid(source.faults)
    return definition


@dataclass(slots=True)
class _Source:
    """What a file holds, and the line (from 1) of everything in it."""

    raw: object = None
    lines: dict[Location, int] = field(default_factory=dict)
    faults: Sequence[Fault] = ()

    def line_of(self, location: Location) -> int | None:
        """The line of the nearest thing around `location` that the file has."""
        return next(
            (self.lines[place] for end in range(len(location), -1, -1) if (place := location[:end]) in self.lines), None
        )


def _read_source(text: str, *, name: str) -> _Source:
    return _read_json(text) if name.lower().endswith(".json") else _read_yaml(text)


def _read_yaml(text: str) -> _Source:
    with _faults_of_yaml(text):
        return _Reader(text).read()


def _read_json(text: str) -> _Source:
    """Values as JSON has them (YAML 1.1 reads `1e5` as text and splits characters beyond U+FFFF), lines as YAML finds them."""
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise DefinitionInvalid([Fault((), f"not JSON: {error.msg}", line=error.lineno)]) from error
    except (ValueError, RecursionError) as error:  # a number of more than 4,300 digits; ten thousand brackets
        raise DefinitionInvalid([Fault((), f"not JSON: {str(error).partition(':')[0]}")]) from error
    try:
        source = _read_yaml(text.replace("\t", " "))
    except DefinitionInvalid:
        return _Source(raw)
    return replace(source, raw=raw)


@contextmanager
def _faults_of_yaml(text: str) -> Iterator[None]:
    """YAML's errors as ours."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        message = f"not YAML: {problem}"[:MAX_MESSAGE_CHARACTERS]
        raise DefinitionInvalid([Fault((), message, line=mark.line + 1 if mark else None)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DefinitionInvalid([Fault((), "not YAML: a control character", line=line)]) from error


class _Reader(yaml.SafeLoader):
    """Builds values and notes lines in one walk over the composed nodes, which are no deeper than a definition may be."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.composed = 0
        self.lines: dict[Location, int] = {}

    def read(self) -> _Source:
        """The one document of the text; null where there is none."""
        root = self.get_single_node()
        if root is None:
            return _Source()
        self.lines[()] = _line(root)
        faults: list[Fault] = []
        raw = self._value(root, (), faults)
        named = tuple(replace(fault, node_id=node_id_at(fault.location, raw)) for fault in faults)
        return _Source(raw, self.lines, named)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuses what could make a small file big or deep before any of it is built."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases (*) are not supported", mark)
        if event.tag is not None:
            raise yaml.composer.ComposerError(None, None, f"tags ({event.tag:.80}) are not supported", mark)
        if self.depth >= MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", mark)
        if self.composed >= 2 * MAX_VALUES:  # a field is two nodes, its name and its value
            raise yaml.composer.ComposerError(None, None, f"more than {MAX_VALUES:,} values", mark)
        self.depth, self.composed = self.depth + 1, self.composed + 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _value(self, node: yaml.Node, location: Location, faults: list[Fault]) -> object:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location, faults)
        if not isinstance(node, yaml.SequenceNode):
            return self._scalar(node)
        for index, child in enumerate(node.value):
            self.lines[*location, index] = _line(child)
        return [self._value(child, (*location, index), faults) for index, child in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, location: Location, faults: list[Fault]) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, child in node.value:
            key = self._scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else {}
            if not isinstance(key, str):
                message = f"a field's name must be text, not {shown(key)}{quoting_hint(key)}"
                faults.append(Fault(location, message, line=_line(key_node)))
                continue
            place = (*location, key)
            if key in values:
                message = f"{shown(key)} is here twice; it was first on line {self.lines[place]}"
                faults.append(Fault(place, message, line=_line(key_node)))
            self.lines[place] = _line(key_node)
            values[key] = self._value(child, place, faults)
        return values

    def _scalar(self, node: yaml.Node) -> Any:
        """Text, number, boolean, null, date or moment. PyYAML lets 2026-13-45 and numbers of 5,000 digits fail as they like."""
        try:
            if node.tag in _NUMBERS and len(node.value) > MAX_NUMBER_CHARACTERS:
                raise ValueError(f"a number of {len(node.value):,} characters; at most {MAX_NUMBER_CHARACTERS}")
            return self.construct_object(node)
        except (ValueError, ArithmeticError, LookupError) as error:
            reason = str(error).partition(":")[0]
            raise yaml.constructor.ConstructorError(None, None, f"no value: {reason}", node.start_mark) from error


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
