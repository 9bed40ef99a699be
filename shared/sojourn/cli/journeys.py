"""`sojourn journeys`: definitions from files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from emulator.state import read_state
from sojourn.application.lifecycle import publish_journey
from sojourn.cli.local import STATE_DIR, Json
from sojourn.domain.errors import DefinitionInvalid, Fault
from sojourn.runtime.application import compose
from sojourn.runtime.definition_file import load_definition
from sojourn.runtime.settings import read_settings

app = typer.Typer(no_args_is_help=True, help="Journey definitions.", rich_markup_mode=None)
Files = Annotated[list[Path], typer.Argument(help="YAML or JSON definitions.")]


@app.command()
def validate(files: Files, as_json: Json = False) -> None:
    """Check definitions; every fault with its line."""
    faults = {str(file): _faults(file) for file in files}
    if as_json:
        listed = {name: [_as_json(fault) for fault in found] for name, found in faults.items()}
        sys.stdout.write(json.dumps(listed, indent=2) + "\n")
    else:
        for name, found in faults.items():
            sys.stdout.write("".join(f"{name}: {fault}\n" for fault in found) or f"{name}: right\n")
    if any(faults.values()):
        raise typer.Exit(2)


@app.command()
def publish(files: Files, as_json: Json = False) -> None:
    """Publish definitions to the running local cloud, or to the project that the environment names."""
    definitions = [load_definition(file) for file in files]
    shop = compose(read_settings({**os.environ, **_local_cloud()}))
    heads = [publish_journey(shop, definition) for definition in definitions]
    if as_json:
        sys.stdout.write(json.dumps([{"id": head.id, "version": head.version, "status": head.status} for head in heads]) + "\n")
    else:
        sys.stdout.write("".join(f"{head.id}: version {head.version} is {head.status}\n" for head in heads))


def _faults(file: Path) -> tuple[Fault, ...]:
    try:
        load_definition(file)
    except DefinitionInvalid as error:
        return error.faults
    return ()


def _as_json(fault: Fault) -> dict[str, object]:
    return {"line": fault.line, "node": fault.node_id, "location": list(fault.location), "message": fault.message}


def _local_cloud() -> dict[str, str]:
    """The running local cloud's addresses as environment variables; nothing where the environment names a project."""
    state = read_state(STATE_DIR)
    if state is None or os.environ.get("GOOGLE_CLOUD_PROJECT"):
        return {}
    return {
        "GOOGLE_CLOUD_PROJECT": state.project,
        "FIRESTORE_EMULATOR_HOST": state.firestore_emulator_host,
        "PUBSUB_EMULATOR_HOST": state.pubsub_emulator_host,
    }
