"""What validation found, in the words of somebody who writes a journey: the field, what it holds, what would be right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, TypeGuard, get_args

from pydantic import BaseModel, StringConstraints
from pydantic_core import ErrorDetails

from sojourn.domain.definition import Definition
from sojourn.domain.event import EventName
from sojourn.domain.fields import NodeId, Url
from sojourn.domain.node import NodeFields
from sojourn.domain.outline import KINDS, closest
from sojourn.domain.sugar import Expanded, Location, sugar_fields

MAX_VALUE_CHARACTERS = 80
MAX_MESSAGE_CHARACTERS = 500
_TELLING_CHARACTERS = 30

_EXPECTED = {
    "string_type": "must be text",
    "string_unicode": "must be text in Unicode",
    "int_": "must be a whole number",
    "bool_": "must be true or false",
    "float_": "must be a number",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_": "must be a mapping",
    "time_": "must be a time of day, such as 22:00",
    "datetime_": "must be a moment with its time zone, such as 2026-03-01T09:00:00+08:00",
    "timezone_aware": "must be a moment with its time zone, such as 2026-03-01T09:00:00+08:00",
    "invalid-json-value": "must be text, a number, true, false, null, a list or a mapping",
    "invalid_key": "every field's name must be text",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have {max_length} characters or fewer",
    "too_short": "needs {min_length} or more entries",
    "too_long": "may have {max_length} entries or fewer",
}
"""By the beginning of the error's type; braces take from its context."""
_TEXT_WANTED = ("string_", "invalid")
"""Beginnings of the types of error where quotes would have helped."""


def _pattern(annotated: object) -> str | None:
    """The regular expression of an annotated string, which is all that an error tells of it."""
    constraints = (part for part in get_args(annotated) if isinstance(part, StringConstraints))
    return next((str(part.pattern) for part in constraints), None)


_PATTERNS = {
    _pattern(NodeId): "must be 1 to 64 letters, digits, - or _",
    _pattern(EventName): "must be letters, digits, _ . : or -, and begin with a letter, a digit or _",
    _pattern(Url): "must be a URL that begins with http:// or https://",
}


def place_of(error: ErrorDetails, raw: object) -> Location:
    """The error's location without the tags of unions, which no author wrote."""
    loc, current = error["loc"], raw
    place: list[str | int] = []
    parts = (*loc[:2], *loc[3:]) if loc[:1] == ("nodes",) else loc
    for part in parts:
        if _has(current, part):
            current = current[part]
        elif error["type"] != "missing" or part is not parts[-1]:
            continue
        place.append(part)
    if error["type"] == "invalid_key":
        return tuple(place[: len(parts) - 1])
    return (*place, "key") if error["type"] == "union_tag_invalid" else tuple(place)


def _has(value: object, part: str | int) -> TypeGuard[Any]:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)


def is_consequence(error: ErrorDetails) -> bool:
    """Whether another error says it better: validation counts only entries that are right, and tries each type of a union."""
    given, context = error["input"], error.get("ctx", {})
    if error["type"] == "too_short" and isinstance(given, list | tuple | dict):
        return len(given) >= int(context["min_length"])
    if str(error["loc"][-1:]).startswith("('dict["):
        return error["type"] == "dict_type"
    return "constrained-str" in error["loc"] and error["type"] == "string_type" and isinstance(given, dict)


def message_of(error: ErrorDetails, expanded: Expanded) -> str:
    """One line, no longer than MAX_MESSAGE_CHARACTERS."""
    message = _message(error, expanded).replace("\n", " ")
    return message if len(message) <= MAX_MESSAGE_CHARACTERS else message[: MAX_MESSAGE_CHARACTERS - 1] + "…"


def _message(error: ErrorDetails, expanded: Expanded) -> str:
    loc, given, context = error["loc"], error["input"], error.get("ctx", {})
    match error["type"]:
        case "missing":
            return f"{loc[-1]} is missing"
        case "extra_forbidden":
            return unknown("field", loc[-1], list(_known_fields(loc, expanded)))
        case "union_tag_not_found":
            return f"key is missing; it is one of {', '.join(KINDS)}"
        case "union_tag_invalid":
            return unknown("kind of node", given.get("key"), list(KINDS))
        case "value_error":
            return _with_value(str(context["error"]), given)
        case "string_pattern_mismatch":
            return f"{_PATTERNS.get(context['pattern'], 'must match ' + context['pattern'])}, not {shown(given)}"
    if "constrained-str" in loc and error["type"] == "string_type":
        return f"must be text or a mapping, not {shown(given)}"
    expected = next((text for start, text in _EXPECTED.items() if error["type"].startswith(start)), error["msg"])
    hint = quoting_hint(given) if error["type"].startswith(_TEXT_WANTED) else ""
    return f"{expected.format_map(context)}, not {shown(given)}{hint}"


def unknown(what: str, name: object, known: list[str]) -> str:
    """`name` is none of `known`: which one may have been meant, and which there are."""
    if not isinstance(name, str):
        return f"must be one of {', '.join(known)}, not {shown(name)}"
    meant = closest(name, known)
    hint = f"; did you mean {meant!r}?" if meant is not None else "."
    return f"there is no {what} {shown(name)}{hint} There are {', '.join(known)}"


def shown(value: object) -> str:
    """The value as its author may have written it, in MAX_VALUE_CHARACTERS at most."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case str() if len(value) > MAX_VALUE_CHARACTERS:
            return repr(value[: MAX_VALUE_CHARACTERS - 1] + "…")
        case str():
            return repr(value)
    return str(value)[:MAX_VALUE_CHARACTERS]


def _with_value(message: str, given: object) -> str:
    """The value too, where it is short enough to be one and the message does not have it."""
    if not isinstance(given, str | int | float) or shown(given)[1:_TELLING_CHARACTERS] in message:
        return message
    return f"{message}, in {shown(given)}"


def quoting_hint(value: object) -> str:
    """What YAML made of a word or a date that was not in quotes."""
    if isinstance(value, bool):
        return "; unquoted, YAML reads yes, no, on and off as true and false: put the word in quotes"
    return "; unquoted, YAML reads it as a date: put it in quotes" if isinstance(value, date) else ""


def _known_fields(loc: Location, expanded: Expanded) -> Iterator[str]:
    """The fields that there are where the last part of `loc` is none: the model's, and what is sugar there."""
    model: type[BaseModel] = Definition
    parts = loc[:-1]
    if len(loc) > 3 and loc[0] == "nodes":
        model, parts = KINDS[str(loc[2])], loc[3:-1]
    for part in parts:
        if isinstance(part, str):
            model = next(_models(model.model_fields[part].annotation))
    yield from model.model_fields
    if issubclass(model, NodeFields):
        yield from sugar_fields(loc[2])
    place = (*loc[:2], *loc[3:])
    if place[2:4] == ("settings", "branches") and expanded.origin(place) != place:
        yield "next"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def node_id_at(location: Location, raw: object) -> str | None:
    """The id of the node in which `location` lies; for a path, of its source."""
    match location:
        case ("nodes" | "node_paths" as field, int(index), *_) if isinstance(raw, Mapping):
            entries = raw.get(field)
            entry = entries[index] if isinstance(entries, list | tuple) and index < len(entries) else None
            found = entry.get("id" if field == "nodes" else "source") if isinstance(entry, Mapping) else None
            return found[:MAX_VALUE_CHARACTERS] if isinstance(found, str) else None
    return None
