"""Tables and moments as every list of the command shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

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
    "dead": "red",
}
"""By what a row says became of it."""


def console() -> Console:
    """Standard output; in a pipe nothing is cut."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def show(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None, right: Sequence[str] = ()) -> None:
    """Print a table. Only its last column gives way where the terminal is too narrow."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        last = column == columns[-1]
        table.add_column(column, justify="right" if column in right else "left", no_wrap=not last, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell.lower(), "")) for cell in row))
    console().print(table)


def moment(at: datetime | None) -> str:
    """To the second, UTC; nothing for None."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at is not None else ""
