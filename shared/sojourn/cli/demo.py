"""`sojourn demo`: a shop's fortnight, in-process or on Google's emulators, and what became of it."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from emulator.demo import DemoCloud, EmulatorDemo, InProcessDemo, play, snapshot
from emulator.report import print_report
from emulator.scenarios.oracle import demands, judge
from emulator.scenarios.shop import Scenario, shop, write_log
from sojourn.application.workshop import Limits
from sojourn.cli.local import Json
from sojourn.domain.engine import MAX_NODES_PER_HOP


class Backend(StrEnum):
    """Where the demo runs."""

    IN_PROCESS = "in-process"
    EMULATORS = "emulators"


def demo(
    backend: Annotated[
        Backend, typer.Option(help="Lists and real functions, or Google's emulators over HTTP.")
    ] = Backend.IN_PROCESS,
    copies: Annotated[int, typer.Option(min=1, max=5, help="Deliver every message so many times.")] = 1,
    max_nodes_per_hop: Annotated[
        int, typer.Option(min=1, max=500, help="How far a member goes per message; 1: one message per node.")
    ] = MAX_NODES_PER_HOP,
    seed: Annotated[int, typer.Option(help="Another shop, another fortnight.")] = 7,
    members: Annotated[int, typer.Option(min=1, max=10_000, help="Members of each of the three bots.")] = 40,
    log_file: Annotated[Path | None, typer.Option(help="Also write the log lines here.", dir_okay=False)] = None,
    as_json: Json = False,
) -> None:
    """Play a shop's fortnight of log lines through two journeys, and judge the result against the lines.

    In-process it needs nothing but this; the figures are the same on Google's emulators. Exit code 1: duplicates or losses.
    """
    scenario = shop(seed, members_per_bot=members)
    _write_log(scenario, log_file)
    limits = Limits(max_nodes_per_hop=max_nodes_per_hop)
    with ExitStack() as stack:
        cloud: DemoCloud
        if backend is Backend.IN_PROCESS:
            cloud = stack.enter_context(InProcessDemo(scenario.start, limits=limits, copies=copies, seed=seed))
        else:
            cloud = stack.enter_context(EmulatorDemo(scenario.start, limits=limits, copies=copies, say=_say))
        _play(cloud, scenario)
        result = snapshot(cloud, scenario)
    verdict = judge(demands(scenario), result)
    if as_json:
        sys.stdout.write(json.dumps(asdict(verdict), indent=2) + "\n")
    else:
        print_report(Console(highlight=False), scenario, result, verdict)
    if verdict.duplicates or verdict.lost:
        raise typer.Exit(1)


def _write_log(scenario: Scenario, file: Path | None) -> None:
    try:
        if file is not None:
            write_log(scenario, file)
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}", param_hint="--log-file") from error


def _say(source: str, text: str) -> None:
    """Only what is wrong: the functions write a line for every message."""
    if text.startswith(("ERROR", "CRITICAL")):
        sys.stderr.write(f"{source}: {text}\n")


def _play(cloud: DemoCloud, scenario: Scenario) -> None:
    steps = (scenario.end - scenario.start) // scenario.step
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"{scenario.start:%d %b}", total=steps)
        for now in play(cloud, scenario):
            progress.update(task, advance=1, description=f"{now:%d %b %H:%M}")
