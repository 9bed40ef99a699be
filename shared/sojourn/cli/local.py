"""`sojourn up`, `down` and `status`: the local cloud."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from emulator.functions_table import REPOSITORY
from emulator.local_cloud import LocalCloud, LocalCloudSettings
from emulator.state import read_state, running_pid

STATE_DIR = REPOSITORY / ".sojourn"
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

SOURCE_STYLES = {"ingest": "cyan", "run_journey": "green", "perform": "magenta", "sweep": "yellow"}


def up(
    max_nodes_per_hop: Annotated[int | None, typer.Option(min=1, max=500, help="1: one message per node.")] = None,
) -> None:
    """Start Google's emulators, the functions, the log router, the mailbox and the minute tick. Ctrl-C ends everything."""
    console = Console(highlight=False)

    def say(source: str, text: str) -> None:
        console.print(f"{source:>12} ", style=SOURCE_STYLES.get(source, "dim"), end="")
        console.print(text, markup=False, soft_wrap=True)

    environment = {"SOJOURN_MAX_NODES_PER_HOP": str(max_nodes_per_hop)} if max_nodes_per_hop else {}
    cloud = LocalCloud(LocalCloudSettings(state_dir=STATE_DIR, environment=environment), say=say)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: cloud.request_stop())
    with cloud:
        addresses = cloud.addresses
        say("sojourn", f"ready. Log lines to {addresses.log_router_url}, messages at {addresses.mailbox_url}, Ctrl-C ends it")
        cloud.wait()
        say("sojourn", "stopping")


def down() -> None:
    """End the local cloud that runs in this folder, and wait until it is gone."""
    pid = running_pid(STATE_DIR)
    if pid is None:
        sys.stdout.write("no local cloud is running\n")
        raise typer.Exit(1)
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running_pid(STATE_DIR) == pid and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if running_pid(STATE_DIR) == pid:
        sys.stdout.write(f"process {pid} is still stopping\n")
        raise typer.Exit(1)
    sys.stdout.write("stopped\n")


def status(as_json: Json = False) -> None:
    """The addresses of the local cloud."""
    state = read_state(STATE_DIR)
    if state is None:
        sys.stdout.write("null\n" if as_json else "no local cloud is running; start one with `sojourn up`\n")
        raise typer.Exit(1)
    if as_json:
        sys.stdout.write(state.model_dump_json(indent=2) + "\n")
        return
    table = Table("what", "where", box=None)
    for name, value in state.model_dump(exclude={"functions"}).items():
        table.add_row(name.replace("_", " "), value or "-")
    for name, address in state.functions.items():
        table.add_row(f"function {name}", f"{address.url} (process {address.pid})")
    Console(highlight=False).print(table)
