"""What a person wants to see of a kill test: a few counts that must be zero, and how long it took to recover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.kill import oracle
from emulator.kill.play import Result
from emulator.kill.receiver import repeats
from emulator.kill.recovery import KINDS, TICKS_ALLOWED, Kill, recovered
from emulator.kill.stage import FUNCTIONS
from emulator.kill.twins import Twins
from sojourn.domain.effect import EffectStatus
from sojourn.domain.progress import Status

MAX_FAULTS = 20

Row: TypeAlias = tuple[str, str, str]


def print_result(console: Console, result: Result) -> None:
    """Counts, recovery, and the faults, if there are any."""
    table = _table("Killed at random, every message twice", "", "count", "")
    for row in (*_counts(result), *_zeros(result)):
        table.add_row(*row)
    console.print(table)
    console.print(_recovery(result.kills))
    for fault in result.faults[:MAX_FAULTS]:
        console.print(Text(f"{fault.kind}: {fault.text}", style="red"))
    if len(result.faults) > MAX_FAULTS:
        console.print(Text(f"and {len(result.faults) - MAX_FAULTS:,} more", style="red"))


def print_twins(console: Console, twins: Twins) -> None:
    """Who entered how often when two instances were told the same at once."""
    title = "Two identical lines back to back, to two instances at once"
    table = _table(title, "journey", "members", "deliveries", "entries")
    for journey, entries in twins.entries.items():
        table.add_row(journey, f"{twins.members:,}", f"{twins.deliveries:,}", f"{entries:,}")
    console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number and column else "left")
    return table


def _counts(result: Result) -> Iterator[Row]:
    statuses = Counter(progress.status for progress in result.found.progress)
    effects = Counter(effect.status for effect in result.found.effects)
    faults = Counter(call.fault.name.lower().replace("_", " ") for call in result.found.calls if call.fault)
    calls, kills = result.found.calls, Counter(kill.function for kill in result.kills)
    yield "kills", f"{len(result.kills):,}", _listed((name, kills[name]) for name in FUNCTIONS)
    yield "members", f"{len(result.scenario.plans):,}", f"{result.minutes} minutes of the clock in {result.seconds:,.0f} s"
    yield "entered", f"{len(result.found.progress):,}", "passages through two journeys"
    yield "ended", f"{statuses[Status.ENDED]:,}", ""
    yield "left", f"{statuses[Status.CANCELED]:,}", "by an exit event"
    yield "effects done", f"{effects[EffectStatus.DONE]:,}", _listed([("skipped", effects[EffectStatus.SKIPPED])])
    yield (
        "accepted",
        f"{len(result.found.accepted):,}",
        f"by the receiver; {sum(1 for _ in repeats(calls)):,} of them called again after a kill",
    )
    yield "calls", f"{len(calls):,}", _listed(faults.most_common())


def _zeros(result: Result) -> Iterator[Row]:
    counts = Counter(fault.kind for fault in result.faults)
    yield from ((kind, f"{counts[kind]:,}", "") for kind in oracle.KINDS)


def _recovery(kills: Sequence[Kill]) -> Table:
    """By kind: how much was in flight or due at the kill, and after how many ticks it moved."""
    ticks = ("no tick", "1 tick", *(f"{count} ticks" for count in range(2, TICKS_ALLOWED + 1)))
    table = _table("Recovery: what a kill left lying moved after", "", "affected", *ticks, "later", "in time")
    for name, kinds in (*((kind, (kind,)) for kind in KINDS), ("all", KINDS)):
        found = recovered(kills, kinds)
        numbers = (found.affected, *found.moved, found.affected - sum(found.moved))
        table.add_row(name, *(f"{number:,}" for number in numbers), f"{found.share:.1%}")
    return table


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts)
