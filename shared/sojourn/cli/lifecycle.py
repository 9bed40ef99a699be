"""`sojourn journeys apply | plan | pause | resume | end | delete | show`: the life of a journey."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sojourn.application import lifecycle
from sojourn.application.workshop import Workshop
from sojourn.cli.local import Json
from sojourn.cli.stores import print_json, workshop
from sojourn.domain.definition import Definition
from sojourn.domain.errors import InputError, NotFound
from sojourn.domain.journey import Journey, Migration
from sojourn.runtime.definition_file import load_definition

app = typer.Typer(rich_markup_mode=None)
JourneyId = Annotated[str, typer.Argument(metavar="JOURNEY", help="The journey's id.")]


class Mode(StrEnum):
    """What becomes of members on older versions."""

    PIN = "pin"
    MIGRATE = "migrate"
    CANCEL = "cancel"


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="YAML or JSON definition.")],
    publish: Annotated[bool, typer.Option(help="Make it the next version at once.")] = False,
    mode: Annotated[Mode, typer.Option(help="Members on older versions finish there, continue here, or leave.")] = Mode.PIN,
    node: Annotated[list[str] | None, typer.Option("--node", metavar="OLD=NEW", help="With migrate: continue there.")] = None,
    gone: Annotated[bool, typer.Option("--cancel-gone", help="With migrate: who has no node leaves.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what publishing would do to whom, and write only the draft.")] = False,
    as_json: Json = False,
) -> None:
    """Make a file the draft of its journey; with --publish its next version."""
    shop, definition = workshop(), load_definition(file)
    migration = Migration(mode.value, _nodes(node or []), "cancel" if gone else "refuse")
    head = _draft(shop, definition)
    if dry_run:
        _print_plan(lifecycle.plan_publish(shop, head.id, migration), as_json)
        return
    _print_head(lifecycle.publish(shop, head.id, migration=migration) if publish else head, as_json)


def _draft(shop: Workshop, definition: Definition) -> Journey:
    try:
        lifecycle.get_journey(shop, definition.id)
    except NotFound:
        return lifecycle.create_journey(shop, definition)
    return lifecycle.edit_journey(shop, definition)


def _nodes(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if pair.count("=") != 1:
            raise InputError(f"--node {pair}: write OLD=NEW, the ids of two nodes")
    return dict(pair.split("=") for pair in pairs)


@app.command()
def pause(journey_id: JourneyId, as_json: Json = False) -> None:
    """Keep everybody where they are; nobody enters."""
    _print_head(lifecycle.pause(workshop(), journey_id), as_json)


@app.command()
def resume(
    journey_id: JourneyId,
    extend_waits: Annotated[bool, typer.Option(help="Waits last longer by the time paused.")] = False,
    as_json: Json = False,
) -> None:
    """Take up what fell due meanwhile, spread out."""
    _print_head(lifecycle.resume(workshop(), journey_id, extend_waits=extend_waits), as_json)


@app.command()
def end(
    journey_id: JourneyId,
    reason: Annotated[str, typer.Option(help="What the members' timelines say.")] = "journey ended",
    as_json: Json = False,
) -> None:
    """End the journey for good; everybody on the way leaves."""
    _print_head(lifecycle.end(workshop(), journey_id, reason=reason), as_json)


@app.command()
def delete(journey_id: JourneyId) -> None:
    """Take a draft away that was never published."""
    lifecycle.delete_journey(workshop(), journey_id)
    sys.stdout.write(f"{journey_id} is deleted\n")


@app.command()
def show(journey_id: JourneyId, as_json: Json = False) -> None:
    """Status, version, what is still being settled."""
    _print_head(lifecycle.get_journey(workshop(), journey_id), as_json)


def _print_head(head: Journey, as_json: bool) -> None:
    if as_json:
        print_json({**_fields(head), "draft": json.loads(head.draft) if head.draft else None})
        return
    table = Table(show_header=False, box=None)
    for name, value in _fields(head).items():
        table.add_row(name.replace("_", " "), "-" if value is None else str(value))
    Console(highlight=False).print(table)


def _fields(head: Journey) -> dict[str, object]:
    settling = head.settling
    return {
        "id": head.id,
        "bot_id": head.bot_id,
        "name": head.name,
        "status": head.status.value,
        "version": head.version,
        "revision": head.rev,
        "has_draft": head.draft is not None,
        "members_settled": settling.done if settling else None,
        "pause_reason": head.pause_reason,
        "schedule_end_at": head.schedule_end_at,
        "end_reason": head.end_reason,
    }


def _print_plan(plan: list[lifecycle.Standing], as_json: bool) -> None:
    if as_json:
        print_json(plan)
        return
    table = Table("version", "node", "members", "would", box=None)
    for one in plan:
        table.add_row(str(one.version), one.node_id, f"{one.members:,}", one.fate)
    Console(highlight=False).print(table if plan else "nobody is on the way")
