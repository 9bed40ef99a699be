"""`sojourn up`, `down` and `status`: the local cloud."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.errors import NotRunning
from emulator.functions_table import REPOSITORY
from emulator.local_cloud import LocalCloud, LocalCloudSettings, Say
from emulator.state import LocalState, read_state, running_pid
from sojourn.runtime.settings import VARIABLES, read_settings

STATE_DIR = "SOJOURN_STATE_DIR"
"""The environment variable that lets a second local cloud run beside the first; `.sojourn` in this folder without it."""
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1
CONTINUATION = "\n" + " " * 23
"""The further lines of a text stand under its first: after the time and the source."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

SOURCE_STYLES = {"ingest": "cyan", "run_journey": "green", "perform": "magenta", "sweep": "yellow"}
PROBLEM_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


def state_dir() -> Path:
    """Where the local cloud of this terminal keeps its addresses."""
    return Path(os.environ.get(STATE_DIR) or REPOSITORY / ".sojourn").absolute()


def running_cloud() -> LocalState:
    """The addresses of the running local cloud. Raises NotRunning."""
    if state := read_state(state_dir()):
        return state
    if pid := running_pid(state_dir()):
        raise NotRunning(f"the local cloud (process {pid}) is still starting or already stopping; try again in a moment")
    raise NotRunning("no local cloud is running; start one with `sojourn up`")


def up(
    max_nodes_per_hop: Annotated[
        int | None, typer.Option(min=1, max=500, help="How far a member goes per message; 1: one message per node.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start the local cloud and show its log until Ctrl-C, which ends everything.

    Google's emulators, one process per function, log router, mailbox and Cloud Scheduler. Emulators that run already are used
    if FIRESTORE_EMULATOR_HOST and PUBSUB_EMULATOR_HOST name them.
    """
    name = VARIABLES["max_nodes_per_hop"]
    environment = {name: str(max_nodes_per_hop)} if max_nodes_per_hop else {}
    read_settings(os.environ | environment)  # or every function would end over it, again and again

    def say(source: str, text: str) -> None:
        try:
            log(source, text)
        except SystemExit:  # rich's, when nobody reads the log any more (`sojourn up | head`)
            cloud.request_stop()

    log = _json_log if as_json else _log(Console(highlight=False))
    cloud = LocalCloud(LocalCloudSettings(state_dir=state_dir(), environment=environment), say=say)
    log("sojourn", "starting the emulators and the functions")
    with cloud:  # until here Ctrl-C interrupts the start
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: cloud.request_stop())
        say("sojourn", f"log lines  {cloud.addresses.log_router_url}  (sojourn logs route FILE, or POST JSON lines)")
        say("sojourn", f"messages   {cloud.addresses.mailbox_url}")
        say("sojourn", "ready; Ctrl-C ends it")
        cloud.wait()
        say("sojourn", "stopping")


def _log(console: Console) -> Say:
    def log(source: str, text: str) -> None:
        severity = PROBLEM_STYLES.get(text.partition(" ")[0], "")
        line = Text.assemble(
            (f"{time.strftime('%H:%M:%S')} ", "dim"),
            (f"{source:<12}  ", SOURCE_STYLES.get(source, "dim")),
            (text.replace("\n", CONTINUATION), severity),
        )
        console.print(line, soft_wrap=True)

    return log


def _json_log(source: str, text: str) -> None:
    line = {"time": datetime.now(UTC).isoformat(), "source": source, "text": text}
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def down(as_json: Json = False) -> None:
    """End the local cloud, and wait until it is gone."""
    pid = running_pid(state_dir())
    if pid is None:
        raise NotRunning("no local cloud is running")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while (stopping := running_pid(state_dir()) == pid) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if as_json:
        sys.stdout.write(json.dumps({"pid": pid, "stopped": not stopping}) + "\n")
    else:
        sys.stdout.write(f"process {pid} is still stopping\n" if stopping else "stopped\n")
    if stopping:
        raise typer.Exit(1)


def status(as_json: Json = False) -> None:
    """Show the addresses of the local cloud."""
    state = running_cloud()
    if as_json:
        sys.stdout.write(state.model_dump_json(indent=2) + "\n")
        return
    table = Table("what", "where", "process", box=None, pad_edge=False, header_style="dim")
    for name, value in state.model_dump(exclude={"functions"}, exclude_none=True).items():
        table.add_row(name.replace("_", " ").removesuffix(" url").removesuffix(" host"), value)
    for name, address in state.functions.items():
        table.add_row(name, address.url or "pulls", str(address.pid))
    Console(highlight=False).print(table)
