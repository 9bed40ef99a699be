"""Tables and moments as every list of the command shows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sojourn.application.history import Line

PLAIN_WIDTH = 200
"""Where nobody looks, such as in a pipe: wide enough for whole ids."""

STYLES = {
    "done": "green",
    "sent": "green",
    "goal": "green",
    "ended": "green",
    "entered": "cyan",
    "asleep": "yellow",
    "waiting": "yellow",
    "pending": "yellow",
    "skipped": "yellow",
    "canceled": "red",
    "error": "red",
    "failed": "red",
    "open": "red",
    "probing": "yellow",
    "closed": "green",
    "dead": "red",
}
"""By what a row says became of it."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls but tab and line feed, what turns the direction of text around, and halves of surrogate pairs."""


def console() -> Console:
    """Standard output; in a pipe nothing is cut."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def show(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None, right: Sequence[str] = ()) -> None:
    """Print a table. Only its last column gives way where the terminal is too narrow."""
    heading = Text(printable(title)) if title is not None else None
    table = Table(title=heading, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        last = column == columns[-1]
        table.add_column(column, justify="right" if column in right else "left", no_wrap=not last, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell), style=STYLES.get(cell.lower(), "")) for cell in row))
    console().print(table)


def say(text: str, *, style: str = "") -> None:
    """Print a sentence, on one line however long it is."""
    console().print(Text(printable(text), style=style), soft_wrap=True)


def printable(text: str) -> str:
    """The text with its control characters written out: log entries come from anybody, and a terminal obeys them."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def moment(at: datetime | None) -> str:
    """To the second, UTC; nothing for None."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at is not None else ""


def local(at: datetime, zone: ZoneInfo) -> str:
    """On the wall clock in `zone`, with the day of the week: that is what waits until Monday are checked by."""
    return f"{at.astimezone(zone):%a %Y-%m-%d %H:%M}"


def timed(rows: Iterable[tuple[datetime, Sequence[str]]], write: Callable[[datetime], str] = moment) -> list[tuple[str, ...]]:
    """Rows that begin with their moment, left out where the one above has the same."""
    written = [(write(at), cells) for at, cells in rows]
    before = (None, *(when for when, _ in written))
    return [("" if when == last else when, *cells) for (when, cells), last in zip(written, before, strict=False)]


def cells_of(line: Line) -> tuple[str, str, str]:
    """The node, what happened there, and why."""
    outcome = f"refused: {line.outcome}" if line.what == "refused" else line.outcome
    return line.node_id or "", outcome, line.reason or ""
