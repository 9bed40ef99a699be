"""What the operator's lists share: their filters, a page of them, and one repair for all that a filter finds.

A bulk repair goes page by page behind a bar. Ended anywhere, it says how far it came; begun again, it finds what is left.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer
from pydantic_core import to_jsonable_python
from rich import progress
from rich.console import Console

from sojourn.application.desk import BULK_PAGE, Refused, Repaired, Selection, repair_page, select
from sojourn.application.operations import Page
from sojourn.application.repair import B, Repair
from sojourn.cli.stores import print_json, workshop
from sojourn.cli.tables import printable, say, show

DEFAULT_LIMIT = 50
MAX_REFUSED_SHOWN = 20
INTERNAL = {"token", "shard", "sweep_at", "sweep_count", "data"}

OfJourney = Annotated[str | None, typer.Option("--journey", help="Only of this journey.")]
OfBot = Annotated[str | None, typer.Option("--bot", help="Only of this bot.")]
WithReason = Annotated[str, typer.Option("--reason", help="Only where the reason has this in it, in capitals or not.")]
After = Annotated[str | None, typer.Option("--after", help="Go on after this one.")]
AtMost = Annotated[int | None, typer.Option("--limit", min=1, help="Look at no more than so many; all without it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count.")]
Because = Annotated[str, typer.Option("--because", help="Why; without it what went wrong.")]


def page_of(selection: Selection[B], *, after: str | None, limit: int) -> Page[B]:
    """A full page of what holds, by id; where that is all there is, the newest first."""
    shop, begin = workshop(), after
    kept: list[B] = []
    while True:
        page = select(shop, selection, after=begin, limit=limit)
        begin = page.after
        kept += page.items
        if len(kept) > limit:
            return Page(kept[:limit], kept[limit - 1].id)
        if begin is None or len(kept) == limit:
            break
    if after is None and begin is None:
        kept.sort(key=lambda record: record.created_at, reverse=True)
    return Page(kept, begin)


def say_more(after: str | None) -> None:
    """Where the next page begins, if there is one."""
    if after is not None:
        say(f"there may be more: --after {after}", style="dim")


def show_whole(record: object, *, title: str, more: Sequence[tuple[str, str]] = ()) -> None:
    """Every field of a record that has a value, one below the other; `more` stands instead of those that are INTERNAL."""
    fields = to_jsonable_python(record, exclude={*INTERNAL, "member_key", "trail"})
    rows = [(name, _text(value)) for name, value in fields.items() if value not in (None, "", [], {}) and value is not False]
    show(("", ""), [*rows, *more], title=title)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Run:
    """How a bulk repair is asked for."""

    limit: int | None
    dry_run: bool
    as_json: bool


@dataclass(slots=True)
class _Sum:
    """What became of the pages so far; before the first is over nobody knows what is left."""

    dry_run: bool
    done: int = 0
    overtaken: int = 0
    other: int = 0
    left: int | None = None
    refused: list[Refused] = field(default_factory=list)

    def add(self, page: Repaired) -> None:
        self.done, self.overtaken = self.done + page.done, self.overtaken + page.overtaken
        self.other, self.left = self.other + page.other, page.left
        self.refused += page.refused


def repair_all(repair: Repair[B], selection: Selection[B], run: Run) -> None:
    """Repair page by page, and say what became of them however it ends; exit code 1 where some were refused."""
    found = _Sum(run.dry_run)
    try:
        for page in _pages(repair, selection, run):
            found.add(page)
    finally:
        _print(found, repair.done, as_json=run.as_json)
    if found.refused:
        raise typer.Exit(1)


def _pages(repair: Repair[B], selection: Selection[B], run: Run) -> Iterator[Repaired]:
    shop, bar = workshop(), Console(stderr=True)
    columns = (progress.BarColumn(), progress.MofNCompleteColumn(), progress.TimeRemainingColumn())
    with progress.Progress(*columns, console=bar, transient=True, disable=run.as_json or not bar.is_terminal) as shown:
        task, todo, after = shown.add_task("", total=None), run.limit or sys.maxsize, None
        while todo:
            page = repair_page(shop, repair, selection, after=after, limit=min(BULK_PAGE, todo), dry_run=run.dry_run)
            todo, after = todo - page.looked, page.after
            shown.update(task, advance=page.looked)
            shown.update(task, total=shown.tasks[0].completed + min(page.left, todo))
            yield page
            if after is None:
                return


def _print(found: _Sum, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    shown = found.refused[:MAX_REFUSED_SHOWN]
    more = len(found.refused) - len(shown)
    lines = [each.why if each.id in each.why else f"{each.id}: {each.why}" for each in shown]
    sys.stderr.write("".join(f"{printable(line)}\n" for line in [*lines, *([f"… and {more:,} more"] if more else [])]))
    parts = [f"{found.done:,} {'would be ' if found.dry_run else ''}{done}"]
    parts += [f"{found.overtaken:,} changed by somebody else"] if found.overtaken else []
    parts += [f"{len(found.refused):,} refused"] if found.refused else []
    parts += [f"{found.other:,} for another reason"] if found.other else []
    parts += [f"{found.left:,} left"] if found.left is not None else []
    say(", ".join(parts))
