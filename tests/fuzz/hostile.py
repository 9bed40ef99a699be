"""Inputs that were made to hang a reader or to fill its memory, and a process of little memory and time that reads them all.

Run as `python -m tests.fuzz.hostile` by `test_hostile.py`: what is wrong shows as a process that was killed, and on which one.
"""

from __future__ import annotations

import io
import json
import re
import resource
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from emulator.log_router.filter import FilterError, compile_filter
from sojourn.application.messages import SweepMessage, read_message
from sojourn.domain.cost import units
from sojourn.domain.errors import InputError
from sojourn.domain.event import read_log_entry
from sojourn.domain.expression import compile_expression, placeholders, render, scope
from sojourn.domain.loading import parse_definition
from sojourn.runtime.definition_file import definition_from_text
from sojourn.runtime.envelope import open_envelope
from sojourn.runtime.member_file import read_members

MAX_MEMORY_BYTES = 2 << 30
"""Of addresses, which a process with these imports has a good part of; what it really takes is measured."""
MAX_CPU_SECONDS = 120
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HEAD = {"id": "j", "bot_id": "b", "name": "n"}
ITEMS = "event.data.items"

EXPRESSIONS: dict[str, str] = {
    "a list of lists of lists": f"{ITEMS}.map(x, {ITEMS}.map(y, {ITEMS}))",
    "loops in loops": f"{ITEMS}.all(x, {ITEMS}.all(y, {ITEMS}.all(z, x <= y || y <= z)))",
    "text doubled 130 times": "['a']" + ".map(x, x + x)" * 130,
    "lists doubled 100 times": "[1]" + ".map(x, [x, x])" * 100,
    "text times 120": "+".join(["event.data.text"] * 120),
    "lists times 110": "+".join([ITEMS] * 110),
    "a long body": "[event.data.text].map(x, " + "+".join(["x"] * 400) + ")",
    "filter after filter": ITEMS + ".filter(x, true)" * 100,
    "a pattern from the data": "event.data.text.matches(event.data.pattern)",
    "a pattern of 20,000 states": "event.data.text.matches('(a?){20000}c')",
    "repeats of repeats": "event.data.text.matches('((a{1,100}){1,100}){1,100}c')",
    "catastrophic for backtracking": "event.data.text.matches('(a|a)*b') || event.data.text.matches('(x+x+)+y')",
    "patterns in a loop": f"{ITEMS}.all(x, !event.data.text.matches('(a?){{100}}c'))",
    "a condition of 180 look-ups": " || ".join(["event.data.z > 1"] * 100),
    "every item in every list": f"{ITEMS}.all(x, x in {ITEMS} && {ITEMS} == {ITEMS})",
}


