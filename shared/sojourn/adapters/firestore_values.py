"""How the types of the domain are written into Firestore's `Value` and read back, on the bare protobuf messages.

The client library's dictionaries would cost twice the time. `Any` stands for those messages, for which there are no types.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from types import NoneType
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from pydantic import JsonValue

Value: TypeAlias = Any
Fields: TypeAlias = MutableMapping[str, Value]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_KIND = "kind"


BROKEN = (TypeError, ValueError, LookupError, zlib.error)
"""What reading raises where a value is none of its type."""


@dataclass(frozen=True, slots=True)
class Form:
    """How one type is written into an empty `Value`, and read."""

    write: Callable[[Value, Any], None]
    read: Callable[[Value], Any]


@dataclass(frozen=True, slots=True)
class Special:
    """A field that does not simply hold the attribute of its name. A `derived` one only serves queries: it is not read."""

    form: Form
    get: Callable[[Any], object]
    derived: bool = False


class Shape:
    """A dataclass as fields of the same names; None is no field at all, so that an index holds only documents with a value.

    The annotations say how an attribute is written, unless `special` does. An absent field takes the attribute's default; one
    that may be None and has no default is None. `known` are attributes that are not fields: the document's name says them.
    """

    def __init__(self, kind: type[Any], *, known: Sequence[str] = (), **special: Form | Special) -> None:
        hints = get_type_hints(kind)
        plain = [f.name for f in fields(kind) if f.name not in {*known, *special}]
        layout = {name: Special(form_of(hints[name]), attrgetter(name)) for name in plain}
        layout |= {name: _as_special(name, form) for name, form in special.items()}
        self.kind = kind
        self._writers = [(name, item.get, item.form.write) for name, item in layout.items()]
        self._readers = {name: item.form.read for name, item in layout.items() if not item.derived}
        self._absent = {f.name: None for f in fields(kind) if _may_be_none(hints[f.name]) and f.default is MISSING}

    def write(self, target: Fields, record: object) -> None:
        """Fill the fields, which must be empty."""
        for name, get, write in self._writers:
            item = get(record)
            if item is not None:
                write(target[name], item)

    def write_changes(self, target: Fields, record: object, before: object) -> list[str]:
        """Fill the fields that are not the very same object in `before`; the names of these, those that are gone among them."""
        changed = []
        for name, get, write in self._writers:
            item = get(record)
            if item is not get(before):
                changed.append(name)
                if item is not None:
                    write(target[name], item)
        return changed

    def read(self, source: Fields, **known: object) -> Any:
        """The dataclass. Raises TypeError where a required field is absent."""
        readers = self._readers
        found = {name: readers[name](value) for name, value in source.items() if name in readers}
        return self.kind(**self._absent | known | found)

    def broken(self, source: Fields) -> list[str]:
        """The fields that keep `read` from it, each with what is wrong."""
        required = {f.name for f in fields(self.kind) if f.default is MISSING and f.default_factory is MISSING}
        missing = (required & self._readers.keys()) - self._absent.keys() - source.keys()
        absent = [f"{name} is absent" for name in sorted(missing)]
        return absent + [f"{name} cannot be read" for name in source if name in self._readers and not self._reads(name, source)]

    def _reads(self, name: str, source: Fields) -> bool:
        try:
            self._readers[name](source[name])
        except BROKEN:
            return False
        return True


def _as_special(name: str, form: Form | Special) -> Special:
    return form if isinstance(form, Special) else Special(form, attrgetter(name))


def _may_be_none(hint: Any) -> bool:
    return hint is JsonValue or NoneType in get_args(hint)


def form_of(hint: Any) -> Form:
    """How values of an annotated type are written. Raises TypeError for a type that nobody thought of."""
    match get_args(hint):
        case _ if hint in _SCALARS:
            return _SCALARS[hint]
        case (plain, other) if other is NoneType:
            return form_of(plain)
        case (item, other) if other is Ellipsis:
            return _many(form_of(item))
        case _ if get_origin(hint) is Literal:
            return _SCALARS[str]
        case _ if hint is JsonValue or get_origin(hint) is Mapping:
            return JSON
        case _ if is_dataclass(hint):
            return _nested(Shape(hint))  # type: ignore[arg-type]  # a class, not an instance
        case _ if isinstance(hint, type) and issubclass(hint, StrEnum):
            return Form(_write_text, lambda value: hint(value.string_value))
    raise TypeError(f"no form for {hint}")


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
    return _EPOCH + timedelta(0, timestamp.seconds, timestamp.nanos // 1000)


def _write_json(target: Value, value: object) -> None:
    _write_text(target, json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _write_zlib(target: Value, data: bytes) -> None:
    target.bytes_value = zlib.compress(data)


def _scalar(attribute: str, kind: Callable[[Any], object]) -> Form:
    return Form(lambda target, item: setattr(target, attribute, kind(item)), attrgetter(attribute))


_SCALARS: dict[object, Form] = {
    str: Form(_write_text, _read_text),
    datetime: Form(_write_moment, _read_moment),
    int: _scalar("integer_value", int),
    float: _scalar("double_value", float),
    bool: _scalar("boolean_value", bool),
    bytes: Form(_write_zlib, lambda value: zlib.decompress(value.bytes_value)),
}
JSON = Form(_write_json, lambda value: json.loads(_read_text(value)))
"""JSON text: exact for lists in lists, large integers and odd keys, all of which a Firestore map refuses."""


def _many(form: Form) -> Form:
    def write(target: Value, items: Sequence[object]) -> None:
        target.array_value.SetInParent()
        for item in items:
            form.write(target.array_value.values.add(), item)

    return Form(write, lambda value: tuple(map(form.read, value.array_value.values)))


def _nested(shape: Shape) -> Form:
    return Form(
        lambda target, item: shape.write(target.map_value.fields, item), lambda value: shape.read(value.map_value.fields)
    )


def one_of(**shapes: Shape) -> Form:
    """One of several dataclasses as a map; its field `kind` says which."""
    names = {shape.kind: name for name, shape in shapes.items()}

    def write(target: Value, item: object) -> None:
        name = names[type(item)]
        target.map_value.fields[_KIND].string_value = name
        shapes[name].write(target.map_value.fields, item)

    def read(value: Value) -> object:
        source = value.map_value.fields
        return shapes[source[_KIND].string_value].read(source)

    return Form(write, read)
