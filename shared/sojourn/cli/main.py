"""The `sojourn` command. Exit code 0: done; 1: refused or not found; 2: bad input. What goes wrong is a sentence on stderr."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import typer
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from rich.console import Console

from emulator.errors import LocalCloudError
from sojourn.cli import (
    audit,
    channels,
    demo,
    doctor,
    effects,
    journeys,
    lifecycle,
    local,
    logs,
    members,
    progress,
    record,
    rejected,
    report,
    simulate,
)
from sojourn.domain.errors import InputError, SojournError

REFUSED, BAD_INPUT = 1, 2
TERMINATED = 128 + signal.SIGTERM

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Customer journeys from log lines.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("up")(local.up)
app.command("down")(local.down)
app.command("status")(local.status)
app.add_typer(logs.app, name="logs")
app.add_typer(journeys.app, name="journeys")
journeys.app.command("report")(report.report)
journeys.app.command("simulate")(simulate.simulate)
journeys.app.add_typer(lifecycle.app)
app.command("schema")(journeys.schema)
app.add_typer(members.app, name="members")
app.add_typer(progress.app, name="progress")
progress.app.command("record")(record.record)
app.add_typer(effects.app, name="effects")
app.add_typer(channels.app, name="channels")
app.add_typer(rejected.app, name="rejected")
app.add_typer(audit.app, name="audit")
app.command("doctor")(doctor.doctor)
app.command("drain")(doctor.drain)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, that of the terminal unless `arguments` are given. SIGTERM cleans up as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        app(arguments)
    except (LocalCloudError, SojournError) as error:
        _fail(str(error), BAD_INPUT if isinstance(error, InputError) else REFUSED)
    except (GoogleAPICallError, GoogleAuthError) as error:
        _fail(f"Google Cloud refused: {error}", REFUSED)
    except OSError as error:  # a file or folder; what services refuse is among the errors above
        _fail(str(error), REFUSED)


def _fail(text: str, code: int) -> None:
    Console(stderr=True, highlight=False).print(text, style="red", markup=False, soft_wrap=True)
    sys.exit(code)
