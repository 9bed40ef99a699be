"""`sojourn journeys`: definitions from files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from emulator.errors import NotRunning
from sojourn.application.lifecycle import publish_journey
from sojourn.cli.local import Json, running_cloud
from sojourn.domain.errors import DefinitionInvalid, Fault
from sojourn.runtime.application import compose
from sojourn.runtime.definition_file import load_definition
from sojourn.runtime.settings import VARIABLES, Settings, read_settings

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
    settings = _settings()
    shop = compose(settings)
    heads = [publish_journey(shop, load_definition(file)) for file in files]
    if as_json:
        sys.stdout.write(json.dumps([{"id": head.id, "version": head.version, "status": head.status} for head in heads]) + "\n")
    else:
        lines = (f"{head.id}: version {head.version} is {head.status} in {settings.project}\n" for head in heads)
        sys.stdout.write("".join(lines))


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


def _settings() -> Settings:
    """Those of the environment where it names a cloud, else those of the running local cloud. Raises NotRunning."""
    named = ("project", "firestore_emulator_host")
    if any(os.environ.get(VARIABLES[field]) for field in named):
        return read_settings(os.environ)
    try:
        state = running_cloud()
    except NotRunning as error:
        raise NotRunning(f"{error}, or name a project with {VARIABLES['project']}") from error
    addresses = {
        VARIABLES["project"]: state.project,
        VARIABLES["firestore_emulator_host"]: state.firestore_emulator_host,
        VARIABLES["pubsub_emulator_host"]: state.pubsub_emulator_host,
    }
    return read_settings(os.environ | addresses)
