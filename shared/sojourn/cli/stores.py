"""What the commands that look into a cloud share: which cloud, and how JSON is printed."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from typing import Annotated

import typer
from pydantic_core import to_json

from emulator.errors import NotRunning
from sojourn.application.records import MAX_PAGE
from sojourn.application.workshop import Workshop
from sojourn.cli.local import running_cloud
from sojourn.domain.audit import MAX_PRINCIPAL_CHARACTERS
from sojourn.runtime.application import compose, installed
from sojourn.runtime.settings import VARIABLES, Settings, read_settings

PRINCIPAL = "SOJOURN_PRINCIPAL"
"""The environment variable that says who works at this terminal; the user of the machine without it."""

Limit = Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="Show at most so many.")]


def workshop() -> Workshop:
    """The workshop over the cloud that `cloud_settings` names, or the one that was put in place. Raises NotRunning."""
    return (installed() or compose(cloud_settings())).by(principal())


def principal() -> str:
    """Who works here, as the audit tells it. `cli:` says that nothing proves it, unlike a token at the API."""
    return f"cli:{os.environ.get(PRINCIPAL) or _user_and_host()}"[:MAX_PRINCIPAL_CHARACTERS]


def _user_and_host() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        user = f"{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def cloud_name() -> str:
    """What to call that cloud: its project."""
    return "memory" if installed() else cloud_settings().project


def cloud_settings() -> Settings:
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
        VARIABLES["scheduler_emulator_host"]: state.scheduler_emulator_host or "",
    }
    return read_settings(os.environ | addresses)


def pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """What NAME=VALUE says, by name. Raises BadParameter for what is none."""
    found = {}
    for text in given or []:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
        found[name] = value
    return found


def print_json(value: object) -> None:
    """Values of ours as JSON, one document."""
    sys.stdout.write(to_json(value, indent=2).decode() + "\n")
