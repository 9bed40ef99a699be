"""Conditions and values that authors write in CEL (https://cel.dev), compiled once, when a definition is loaded.

A field that is missing, a comparison of types that do not compare, a division by zero, more work than an evaluation may be: the
value is None (for a condition, false) and the reason goes into the trail. A journey never stops because a producer left a field
out, or put a million in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from math import isfinite
from typing import Annotated, Final

from pydantic import AfterValidator, JsonValue, ValidationInfo

from sojourn.domain import cel
from sojourn.domain.cost import LARGEST_UNITS, LEAST_UNITS, MAX_STEPS, reach, units
from sojourn.domain.moment import format_duration

MAX_EXPRESSION_CHARACTERS = 2_000
MAX_PLACEHOLDERS = 200
"""In one template."""
MAX_RENDERED_CHARACTERS = 65_536
"""What placeholders may put into one template; the rest stays empty, and the template is too large for an effect."""
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


class Scope:
    """The values of variables, converted for CEL."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.context = cel.Context()
        self._values = values
        self._units: dict[str, int] = {}
        for name, value in values.items():
            with suppress(ValueError):
                self.context.add_variable(name, value)

    def size(self, names: Collection[str]) -> int:
        """The units of the variables of these names, which are measured once."""
        for name in self._values.keys() & names - self._units.keys():
            self._units[name] = units(self._values[name])
        return sum(self._units.get(name, 0) for name in names)


def scope(values: Mapping[str, object], used: Collection[str] = VARIABLES) -> Scope:
    """Convert `values` once for many evaluations, only those that are `used`: converting costs far more than evaluating.

    A value that CEL cannot hold (text with half a surrogate pair) is left out, and whoever names it finds it undefined.
    """
    return Scope({name: value for name, value in values.items() if name in used})


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The value of an expression, or None and why there is none."""

    value: object
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled CEL expression. `reach`: the largest data that it may be evaluated over, in units."""

    source: str
    program: cel.Program
    variables: frozenset[str]
    reach: int

    def evaluate(self, variables: Scope) -> Evaluated:
        """The value over `variables`; None with a reason where it has none."""
        if self.reach < LARGEST_UNITS and (size := variables.size(self.variables)) > self.reach:
            return self._none(f"it might take more than {MAX_STEPS:,} steps over so much data ({size:,} units)")
        try:
            return Evaluated(self.program.execute(variables.context))
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
            result = self._none(f"{as_json(result.value)!r:.40} is not a boolean")
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
    return Expression(source, program, variables, reach(source))


def _first_error(text: str) -> str:
    found = _PARSER_ERROR.search(text)
    return (f"at {found[1]}" if found else text)[:_ERROR_CHARACTERS].strip()


def _refuse(what: str, unknown: set[str] | frozenset[str], known: frozenset[str]) -> None:
    if unknown:
        raise ValueError(f"the expression knows no {what} {sorted(unknown)[0]!r}; there are {', '.join(sorted(known))}")


PUBLISHED: Final = {"published": True}
"""The context in which a definition is read that was checked before it was stored, by rules that may have been others."""


def check_new(expressions: Iterable[Expression], info: ValidationInfo) -> None:
    """Refuse what might take too long over data that is not even large. ValueError says what to do."""
    if info.context is PUBLISHED:
        return
    for expression in expressions:
        if expression.reach < LEAST_UNITS:
            steps = f"{MAX_STEPS:,} steps over data of {LEAST_UNITS} values"
            advice = "give `matches` a pattern in quotes and of few repetitions, and put fewer loops or + into one another"
            raise ValueError(f"the expression {expression.source!r:.80} might take more than {steps}: {advice}")


def _compiles(source: str, info: ValidationInfo) -> str:
    check_new([compile_expression(source)], info)
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
        pieces = _pieces(template)
        for text in pieces[::2]:
            if "{{" in text:
                raise ValueError(f"{text[text.index('{{') :]!r:.80} has no closing }}}}")
        return [compile_expression(source.strip()) for source in pieces[1::2]]
    children = template.values() if isinstance(template, dict) else template if isinstance(template, list) else ()
    return [expression for child in children for expression in placeholders(child)]


def _pieces(template: str) -> list[str]:
    """Text, expression, text, expression, ..., text. Without the cut a thousand `{{` would each look for an end to the end."""
    end = template.rfind("}}") + 2 if "}}" in template else 0
    *pieces, last = _PLACEHOLDER.split(template[:end])
    return [*pieces, last + template[end:]]


def render(template: JsonValue, variables: Scope) -> Rendered:
    """Fill in the placeholders. A string that is one placeholder and nothing else keeps the type of its value.

    Once they have put in more than MAX_RENDERED_CHARACTERS the rest stay empty.
    """
    reasons: list[str] = []
    left = MAX_RENDERED_CHARACTERS

    def value_of(source: str) -> JsonValue:
        nonlocal left
        if left < 0:
            return None
        result = compile_expression(source.strip()).evaluate(variables)
        if result.reason is not None:
            reasons.append(result.reason)
        value = as_json(result.value)
        left -= len(as_text(value))
        return value

    def fill(node: JsonValue) -> JsonValue:
        if isinstance(node, str):
            pieces = _pieces(node)
            if len(pieces) == 3 and not pieces[0] and not pieces[2]:
                return value_of(pieces[1])
            return "".join(as_text(value_of(piece)) if index % 2 else piece for index, piece in enumerate(pieces))
        if isinstance(node, dict):
            return {key: fill(child) for key, child in node.items()}
        return [fill(child) for child in node] if isinstance(node, list) else node

    return Rendered(fill(template), tuple(reasons))


def as_json(value: object) -> JsonValue:
    """What CEL returned as JSON: times and durations become text, NaN and infinity null; mappings have no order: by name."""
    if isinstance(value, float) and not isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Mapping):
        return {str(key): as_json(value[key]) for key in sorted(value, key=lambda key: (str(key), str(type(key))))}
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


def check_template(template: JsonValue, info: ValidationInfo) -> JsonValue:
    """The template, if its placeholders compile and it is fit to be published. ValueError otherwise."""
    expressions = placeholders(template)
    if len(expressions) > MAX_PLACEHOLDERS and info.context is not PUBLISHED:
        raise ValueError(f"the template has {len(expressions):,} placeholders; at most {MAX_PLACEHOLDERS}")
    check_new(expressions, info)
    return template


Template = Annotated[JsonValue, AfterValidator(check_template)]
"""JSON whose strings may hold `{{ CEL }}`."""
