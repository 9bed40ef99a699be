"""Conditions and values that authors write in CEL (https://cel.dev), compiled once, when a definition is loaded.

A field that is missing, a comparison of types that do not compare, a division by zero: the value is None (for a condition,
false) and the reason goes into the trail. A journey never stops because a producer left a field out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from math import isfinite
from typing import Annotated, TypeAlias

import cel
from pydantic import AfterValidator, JsonValue

from sojourn.domain.moment import format_duration

MAX_EXPRESSION_CHARACTERS = 2_000
VARIABLES = frozenset({"event", "trigger", "member", "journey", "context", "now"})

# fmt: off
_FUNCTIONS = frozenset({
    "contains", "endsWith", "startsWith", "matches", "size", "string", "int", "double", "uint", "bytes", "type", "dyn", "min",
    "max", "duration", "timestamp", "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
    "getHours", "getMinutes", "getSeconds", "getMilliseconds",
})
# fmt: on
_OPERATOR = re.compile(r"[^A-Za-z]|.*[_@!]")
_COMPREHENSION = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
# A name that a parenthesis follows is a function.
_REFERENCE = re.compile(r"\b(?:event|trigger|member|journey|context)(?:\.[A-Za-z_]\w*\b(?!\s*\())+")
_MAX_VALUES = 5
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PARSER_ERROR = re.compile(r"ERROR: <input>:(.*)")
_QUOTES = "'\""
_ERROR_CHARACTERS = 300
_SOURCE_CHARACTERS = 200
_WHOLE_BELOW = 1e21
"""Whole numbers that text shows with all their digits, as JavaScript and Google's JSON do."""


Scope: TypeAlias = cel.Context
"""The values of variables, converted for CEL."""


def scope(values: Mapping[str, object], used: Collection[str] = VARIABLES) -> Scope:
    """Convert `values` once for many evaluations, only those that are `used`: converting costs far more than evaluating.

    A value that CEL cannot hold (text with half a surrogate pair) is left out, and whoever names it finds it undefined.
    """
    context = cel.Context()
    for name in values.keys() & used:
        with suppress(ValueError):
            context.add_variable(name, values[name])
    return context


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The value of an expression, or None and why there is none."""

    value: object
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled CEL expression."""

    source: str
    program: cel.Program
    variables: frozenset[str]

    def evaluate(self, variables: Scope) -> Evaluated:
        """The value over `variables`; None with a reason where it has none."""
        try:
            return Evaluated(self.program.execute(variables))
        except KeyError as error:
            return self._none(f"no {str(error).strip(_QUOTES)}")
        except (RuntimeError, TypeError, ValueError, ArithmeticError, IndexError) as error:
            return self._none(str(error).partition(". ")[0])  # the rest is advice to programmers

    def _none(self, reason: str) -> Evaluated:
        return Evaluated(None, f"{self.source[:_SOURCE_CHARACTERS]}: {reason[:_ERROR_CHARACTERS]}")

    def holds(self, variables: Scope) -> Evaluated:
        """Whether the condition is true; anything that is not the boolean `true` is false."""
        result = self.evaluate(variables)
        if result.reason is None and not isinstance(result.value, bool):
            result = self._none(f"{result.value!r:.40} is not a boolean")
        return Evaluated(result.value is True, result.reason)


@lru_cache(maxsize=4_096)
def references(source: str) -> tuple[str, ...]:
    """What an expression looks up, such as `event.data.total`, in its order."""
    return tuple(dict.fromkeys(_REFERENCE.findall(source)))


def decided_by(sources: Collection[str], variables: Scope) -> str:
    """The values that conditions were decided by, `event.data.total = 120`, for a trail; what is missing is left out."""
    found = [(one.source, one.evaluate(variables)) for one in _deciding(tuple(sources))]
    return ", ".join(f"{name} = {_brief(value.value)}" for name, value in found if value.reason is None)


@lru_cache(maxsize=4_096)
def _deciding(sources: tuple[str, ...]) -> tuple[Expression, ...]:
    """What the conditions look up, each once, compiled; the first few."""
    names = dict.fromkeys(name for source in sources for name in references(source))
    return tuple(compile_expression(name) for name in list(names)[:_MAX_VALUES])


