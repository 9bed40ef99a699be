"""`sojourn logs route`: log lines into the running local cloud, as Cloud Logging would take them."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from threading import Event
from typing import Annotated, cast

import httpx
import typer

from emulator.errors import RouterFailed
from emulator.log_router.sources import follow as follow_file
from sojourn.cli.local import Json, running_cloud

PIECE_BYTES = 1024 * 1024
"""Read at once, so at most sent at once; but one line is never cut."""
TIMEOUT_SECONDS = 60.0

app = typer.Typer(no_args_is_help=True, help="Log lines into the local cloud.", rich_markup_mode=None)


@app.callback()
def _logs() -> None:
    """Log lines into the local cloud."""


@app.command()
def route(
    file: Annotated[Path | None, typer.Argument(help="JSON lines; without a file, standard input.", dir_okay=False)] = None,
    service: Annotated[str, typer.Option(help="The service that wrote them.")] = "local",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the file grows, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Send log lines through the local log router: the sink's filter decides what reaches the journeys.

    Lines of a pipe are routed as they come: `my-service | sojourn logs route --service my-service`
    """
    if file and not follow and not file.exists():
        raise typer.BadParameter(f"there is no file {file}")
    url = running_cloud().log_router_url
    seen = passed = 0
    with httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        for lines in _pieces(file, follow):
            try:
                answer = client.post("/", params={"service": service}, content=lines).raise_for_status().json()
            except httpx.HTTPError as error:
                raise RouterFailed(f"{_reason(error, url)}; {seen:,} lines got through before") from error
            seen, passed = seen + answer["seen"], passed + answer["passed"]
    counts = {"seen": seen, "passed": passed}
    sys.stdout.write(json.dumps(counts) + "\n" if as_json else f"{seen:,} lines, {passed:,} of them for journeys\n")


def _reason(error: httpx.HTTPError, url: str) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"the log router refused: {error.response.text}"
    return f"the log router at {url} does not answer any more ({error})"


def _pieces(file: Path | None, follow: bool) -> Iterator[bytes]:
    """Whole lines, a request's worth at a time."""
    if file is None:
        if sys.stdin.isatty():
            sys.stderr.write("reading log lines from the keyboard; Ctrl-D ends them\n")
        signal.signal(signal.SIGINT, _end_input)
        yield from _as_they_come(cast("BufferedReader", sys.stdin.buffer))
    elif follow:
        stop = Event()
        signal.signal(signal.SIGINT, lambda *_: stop.set())
        yield from follow_file(file, stop)
    else:
        with file.open("rb") as stream:
            yield from _as_they_come(stream)


def _end_input(*_: object) -> None:
    """Ctrl-C is the end of standard input: the read that it interrupts goes on and finds nothing, a request is finished."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _as_they_come(stream: BufferedReader) -> Iterator[bytes]:
    """What there is to read, up to its last newline: a line of a pipe does not wait for those after it."""
    begun = b""
    while piece := stream.read1(PIECE_BYTES):
        whole, newline, rest = piece.rpartition(b"\n")
        if newline:
            yield begun + whole
            begun = rest
        else:
            begun += piece
    if begun:
        yield begun
