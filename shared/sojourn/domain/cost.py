"""How much work an expression may be, bounded from above by its source alone: the CEL library has no limit of its own.

Sizes are in units: a value is one, and one more for every 64 characters of a text; a list or a mapping has those of what is
in it. A step is what the library does in about 0.1 microseconds: look at a unit, copy one, begin a turn of a loop. `map`
and `filter` copy what they have so far at every turn, and each `.field` copies the value of the field, so that is counted too.

::

    source ──read──▶ Part: sizes of variables ─▶ (size, steps) ──search──▶ the largest data that it may be evaluated over

Patterns of `matches` run in finite automata (Rust's regex), whose time is their states times the text; nothing backtracks.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import NamedTuple, TypeAlias

from sojourn.domain import cel

MAX_STEPS = 5_000_000
"""For one evaluation: about half a second."""
LARGEST_UNITS = 1 << 20
"""More than the variables of a passage can hold: an event, a member's document of 1 MiB, the context."""
LEAST_UNITS = 100
"""What authors may rely on: a new expression must be fit for data of this size."""
MAX_LOOP_DEPTH = 4
MAX_PATTERN_STATES = 10_000
_UNIT_CHARACTERS = 64

_CLASS_STATES = 100
"""Of a class such as `\\w` or `\\p{L}`: they span all of Unicode."""
_STEPS_TO_COMPILE, _STEPS_TO_MATCH = 40, 6
"""For each state of a pattern; the latter for each unit of text."""

_LOOPS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
_COPYING_LOOPS = frozenset({"filter", "map"})
_FREE = ""
"""Stands for every variable that no loop binds."""
_TOKEN = re.compile(
    r"""
    (?P<skip> \s+ | //[^\n]*)
  | (?P<text> [rR][bB]? (?:\"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*')
            | [bB][rR] (?:\"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*')
            | [bB]? (?:\"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3} | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'))
  | (?P<number> \d\w*(?:\.\d+)?(?:[eE][+-]?\d+)?)
  | (?P<name> [A-Za-z_]\w*)
  | (?P<sign> && | \|\| | [!=<>]=? | .)
    """,
    re.VERBOSE | re.DOTALL,
)
_TRUTHS = frozenset({"&&", "||", "==", "!=", "<", "<=", ">", ">=", "!", "in"})
"""Whoever joins values by one of these gets a boolean."""
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_ENDS = frozenset({")", "]", "}", ",", ""})
_ATOM = re.compile(r"\\[pP]\{[^}]*\}|\\.|\[(?:\\.|\[[^\]]*\]|[^\]\\])*\]|\{\d+,?\d*\}|.", re.DOTALL)
_COUNTED = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_CLASS = re.compile(r"\\[wWdDsSpP]|\[:")


class Bound(NamedTuple):
    """No more than this."""

    size: float
    steps: float


Part: TypeAlias = Callable[[Mapping[str, float]], Bound]


