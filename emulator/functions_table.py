"""The table of functions, `infra/functions.json`: what Terraform deploys and the local cloud starts, written once."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

REPOSITORY = Path(__file__).resolve().parent.parent
FUNCTIONS_JSON = REPOSITORY / "infra" / "functions.json"

BackoffSeconds = Annotated[int, Field(ge=0, le=600)]
Positive = Annotated[int, Field(ge=1)]
Driver = Literal["push", "pull"]
Need = Literal["dead_letters", "jobs", "secrets"]


class TopicSpec(BaseModel):
    """A topic; exactly one of the table takes the dead letters of every subscription."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: str
    dead_letter: bool = False


class ServiceSpec(BaseModel):
    """A function that is called over HTTPS; the limits are those of Cloud Run functions.

    `publishes`: the topics that its account may publish to; `needs`: what else it may do beside reading and writing documents.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    entry_point: str
    publishes: tuple[str, ...]
    needs: tuple[Need, ...]
    cpu: Positive
    memory_mib: Positive
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)]
    concurrency: Annotated[int, Field(ge=1, le=1000)]
    min_instances: Annotated[int, Field(ge=0)]
    max_instances: Positive


class FunctionSpec(ServiceSpec):
    """A function and its subscription; the limits are those of Pub/Sub too. `driver`: Pub/Sub calls it, or a worker pulls."""

    topic: str
    driver: Driver = "push"
    ack_deadline_seconds: Annotated[int, Field(ge=10, le=600)]
    minimum_backoff_seconds: BackoffSeconds
    maximum_backoff_seconds: BackoffSeconds
    max_delivery_attempts: Annotated[int, Field(ge=5, le=100)]


class FunctionsTable(BaseModel):
    """Topics and functions by name, with every reference between them checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runtime: str
    topics: dict[str, TopicSpec]
    functions: dict[str, FunctionSpec]
    services: dict[str, ServiceSpec] = {}

    @property
    def everything(self) -> dict[str, ServiceSpec]:
        """All that is deployed: functions that a topic feeds, and services that answer callers."""
        return {**self.functions, **self.services}

    def only(self, *names: str, **fields: object) -> Self:
        """These functions alone, with other values in some of their fields."""
        kept = {name: self.functions[name].model_copy(update=fields) for name in names}
        return self.model_copy(update={"functions": kept, "services": {}})

    def pulled(self, *names: str) -> Self:
        """The same with workers for these functions."""
        pulled = {name: self.functions[name].model_copy(update={"driver": "pull"}) for name in names}
        return self.model_copy(update={"functions": {**self.functions, **pulled}})

    @property
    def dead_letter_topic(self) -> str:
        """The topic of the messages that were not acknowledged in time."""
        return next(name for name, topic in self.topics.items() if topic.dead_letter)

    @model_validator(mode="after")
    def _references_hold(self) -> Self:
        faults = [
            f"functions.{name}.topic: there is no topic {function.topic!r}"
            for name, function in self.functions.items()
            if function.topic not in self.topics
        ]
        faults += [
            f"{name}.publishes: there is no topic {topic!r}"
            for name, function in self.everything.items()
            for topic in function.publishes
            if topic not in self.topics
        ]
        faults += [f"services.{name}: is a function as well" for name in self.services if name in self.functions]
        if sum(topic.dead_letter for topic in self.topics.values()) != 1:
            faults.append("topics: exactly one must have dead_letter: true")
        if faults:
            raise ValueError("; ".join(faults))
        return self


def load_functions_table(path: Path = FUNCTIONS_JSON) -> FunctionsTable:
    """Raises pydantic's ValidationError, which names every field at fault."""
    return FunctionsTable.model_validate_json(path.read_bytes())
