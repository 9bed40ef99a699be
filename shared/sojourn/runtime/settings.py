"""Settings: the environment, read once, into one frozen object. A wrong value is refused by its variable's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError

from sojourn.application.messages import MAX_SHARDS
from sojourn.application.workshop import DEFAULT_SHARDS
from sojourn.domain.engine import MAX_NODES_PER_HOP
from sojourn.domain.errors import SettingsInvalid
from sojourn.domain.event import first_fault
from sojourn.runtime.channels import ChannelsByName


class Settings(BaseModel):
    """One field for each variable in `VARIABLES`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: Annotated[str, Field(min_length=1)] = "sojourn-local"
    database: Annotated[str, Field(min_length=1)] = "(default)"
    location: Annotated[str, Field(min_length=1)] = "us-central1"
    prefix: Annotated[str, Field(pattern=r"^([a-z][a-z0-9-]*-)?$")] = ""
    max_nodes_per_hop: Annotated[int, Field(ge=1, le=500)] = MAX_NODES_PER_HOP
    shards: Annotated[int, Field(ge=1, le=MAX_SHARDS)] = DEFAULT_SHARDS
    mailbox_url: str | None = None
    clock_file: Path | None = None
    firestore_emulator_host: str | None = None
    pubsub_emulator_host: str | None = None
    scheduler_emulator_host: str | None = None
    api_access: Literal["google", "open"] = "google"
    api_audience: str | None = None
    api_roles: Json[Mapping[Literal["viewer", "author", "operator"], frozenset[str]]] = Field(default_factory=dict)
    channels: Json[ChannelsByName] = Field(default_factory=dict)
    tracing: Literal["off", "google"] = "off"
    subscription: Annotated[str, Field(min_length=1)] | None = None


VARIABLES = {
    "project": "GOOGLE_CLOUD_PROJECT",
    "database": "SOJOURN_DATABASE",
    "location": "SOJOURN_LOCATION",
    "prefix": "SOJOURN_PREFIX",
    "max_nodes_per_hop": "SOJOURN_MAX_NODES_PER_HOP",
    "shards": "SOJOURN_SHARDS",
    "mailbox_url": "SOJOURN_MAILBOX_URL",
    "clock_file": "SOJOURN_CLOCK_FILE",
    "firestore_emulator_host": "FIRESTORE_EMULATOR_HOST",
    "pubsub_emulator_host": "PUBSUB_EMULATOR_HOST",
    "scheduler_emulator_host": "CLOUD_SCHEDULER_EMULATOR_HOST",
    "api_access": "SOJOURN_API_ACCESS",
    "api_audience": "SOJOURN_API_AUDIENCE",
    "api_roles": "SOJOURN_API_ROLES",
    "channels": "SOJOURN_CHANNELS",
    "tracing": "SOJOURN_TRACING",
    "subscription": "SOJOURN_SUBSCRIPTION",
}


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`. Raises SettingsInvalid, which names the variable."""
    given = {field: environment[name] for field, name in VARIABLES.items() if environment.get(name)}
    try:
        return Settings.model_validate(given, context={"environment": environment})
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        if field == "channels":
            raise SettingsInvalid(f"environment variable {VARIABLES[field]}: {_fault_without_values(error)}") from None
        raise SettingsInvalid(f"environment variable {VARIABLES[field]}: {first_fault(error).partition(': ')[2]}") from error


def _fault_without_values(error: ValidationError) -> str:
    """Where it is and what is wrong: the values may be secrets, so neither this text nor the cause shows one."""
    fault = error.errors(include_input=False, include_url=False)[0]
    return "".join(f"{part}: " for part in fault["loc"][1:]) + fault["msg"].removeprefix("Value error, ")
