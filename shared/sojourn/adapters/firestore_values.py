"""How the types of the domain are written into Firestore's `Value` and read back, on the bare protobuf messages.

The client library's dictionaries would cost twice the time. `Any` stands for those messages, for which there are no types.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, TypeAlias

Value: TypeAlias = Any
Fields: TypeAlias = MutableMapping[str, Value]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_KIND = "kind"


@dataclass(frozen=True, slots=True)
class Form:
    """How one type is written into an empty `Value`, and read."""

    write: Callable[[Value, Any], None]
    read: Callable[[Value], Any]


@dataclass(frozen=True, slots=True)
class Special:
    """A field that does not hold the attribute of its name. A `derived` one only serves queries and is not read back."""

    form: Form
    get: Callable[[Any], object]
    derived: bool = False


class Shape:
    """A dataclass as named fields; None is no field at all, so that an index holds only documents that have a value.

    An absent field takes the attribute's default; `optional` names those that may be None but have no default.
    """

    def __init__(self, kind: type[Any], layout: Mapping[str, Form | Special], *, optional: Sequence[str] = ()) -> None:
        fields = {name: item if isinstance(item, Special) else Special(item, attrgetter(name)) for name, item in layout.items()}
        self.kind = kind
        self._writers = [(name, item.get, item.form.write) for name, item in fields.items()]
        self._readers = {name: item.form.read for name, item in fields.items() if not item.derived}
        self._optional = dict.fromkeys(optional)

    def write(self, target: Fields, record: object) -> None:
        """Fill the fields, which must be empty."""
        for name, get, write in self._writers:
            item = get(record)
            if item is not None:
                write(target[name], item)

    def read(self, source: Fields, **known: object) -> Any:
        """The dataclass; `known` is what only the document's name says. Raises TypeError where a required field is absent."""
        readers = self._readers
        found = {name: readers[name](value) for name, value in source.items() if name in readers}
        return self.kind(**self._optional | known | found)


def _write_text(target: Value, text: str) -> None:
    """JSON can spell half of a surrogate pair, which no protobuf string takes: such a text is kept as bytes."""
    try:
        target.string_value = text
    except UnicodeEncodeError:
        target.bytes_value = text.encode("utf-8", "surrogatepass")


def _read_text(value: Value) -> str:
    text: str = value.string_value or value.bytes_value.decode("utf-8", "surrogatepass")
    return text


def _write_moment(target: Value, moment: datetime) -> None:
    passed = moment - _EPOCH
    target.timestamp_value.seconds = passed // _SECOND
    target.timestamp_value.nanos = passed.microseconds * 1000


def _read_moment(value: Value) -> datetime:
    timestamp = value.timestamp_value
    return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)


def _write_json(target: Value, value: object) -> None:
    _write_text(target, json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _write_zlib(target: Value, data: bytes) -> None:
    target.bytes_value = zlib.compress(data)


def _scalar(attribute: str, kind: Callable[[Any], object]) -> Form:
    return Form(lambda target, item: setattr(target, attribute, kind(item)), attrgetter(attribute))


TEXT = Form(_write_text, _read_text)
MOMENT = Form(_write_moment, _read_moment)
WHOLE = _scalar("integer_value", int)
REAL = _scalar("double_value", float)
FLAG = _scalar("boolean_value", bool)
JSON = Form(_write_json, lambda value: json.loads(_read_text(value)))
"""JSON text: exact for lists in lists, large integers and odd keys, all of which a Firestore map refuses."""
ZLIB = Form(_write_zlib, lambda value: zlib.decompress(value.bytes_value))


def word(kind: Callable[[str], object]) -> Form:
    """A `StrEnum`."""
    return Form(_write_text, lambda value: kind(value.string_value))


def many(form: Form) -> Form:
    """A tuple."""

    def write(target: Value, items: Sequence[object]) -> None:
        target.array_value.SetInParent()
        for item in items:
            form.write(target.array_value.values.add(), item)

    return Form(write, lambda value: tuple(map(form.read, value.array_value.values)))


def nested(shape: Shape) -> Form:
    """A dataclass as a map."""
    return Form(
        lambda target, item: shape.write(target.map_value.fields, item), lambda value: shape.read(value.map_value.fields)
    )


def one_of(**shapes: Shape) -> Form:
    """One of several dataclasses; a field `kind` says which."""
    names = {shape.kind: name for name, shape in shapes.items()}

    def write(target: Value, item: object) -> None:
        name = names[type(item)]
        target.map_value.fields[_KIND].string_value = name
        shapes[name].write(target.map_value.fields, item)

    def read(value: Value) -> object:
        source = value.map_value.fields
        return shapes[source[_KIND].string_value].read(source)

    return Form(write, read)
