"""`sojourn logs route`: log lines into the running local cloud, as Cloud Logging would take them."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Annotated

import httpx
import typer

from emulator.log_router.sources import follow as follow_file
from emulator.log_router.sources import read_lines
from emulator.state import read_state
from sojourn.cli.local import STATE_DIR, Json

LINES_PER_REQUEST = 500
TIMEOUT_SECONDS = 60.0

app = typer.Typer(no_args_is_help=True, help="Log lines into the local cloud.", rich_markup_mode=None)


@app.callback()
def _logs() -> None:
    """Log lines into the local cloud."""


@app.command()
def route(
    file: Annotated[
        Path | None, typer.Argument(help="JSON lines; without a file, standard input.", exists=True, dir_okay=False)
    ] = None,
    service: Annotated[str, typer.Option(help="The service that wrote them.")] = "local",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the file grows, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Send log lines through the local log router: the sink's filter decides what reaches the journeys."""
    state = read_state(STATE_DIR)
    if state is None:
        sys.stderr.write("no local cloud is running; start one with `sojourn up`\n")
        raise typer.Exit(1)
    seen = passed = 0
    with httpx.Client(base_url=state.log_router_url, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        for lines in _batches(_lines(file, follow), 1 if follow else LINES_PER_REQUEST):
            answer = client.post("/", params={"service": service}, content=b"\n".join(lines)).raise_for_status().json()
            seen, passed = seen + answer["seen"], passed + answer["passed"]
    counts = {"seen": seen, "passed": passed}
    sys.stdout.write(json.dumps(counts) + "\n" if as_json else f"{seen:,} lines, {passed:,} of them for journeys\n")


def _lines(file: Path | None, follow: bool) -> Iterator[bytes]:
    if file is None:
        yield from read_lines(sys.stdin.buffer)
    elif follow:
        stop = Event()
        signal.signal(signal.SIGINT, lambda *_: stop.set())
        yield from follow_file(file, stop)
    else:
        with file.open("rb") as stream:
            yield from read_lines(stream)


def _batches(lines: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    iterator = iter(lines)
    while batch := list(islice(iterator, size)):
        yield batch
