"""`sojourn journeys`: definitions from files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sojourn.application.lifecycle import publish_journey
from sojourn.application.schedule_jobs import reconcile_jobs
from sojourn.cli.local import Json
from sojourn.cli.stores import cloud_name, print_json, workshop
from sojourn.domain.errors import DefinitionInvalid, Fault
from sojourn.domain.schema import file_schema
from sojourn.runtime.definition_file import load_definition

app = typer.Typer(no_args_is_help=True, help="Journey definitions.", rich_markup_mode=None)
Files = Annotated[list[Path], typer.Argument(help="YAML or JSON definitions.")]


@app.command()
def validate(files: Files, as_json: Json = False) -> None:
    """Check definitions; every fault with its line."""
    faults = _check(files)
    if as_json:
        listed = {str(file): [_as_json(fault) for fault in found] for file, found in faults.items()}
        sys.stdout.write(json.dumps(listed, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("".join(_sentences(file, found) or f"{file}: valid\n" for file, found in faults.items()))
    if any(faults.values()):
        raise typer.Exit(2)


@app.command()
def publish(files: Files, as_json: Json = False) -> None:
    """Publish definitions to the running local cloud; none unless all are valid.

    Where GOOGLE_CLOUD_PROJECT or FIRESTORE_EMULATOR_HOST is set, they go to what it names instead.
    """
    faults = _check(files)
    if any(faults.values()):
        sys.stderr.write("".join(_sentences(file, found) for file, found in faults.items()))
        raise typer.Exit(2)
    shop = workshop()
    heads = [publish_journey(shop, load_definition(file)) for file in files]
    if as_json:
        sys.stdout.write(json.dumps([{"id": head.id, "version": head.version, "status": head.status} for head in heads]) + "\n")
    else:
        lines = (f"{head.id}: version {head.version} is {head.status} in {cloud_name()}\n" for head in heads)
        sys.stdout.write("".join(lines))


@app.command()
def reconcile(as_json: Json = False) -> None:
    """Repair the jobs of schedule triggers in Cloud Scheduler, where they are not what the journeys say."""
    repairs = reconcile_jobs(workshop())
    if as_json:
        print_json(repairs)
    else:
        lines = [f"{repair.change} {repair.name} ({repair.description})\n" for repair in repairs]
        sys.stdout.write("".join(lines) or "every job is as it should be\n")


def schema() -> None:
    """Print the JSON Schema of a definition file, for editors."""
    print_json(file_schema())


def _check(files: Sequence[Path]) -> dict[Path, tuple[Fault, ...]]:
    faults: dict[Path, tuple[Fault, ...]] = dict.fromkeys(files, ())
    for file in files:
        try:
            load_definition(file)
        except DefinitionInvalid as error:
            faults[file] = error.faults
    return faults


def _sentences(file: Path, faults: Sequence[Fault]) -> str:
    return "".join(f"{file}: {str(fault).removeprefix(f'{file}: ')}\n" for fault in faults)


def _as_json(fault: Fault) -> dict[str, object]:
    return {"line": fault.line, "node": fault.node_id, "location": list(fault.location), "message": fault.message}
