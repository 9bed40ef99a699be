"""The messages between functions: small, versioned, closed. What they name is in the store; they carry no state."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sojourn.application.ports import Outgoing
from sojourn.domain.errors import MessageInvalid
from sojourn.domain.event import first_fault

EVENTS_TOPIC = "journey-events"
RUNS_TOPIC = "journey-runs"
EFFECTS_TOPIC = "journey-effects"
SWEEPS_TOPIC = "journey-sweeps"

MAX_SHARDS = 1_024

DocumentId = Annotated[str, Field(min_length=1, max_length=200)]
Shard = Annotated[int, Field(ge=0, lt=MAX_SHARDS)]


class Message(BaseModel):
    """A message with the version of its form."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1] = 1

    def to(self, topic: str) -> Outgoing:
        """This message for a topic."""
        return Outgoing(topic, self.model_dump_json(exclude_none=True).encode())


class RunMessage(Message):
    """Look at a progress. With `rev`: go on from exactly there. Without: a signal, something it may react to has happened.

    `head_rev`: the journey's head has changed, a cached one that is older will not do.
    """

    progress_id: DocumentId
    rev: int | None = None
    head_rev: int | None = None


class EffectMessage(Message):
    """Perform an effect."""

    effect_id: DocumentId


class SweepMessage(Message):
    """Sweep these shards; none named: the minute tick, which fans out. `deep` also looks at what has been due for long.

    With `settle`: the next page of what a change of that journey left to do.
    """

    shards: tuple[Shard, ...] | None = Field(default=None, max_length=MAX_SHARDS)
    deep: bool = False
    settle: DocumentId | None = None


M = TypeVar("M", bound=Message)


def read_message(kind: type[M], data: bytes) -> M:
    """The message in `data`. Raises MessageInvalid, which names the field."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise MessageInvalid(f"{kind.__name__}: {first_fault(error)}") from error