def event_of(size: int) -> dict[str, JsonValue]:
    """An event of about so many units: half of them numbers, half of them text."""
    half = max(size // 2, 0)
    return {"data": {"items": list(range(half)), "text": "a" * (64 * half), "pattern": "(a?){20000}c"}}


def evaluate(source: str) -> None:
    """Over the largest data that it may see, and over more."""
    expression = compile_expression(source)
    for size in (expression.reach - 20, 260_000):
        values: dict[str, object] = {"event": event_of(size), "now": NOW}
        result = expression.evaluate(scope(values))
        assert result.reason is not None or units(values) <= max(expression.reach, 0) + 20


def a_template() -> None:
    """A thousand placeholders that each put in 256 KB."""
    rendered = render("{{ event.data.text }}" * 1_000, scope({"event": event_of(8_000)}))
    assert len(str(rendered.value)) < 1_000_000


def refused(read: Callable[[], object]) -> None:
    """Raises where anything but an error of ours comes of it."""
    try:
        read()
    except (InputError, FilterError, ValueError):
        return


def definition_texts() -> Iterator[tuple[str, str, str]]:
    """Files of up to a megabyte."""
    yield "brackets", "d.yaml", "[" * 1_000_000
    yield "dashes", "d.yaml", "- " * 500_000
    yield "aliases", "d.yaml", "a: &a [x]\n" + "\n".join(f"{n}: [*a, *a]" for n in range(20_000))
    yield "merges", "d.yaml", "a: &a {b: 1}\nc: {<<: [*a, *a]}"
    yield "a number in base 60", "d.yaml", "a: " + "1:" * 490_000 + "1"
    yield "a number of 500,000 digits", "d.yaml", "a: " + "1" * 500_000
    yield "100,000 values", "d.yaml", "[" + "a," * 120_000 + "]"
    yield "deep JSON", "d.json", "[" * 1_000_000
    yield "5,000 nodes", "d.json", json.dumps({**HEAD, "nodes": [{"id": f"n{n}", "key": "exit"} for n in range(5_000)]})


def definitions() -> Iterator[tuple[str, JsonValue]]:
    """Bodies of up to a megabyte, as the API gets them."""
    yield "300,000 empty nodes", [{}] * 300_000
    yield "16,000 faults", [{"id": "n", "key": "exit", f"x{n}": n} for n in range(16_000)]
    yield "4,000 broken expressions", [_branch(n, f"({n}") for n in range(4_000)]
    yield "braces", [_message("{{" * 400_000)]
    yield "more braces", [_message("{{}" * 300_000)]
    yield "100,000 placeholders", [_message("{{now}}" * 100_000)]
    yield "brackets in an expression", [_branch(0, "(" * 1_999)]
    yield "a long address", [{"id": "w", "key": "webhook", "settings": {"url": "http://" + "a" * 900_000}}]


def _branch(number: int, condition: str) -> JsonValue:
    return {"id": f"n{number}", "key": "branch", "branches": [{"name": "b", "condition": condition, "next": "a"}]}


def _message(text: str) -> JsonValue:
    return {"id": "m", "key": "send_message", "settings": {"message": text}}


ENTRIES: dict[str, bytes] = {
    "10 MB": b"[" + b"1," * 5_000_000 + b"1]",
    "256 KB of brackets": b"[" * 262_144,
    "256 KB of numbers": b"[" + b"1," * 131_000 + b"1]",
    "a key a thousand times": b"{" + b'"a": {}, ' * 20_000 + b'"a": 1}',
    "a number of 200,000 digits": b'{"a": ' + b"9" * 200_000 + b"}",
    "exponents": b"[" + b"1e-999999999, " * 10_000 + b"1e400]",
}
FILTERS: dict[str, str] = {
    "parentheses": "(" * 9_000 + "a" + ")" * 9_000,
    "negations": "-" * 19_000 + "a",
    "a thousand alternatives": " OR ".join(["textPayload:a"] * 1_000),
    "catastrophic for backtracking": 'textPayload=~"(a|a)*b" textPayload=~"(x+x+)+y"',
    "repeats of repeats": 'textPayload=~"((a{100}){100}){100}"',
    "a long path": "jsonPayload" + ".a" * 9_000 + ":*",
}
LINES: dict[str, tuple[str, str]] = {
    "a line without end": ("m.jsonl", '{"bot_id": "' + "b" * 20_000_000),
    "a row without end": ("m.csv", "bot_id,member_id\n" + "b" * 20_000_000),
    "a quote that never closes": ("m.csv", 'bot_id,member_id\nb,"' + "m" * 10_000_000),
    "brackets": ("m.jsonl", "[" * 1_000_000),
    "a million columns": ("m.csv", "," * 1_000_000),
}


def _filter(text: str) -> None:
    compile_filter(text).matches({"textPayload": "a" * 200_000 + "x" * 50_000})


def _members(name: str, text: str) -> None:
    assert all(row.fault for row in read_members(io.StringIO(text), name=name))


def cases() -> Iterator[tuple[str, Callable[[], object]]]:
    """Everything, by a name for what it is."""
    for name, source in EXPRESSIONS.items():
        yield f"expression: {name}", partial(evaluate, source)
    yield "template: 1,000 times 256 KB", a_template
    yield "template: braces", partial(refused, partial(placeholders, "{{ now " * 100_000))
    for name, file, text in definition_texts():
        yield f"file: {name}", partial(refused, partial(definition_from_text, text, name=file))
    for name, nodes in definitions():
        yield f"definition: {name}", partial(refused, partial(parse_definition, {**HEAD, "nodes": nodes}))
    for name, data in ENTRIES.items():
        yield f"entry: {name}", partial(refused, partial(read_log_entry, data, now=NOW))
        yield f"message: {name}", partial(refused, partial(read_message, SweepMessage, data))
        yield f"envelope: {name}", partial(refused, partial(open_envelope, b'{"message": {"a": ' + data))
    for name, text in FILTERS.items():
        yield f"filter: {name}", partial(refused, partial(_filter, text))
    for name, (file, text) in LINES.items():
        yield f"members: {name}", partial(refused, partial(_members, file, text))


def main() -> None:
    """Read everything; a line for each before it is read, and in the end the memory that it took, in bytes."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    for name, read in cases():
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        read()
    sys.stdout.write(f"{peak_bytes()}\n")


def peak_bytes() -> int:
    """The most memory this process has had; `ru_maxrss` of a child starts at its parent's, so it is only the second choice."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
