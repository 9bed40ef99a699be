"""The `sojourn` command. Exit code 0: done; 1: refused or not found; 2: bad input."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from emulator.errors import LocalCloudError
from sojourn.cli import demo, journeys, local, logs
from sojourn.domain.errors import InputError, SojournError

REFUSED, BAD_INPUT = 1, 2

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Customer journeys from log lines.", rich_markup_mode=None)
app.command("demo")(demo.demo)
app.command("up")(local.up)
app.command("down")(local.down)
app.command("status")(local.status)
app.add_typer(logs.app, name="logs")
app.add_typer(journeys.app, name="journeys")


def main() -> None:
    """Run the command; what Sojourn refuses is said in a sentence, never in a stack trace."""
    try:
        app()
    except (LocalCloudError, SojournError) as error:
        Console(stderr=True, highlight=False).print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(BAD_INPUT if isinstance(error, InputError) else REFUSED)