def units(value: object) -> int:
    """The size of data. Walks with a list, so that no depth can exhaust the stack."""
    total, pending = 1, [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            total += len(item) + sum(len(key) // _UNIT_CHARACTERS for key in item if isinstance(key, str))
            item = [*item.values()]
        if isinstance(item, list | tuple):
            total += len(item)
            pending += item
        elif isinstance(item, str):
            total += len(item) // _UNIT_CHARACTERS
    return total


def reach(source: str) -> int:
    """The largest data, in units, over which the expression surely takes no more than MAX_STEPS; -1: over none.

    A power of two, or LARGEST_UNITS. `source` compiles.
    """
    part = _Reader(source).sequence()

    def too_long(exponent: int) -> bool:
        bound = part({_FREE: 1 << exponent})
        return bound.size + bound.steps > MAX_STEPS

    most = LARGEST_UNITS.bit_length() - 1
    fitting = most if not too_long(most) else bisect(range(most), False, key=too_long) - 1
    return 1 << fitting if fitting >= 0 else -1


def pattern_states(pattern: str) -> int:
    """About how many states the automaton of a regular expression has; what is repeated is there so many times."""
    sums, last = [0], 0
    for atom in _ATOM.findall(pattern):
        counted = _COUNTED.fullmatch(atom)
        if counted is not None:
            times = max(int(number or 1) for number in counted.groups(""))
            sums[-1] += last * (times - 1)
            last *= times
        elif atom == "(":
            sums.append(0)
        else:
            last = sums.pop() if atom == ")" and len(sums) > 1 else 1 + _CLASS_STATES * len(_CLASS.findall(atom))
            sums[-1] += last
    return sum(sums)


class _Reader:
    """Reads what compiles into parts. Precedence does not matter to a bound: what stands between two brackets is one part."""

    def __init__(self, source: str) -> None:
        found = ((match.lastgroup or "", match[0]) for match in _TOKEN.finditer(source))
        self._tokens = [token for token in found if token[0] != "skip"]
        self._next = 0
        self._loops = 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("end", "")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._next += 1
        return token

    def sequence(self) -> Part:
        """Operands and the signs between them."""
        parts: list[Part] = []
        signs: list[str] = []
        while self._peek()[1] not in _ENDS:
            kind, text = self._peek()
            if (kind == "sign" and text not in _CLOSING) or text == "in":
                signs.append(self._take()[1])
            else:
                parts.append(self._operand())
        if len(parts) == 1 and not signs:
            return parts[0]
        truth = "?" not in signs and not _TRUTHS.isdisjoint(signs)
        return _joined(parts, copies=1 + signs.count("+"), truth=truth)

    def _operand(self) -> Part:
        kind, text = self._take()
        if text in _CLOSING:
            part = _joined(self._arguments(_CLOSING[text]))
        elif kind == "name" and self._peek()[1] == "(":
            part = self._call(text, ())
        else:
            part = _variable(text) if kind == "name" else _constant(text)
        while self._peek()[1] in (".", "[", "{"):
            part = self._suffix(part)
        return part

    def _suffix(self, part: Part) -> Part:
        if self._take()[1] != ".":
            return _joined([part, *self._arguments("]" if self._tokens[self._next - 1][1] == "[" else "}")])
        name = self._take()[1]
        return self._call(name, (part,)) if self._peek()[1] == "(" else _joined([part])

    def _call(self, name: str, receiver: tuple[Part, ...]) -> Part:
        self._take()
        begun = self._next
        self._loops += bool(receiver) and name in _LOOPS
        arguments = self._arguments(")")
        given = self._tokens[begun : self._next - 1]
        if name == "matches" and given:
            return _matching((*receiver, *arguments)[0], given[-1] if given[-2:-1] in ([], [("sign", ",")]) else None)
        if receiver and name in _LOOPS:
            deep, self._loops = self._loops > MAX_LOOP_DEPTH, self._loops - 1
            return _endless if deep else _loop(name, receiver[0], given[0][1] if given else "", arguments[1:])
        return _joined([*receiver, *arguments])

    def _arguments(self, closing: str) -> list[Part]:
        parts: list[Part] = []
        while self._peek()[1] not in (closing, ""):
            before = self._next
            parts.append(self.sequence())
            if self._peek()[1] == "," or self._next == before:
                self._take()
        self._take()
        return parts


def _endless(_: Mapping[str, float]) -> Bound:
    return Bound(inf, inf)


def _constant(text: str) -> Part:
    bound = Bound(1 + len(text) // _UNIT_CHARACTERS, 1)
    return lambda _: bound


def _variable(name: str) -> Part:
    return lambda sizes: Bound(sizes.get(name, sizes[_FREE]), 1)


def _joined(parts: Sequence[Part], *, copies: int = 1, truth: bool = False) -> Part:
    def bound(sizes: Mapping[str, float]) -> Bound:
        found = [part(sizes) for part in parts]
        size = 1 + sum(one.size for one in found)
        return Bound(1 if truth else size, sum(one.steps for one in found) + copies * size)

    return bound


def _matching(text: Part, pattern: tuple[str, str] | None) -> Part:
    """A pattern that is no constant may be anything: no bound holds."""
    if pattern is None or pattern[0] != "text":
        return _endless
    states = pattern_states(str(cel.evaluate(pattern[1])))
    if states > MAX_PATTERN_STATES:
        return _endless

    def bound(sizes: Mapping[str, float]) -> Bound:
        size, steps = text(sizes)
        return Bound(1, steps + states * (_STEPS_TO_COMPILE + _STEPS_TO_MATCH * size))

    return bound


def _loop(kind: str, over: Part, variable: str, bodies: Sequence[Part]) -> Part:
    """The items of a list are together no larger than the list, and no more of them than it has units.

    The bound of a body grows faster than its item's size, if not as fast. So all turns together are at most as much as one over
    everything and the rest over nothing.
    """

    def turn(sizes: Mapping[str, float], item: float) -> Bound:
        found = [body({**sizes, variable: item}) for body in bodies]
        return Bound(sum(one.size for one in found), 1 + sum(one.size + one.steps for one in found))

    def bound(sizes: Mapping[str, float]) -> Bound:
        size, steps = over(sizes)
        least, most = turn(sizes, 0), turn(sizes, size)
        result = size if kind == "filter" else size * least.size + most.size if kind == "map" else 0
        copied = size * result if kind in _COPYING_LOOPS else 0
        return Bound(1 + result, steps + size * least.steps + most.steps + copied)

    return bound