def _brief(value: object) -> str:
    if isinstance(value, bool | int):
        return str(value).lower()
    return f"{json.dumps(as_json(value), ensure_ascii=False):.60}"


@lru_cache(maxsize=4_096)
def compile_expression(source: str) -> Expression:
    """Compile, and refuse names that no evaluation will ever know. ValueError says where."""
    if not source.strip():
        raise ValueError("the expression is empty")
    if len(source) > MAX_EXPRESSION_CHARACTERS:
        raise ValueError(f"the expression has {len(source):,} characters; at most {MAX_EXPRESSION_CHARACTERS:,}")
    try:
        program = cel.compile(source)
    except (ValueError, RuntimeError) as error:  # the parser's text repeats a deeply nested source many times
        raise ValueError(f"the expression does not compile: {_first_error(str(error))}") from None
    bound = set(_COMPREHENSION.findall(source)) - VARIABLES
    variables = frozenset(program.variables()) - bound
    _refuse("variable", variables - VARIABLES, VARIABLES)
    _refuse("function", {name for name in program.functions() if not _OPERATOR.match(name)} - _FUNCTIONS, _FUNCTIONS)
    return Expression(source, program, variables)


def _first_error(text: str) -> str:
    found = _PARSER_ERROR.search(text)
    return (f"at {found[1]}" if found else text)[:_ERROR_CHARACTERS].strip()


def _refuse(what: str, unknown: set[str] | frozenset[str], known: frozenset[str]) -> None:
    if unknown:
        raise ValueError(f"the expression knows no {what} {sorted(unknown)[0]!r}; there are {', '.join(sorted(known))}")


def _compiles(source: str) -> str:
    compile_expression(source)
    return source


Condition = Annotated[str, AfterValidator(_compiles)]
"""CEL source in a definition; `compile_expression` of it is cached."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """JSON with its placeholders filled in, and the reasons for those that stayed empty."""

    value: JsonValue
    reasons: tuple[str, ...]


def placeholders(template: JsonValue) -> list[Expression]:
    """Every `{{ expression }}` in the strings of `template`, compiled. ValueError where one does not compile or never ends."""
    if isinstance(template, str):
        if "{{" in (rest := _PLACEHOLDER.sub("", template)):
            raise ValueError(f"{rest[rest.index('{{') :]!r:.80} has no closing }}}}")
        return [compile_expression(source.strip()) for source in _PLACEHOLDER.findall(template)]
    children = template.values() if isinstance(template, dict) else template if isinstance(template, list) else ()
    return [expression for child in children for expression in placeholders(child)]


def render(template: JsonValue, variables: Scope) -> Rendered:
    """Fill in the placeholders. A string that is one placeholder and nothing else keeps the type of its value."""
    reasons: list[str] = []

    def value_of(source: str) -> JsonValue:
        result = compile_expression(source.strip()).evaluate(variables)
        if result.reason is not None:
            reasons.append(result.reason)
        return as_json(result.value)

    def fill(node: JsonValue) -> JsonValue:
        if isinstance(node, str):
            whole = _PLACEHOLDER.fullmatch(node)
            if whole is not None and "{{" not in whole[1]:
                return value_of(whole[1])
            return _PLACEHOLDER.sub(lambda match: as_text(value_of(match[1])), node)
        if isinstance(node, dict):
            return {key: fill(child) for key, child in node.items()}
        return [fill(child) for child in node] if isinstance(node, list) else node

    return Rendered(fill(template), tuple(reasons))


def as_json(value: object) -> JsonValue:
    """What CEL returned as JSON: times and durations become text, NaN and infinity null."""
    if isinstance(value, float) and not isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Mapping):
        return {str(key): as_json(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(child) for child in value]
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat else str(value)


def as_text(value: JsonValue) -> str:
    """A value inside a sentence: nothing for None, whole numbers without a fraction, lists and objects as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_BELOW:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def _renders(template: JsonValue) -> JsonValue:
    placeholders(template)
    return template


Template = Annotated[JsonValue, AfterValidator(_renders)]
"""JSON whose strings may hold `{{ CEL }}`."""
