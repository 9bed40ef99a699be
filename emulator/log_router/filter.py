"""Compile a filter of the Logging query language to a test of one LogEntry, so a laptop routes as the sink does.

Supported: every comparison, boolean operator, value group, presence test and global search, and log_id().
Not supported, and refused by name: the other functions (cast, sample, source, ip_in_net, SEARCH, regexp_extract).
https://cloud.google.com/logging/docs/view/logging-query-language
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Never
from urllib.parse import quote

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedToken

from emulator.log_router.fields import STRING, Comparable, Kind, declared_kind, json_kind, leaves, reach
from sojourn.domain import cel
from sojourn.domain.cost import MAX_PATTERN_STATES, pattern_states

FILTER_MAX_CHARACTERS = 20_000

Predicate = Callable[[Mapping[str, object]], bool]
Branch = Tree[Token]

_OPERATORS: Mapping[str, Callable[[Comparable, Comparable], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    ":": lambda field, value: value in field if isinstance(field, str) and isinstance(value, str) else field == value,
}
_COMBINATIONS: Mapping[str, Callable[[Iterable[bool]], bool]] = {
    "start": all,
    "all": all,
    "any": any,
    "negation": lambda parts: not any(parts),
}
_ESCAPE = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|U(00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|([abfnrtv\"\\]))"
)
_SIMPLE_ESCAPES = dict(zip('abfnrtv"\\', '\a\b\f\n\r\t\v"\\', strict=True))
_MATCHES = cel.compile("text.matches(pattern)")
# Lookaround and back-references are unknown to RE2: a name for what is wrong says more than the error would.
_NOT_PORTABLE = re.compile(r"(?<!\\)(?:\\\\)*(\(\?(?:[=!>(]|<[=!])|\\[1-9])")
_EXPECTED = {
    "TEXT": "a word",
    "STRING": "a quoted string",
    "NUMBER": "a number",
    "COMPARATOR": "a comparison",
    "PRESENT": "':*'",
    "LPAR": "'('",
    "RPAR": "')'",
    "DOT": "'.'",
    "MINUS": "'-'",
    "LOG_ID": "log_id()",
    "$END": "the end",
}


class FilterError(ValueError):
    """A filter Cloud Logging would refuse, or one that is unsupported here; line and column count from 1."""

    def __init__(self, message: str, *, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter; the text stays for messages."""

    text: str
    _predicate: Predicate

    def matches(self, entry: Mapping[str, object]) -> bool:
        """Whether the sink would pass this LogEntry (its JSON form) on."""
        return self._predicate(entry)


def compile_filter(text: str) -> Filter:
    """The filter of a sink, comments and all; empty text lets everything pass. Raises FilterError."""
    if len(text) > FILTER_MAX_CHARACTERS:
        raise FilterError(f"longer than {FILTER_MAX_CHARACTERS} characters", line=1, column=1)
    try:
        tree = _parser().parse(text)
    except UnexpectedToken as error:
        raise _unexpected(error, text) from error
    except UnexpectedCharacters as error:
        message = "a closing quote is missing" if error.char == '"' else f"{error.char!r} has to be quoted"
        raise FilterError(message, line=error.line, column=error.column) from error
    try:
        return Filter(text, _build(tree, _restriction))
    except RecursionError as error:
        raise FilterError("parentheses or negations are nested too deeply", line=1, column=1) from error


@cache
def _parser() -> Lark:
    callbacks = {"FUNCTION": _refuse_function}
    return Lark.open("filter.lark", rel_to=__file__, parser="lalr", lexer_callbacks=callbacks)


def _refuse_function(token: Token) -> Never:
    raise _error(f"the function {token}) is unsupported", token)


def _error(message: str, token: Token) -> FilterError:
    return FilterError(message, line=token.line or 1, column=token.column or 1)


def _unexpected(error: UnexpectedToken, text: str) -> FilterError:
    """Say what may stand here; at the end of the filter the parser knows no position, so it is computed."""
    expected = " or ".join(sorted({_EXPECTED.get(name, name) for name in error.accepts - {"FUNCTION"}}))
    if error.token.type == "$END":
        lines = text.split("\n")
        return FilterError(f"ends early, expected {expected}", line=len(lines), column=len(lines[-1]) + 1)
    return _error(f"unexpected {str(error.token)!r}, expected {expected}", error.token)


def _branches(tree: Branch) -> list[Branch]:
    return [child for child in tree.children if isinstance(child, Tree)]


def _tokens(tree: Branch) -> list[Token]:
    return [child for child in tree.children if isinstance(child, Token)]


