"""The tables of figures in README.md, made of bench/results.json: `python -m bench.readme` after `python -m bench`.

A figure that stands in the README was measured, and all of them in one run: a test holds the two to each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from bench.__main__ import RESULTS
from bench.figure import Figure, number
from bench.kinds import SETTINGS
from emulator.functions_table import REPOSITORY, load_functions_table

README = REPOSITORY / "README.md"
BEGIN, END = "<!-- figures: python -m bench.readme -->\n", "<!-- end of figures -->\n"
FUNCTIONS = tuple(load_functions_table().functions)
PULLED = "end to end, pull"
COUNTED = ("documents written a member", "documents read a member", "messages published a member")

Name: TypeAlias = tuple[str, str]
ROWS: Sequence[tuple[str, Sequence[Name]]] = (
    ("hops of a worker on the emulators", [("limit", "worker, hops")]),
    (
        "bare loop of the same calls: that reads and writes dictionaries; that decodes nothing",
        [("limit", "bare loop, client library's dictionaries"), ("limit", "bare loop, protobuf not decoded")],
    ),
    (
        "the worker to the one; to the other",
        [("limit", "worker to the bare loop of dictionaries"), ("limit", "worker to the bare loop that decodes nothing")],
    ),
    (
        "CPU of such a hop: the worker; both emulators",
        [("limit", f"CPU a hop of {who}") for who in ("run_journey", "the emulators")],
    ),
    ("8,000 members enter; wake and end, pulled", [(PULLED, "enter: members"), (PULLED, "wake: members")]),
    *(
        (
            f"CPU of a member who {what}s: ingest; run_journey; sweep; both emulators",
            [(PULLED, f"{what}: CPU a member of {who}") for who in ("ingest", "run_journey", "sweep", "the emulators")],
        )
        for what in ("enter", "wake")
    ),
    (
        "memory afterwards: ingest; run_journey; sweep",
        [(PULLED, f"memory of {name} afterwards") for name in ("ingest", "run_journey", "sweep")],
    ),
    (
        "pushed hops; of a bare function of one get and one compare-and-set",
        [("hop, pushed", "function, hops"), ("hop, pushed", "bare function, get and compare-and-set")],
    ),
    ("the one to the other", [("hop, pushed", "function to bare function")]),
    (
        "CPU of such a hop: in the function; in the bare function",
        [("hop, pushed", f"CPU of a hop in the {which}") for which in ("function", "bare function")],
    ),
    *(
        (
            f"a member of the reference journey, {nodes} a hop: writes; reads; run messages",
            [("operations", f"{name}, {nodes} a hop") for name in COUNTED],
        )
        for nodes in ("32 nodes", "1 node")
    ),
    ("events that no journey wants, in-process", [("irrelevant events", "in-process, no document read or written")]),
    (
        "a sweep of 1,000 due among 10,000; 100,000; 1,000,000 in memory",
        [("sweep, memory", f"1,000 due among {parked}") for parked in ("10,000", "100,000", "1,000,000")],
    ),
    ("the last to the first", [("sweep, memory", "the most parked to the fewest")]),
    ("documents that it reads", [("sweep, memory", "documents read, 1,000 due among 1,000,000")]),
    (
        "the same among 10,000; 40,000 on the emulator",
        [("sweep, emulator", f"1,000 due among {parked}") for parked in ("10,000", "40,000")],
    ),
    (
        "share of the emulator's own queries in them",
        [("sweep, emulator", f"share of the emulator, 1,000 due among {parked}") for parked in ("10,000", "40,000")],
    ),
    *(
        (
            f"log line to effect at {rate} lines a second, pushed: effects; p50, p95, p99",
            [("latency, pushed", f"{what} at {rate} lines a second") for what in ("effects", "p50", "p95", "p99")],
        )
        for rate in (10, 100, 500)
    ),
    (f"import of a function's `main.py`: {'; '.join(FUNCTIONS)}", [("cold start", f"import of {name}") for name in FUNCTIONS]),
    ("import of the api's", [("cold start", "import of api")]),
    ("memory after that", [("cold start", "memory of api after it")]),
    ("`advance` alone, node steps", [("engine", "advance alone, node steps")]),
    ("hops in-process: push body, function, memory store", [("in-process", "a hop from push body to memory store")]),
    ("simulation in one process: seeds; member-days", [("simulation", "seeds in one process"), ("simulation", "member-days")]),
    ("sha256 of 64 bytes in a loop, for comparison", [("machine", "sha256 of 64 bytes in a loop")]),
)


def main() -> None:
    """Write the tables into the README."""
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(before + BEGIN + tables() + END + rest.partition(END)[2])


def between(text: str) -> str:
    """What stands between the marks."""
    return text.partition(BEGIN)[2].partition(END)[0]


def tables() -> str:
    """As they should stand in the README, with what they depend on."""
    found = json.loads(RESULTS.with_suffix(".json").read_text())
    figures = {(one["item"], one["name"]): Figure(**one) for one in found["figures"]}
    machine = found["machine"]
    of = f"`{machine['command']}` of {machine['commit']} on {machine['cores']}, {machine['date']}"
    rows = [_row(what, [figures[name] for name in names]) for what, names in ROWS]
    return "\n".join(
        [
            f"| {of} | measured | asked |",
            "|---|---|---|",
            *rows,
            "",
            "| kind | nodes /s in `advance` | writes, reads, messages, bytes published: 32 nodes a hop | 1 node a hop |",
            "|---|---|---|---|",
            *_kinds(figures),
            "",
        ]
    )


def _row(what: str, figures: Sequence[Figure]) -> str:
    asked = dict.fromkeys(one.asked for one in figures if one.asked)
    return f"| {what} | {'; '.join(map(_measured, figures))} | {'; '.join(asked)} |"


def _measured(one: Figure) -> str:
    value, low, high = number(one.value), number(one.low), number(one.high)
    return f"{value}{f' ({low}–{high})' if low != high else ''} {one.unit}".rstrip()


def _kinds(figures: Mapping[Name, Figure]) -> Iterator[str]:
    for kind in SETTINGS:
        counts = [
            ", ".join(
                number(figures[f"operations, {kind}", f"{name}, {nodes} a hop"].value)
                for name in (*COUNTED, "bytes published a member")
            )
            for nodes in ("32 nodes", "1 node")
        ]
        yield f"| `{kind}` | {number(figures['engine', f'10 of {kind}, nodes'].value)} | {' | '.join(counts)} |"


if __name__ == "__main__":
    main()