def _build(tree: Branch, leaf: Callable[[Branch], Predicate]) -> Predicate:
    """The boolean skeleton, alike for restrictions and for the values of `field = (a OR b)`; `leaf` makes the rest."""
    combine = _COMBINATIONS.get(str(tree.data))
    if combine is None:
        return leaf(tree)
    parts = [_build(child, leaf) for child in _branches(tree)]
    return lambda entry: combine(part(entry) for part in parts)


def _restriction(tree: Branch) -> Predicate:
    match tree.data:
        case "comparison":
            return _comparison(tree)
        case "presence":
            path, _ = _path(_branches(tree)[0])
            return lambda entry: any(True for _ in reach(entry, path))
        case "log_id":
            ending = "/logs/" + quote(_text(_tokens(tree)[1]), safe="")
            return lambda entry: str(entry.get("logName", "")).endswith(ending)
        case _:
            contains = _scalar_test(":", _text(_tokens(tree)[0]), None)
            return lambda entry: any(map(contains, leaves(entry)))


def _path(tree: Branch) -> tuple[list[str], Kind | None]:
    names = [_text(token) for token in _tokens(tree)]
    try:
        return names, declared_kind(names)
    except KeyError as error:
        raise _error(f"a LogEntry has no field {'.'.join(names)}", _tokens(tree)[0]) from error


def _comparison(tree: Branch) -> Predicate:
    """Compare one field with a value, or with each value of a group; an array passes if one element does."""
    target, argument = _branches(tree)
    comparator = str(_tokens(tree)[0])
    path, kind = _path(target)
    scope = leaves if comparator == ":" else iter

    def compare(value: Branch) -> Predicate:
        test = _test(comparator, _tokens(value)[0], kind)
        return lambda entry: any(map(test, scope(_values(entry, path, kind))))

    return _build(argument, compare)


def _values(entry: Mapping[str, object], path: list[str], kind: Kind | None) -> Iterable[object]:
    """The field's values; a declared field that is absent counts as its default, any other as missing."""
    found = list(reach(entry, path))
    return found or ([kind.default] if kind else [])


def _test(comparator: str, token: Token, kind: Kind | None) -> Callable[[object], bool]:
    if comparator in ("=~", "!~"):
        return _regex_test(token, wanted=comparator == "=~", kind=kind)
    if token == "NULL_VALUE":
        return lambda field: (field is None) == (comparator != "!=")
    try:
        return _scalar_test(comparator, _text(token), kind)
    except ValueError as error:
        raise _error(f"{token} does not fit the field: {error}", token) from error


def _scalar_test(comparator: str, text: str, kind: Kind | None) -> Callable[[object], bool]:
    """The value becomes what the field is; if that fails the comparison fails, or raises now where the type is known."""
    holds = _OPERATORS[comparator]
    if kind:
        kind.convert(text)

    def test(field: object) -> bool:
        actual = kind or json_kind(field)
        try:
            return actual is not None and holds(actual.convert(field), actual.convert(text))
        except ValueError:
            return False

    return test


def _regex_test(token: Token, *, wanted: bool, kind: Kind | None) -> Callable[[object], bool]:
    """Only strings match, whichever way the comparison is meant; case counts and nothing is anchored."""
    if kind and kind is not STRING:
        raise _error(f"a {kind.name} cannot match a regular expression", token)
    source = _text(token)
    if found := _NOT_PORTABLE.search(source):
        raise _error(f"{found[1]} does not mean the same to RE2 and here", token)
    if pattern_states(source) > MAX_PATTERN_STATES:
        raise _error("a regular expression that repeats too much", token)
    try:
        _matches("", source)
    except (RuntimeError, ValueError) as error:
        raise _error(f"not a regular expression: {error}", token) from error

    def test(field: object) -> bool:
        try:
            return isinstance(field, str) and _matches(field, source) == wanted
        except ValueError:  # half of a surrogate pair
            return False

    return test


def _matches(text: str, pattern: str) -> bool:
    """By finite automata, like RE2: Python's own expressions would backtrack for ever on `(a|a)*b`."""
    return _MATCHES.execute({"text": text, "pattern": pattern}) is True


def _text(token: Token) -> str:
    """The text a token stands for; an escape nobody knows, such as \\d of a regular expression, stays as written."""
    return _ESCAPE.sub(_unescape, token[1:-1]) if token.type == "STRING" else str(token)


def _unescape(found: re.Match[str]) -> str:
    *codes, octal, simple = found.groups()
    if simple:
        return _SIMPLE_ESCAPES[simple]
    return chr(int(octal, 8) if octal else int(next(filter(None, codes)), 16))
