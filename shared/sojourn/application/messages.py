"""The messages between functions: small, versioned, closed. What they name is in the store; they carry no state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sojourn.application.ports import Outgoing
from sojourn.domain.effect import Effect
from sojourn.domain.errors import MessageInvalid
from sojourn.domain.event import first_fault
from sojourn.domain.journey import LOG_ENTRIES
from sojourn.domain.progress import Progress

EVENTS_TOPIC = LOG_ENTRIES
RUNS_TOPIC = "journey-runs"
EFFECTS_TOPIC = "journey-effects"
SWEEPS_TOPIC = "journey-sweeps"
ENROLLMENTS_TOPIC = "journey-enrollments"
DEAD_LETTERS_TOPIC = "journey-dead-letters"
TOPIC_OF = {
    "ingest": EVENTS_TOPIC,
    "run_journey": RUNS_TOPIC,
    "perform": EFFECTS_TOPIC,
    "sweep": SWEEPS_TOPIC,
    "enroll": ENROLLMENTS_TOPIC,
}
"""The topic that feeds each function, as in `infra/functions.json`."""

MAX_SHARDS = 1_024
MAX_MESSAGE_BYTES = 16_384
"""Far more than one that names every shard."""

DocumentId = Annotated[str, Field(min_length=1, max_length=200)]
Shard = Annotated[int, Field(ge=0, lt=MAX_SHARDS)]


class Message(BaseModel):
    """A message with the version of its form."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1] = 1

    def to(self, topic: str, *, trace_id: str | None = None) -> Outgoing:
        """This message for a topic, in the trace of whom it is about."""
        return Outgoing(topic, self.model_dump_json(exclude_none=True).encode(), trace_id)


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

    With `settle`: the next page of what a change of that journey left to do. `checkup`: the next page of the daily check.
    """

    shards: tuple[Shard, ...] | None = Field(default=None, max_length=MAX_SHARDS)
    deep: bool = False
    settle: DocumentId | None = None
    checkup: Literal[True] | None = None


class EnrollMessage(Message):
    """Enroll the audience of a schedule trigger. As its job publishes it: from the beginning, for the firing that is due.

    With `fired_at`: the page after `after` of that firing. With `struck_at`: a firing whose message was dead-lettered; the
    schedule names it by when Pub/Sub took that one.
    """

    journey_id: DocumentId
    node_id: DocumentId
    fired_at: AwareDatetime | None = None
    after: DocumentId | None = None
    struck_at: AwareDatetime | None = None


def message_about(record: Progress | Effect, *, head_rev: int | None = None) -> Outgoing:
    """Asks for the member's next hop, from exactly where they are; for the effect to be performed."""
    if isinstance(record, Effect):
        return EffectMessage(effect_id=record.id).to(EFFECTS_TOPIC, trace_id=record.trace_id)
    message = RunMessage(progress_id=record.id, rev=record.rev, head_rev=head_rev)
    return message.to(RUNS_TOPIC, trace_id=record.trace_id)


M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Delivered(Generic[M]):
    """A message, and when Pub/Sub took it: the same at every delivery."""

    message: M
    published_at: datetime


def read_message(kind: type[M], data: bytes) -> M:
    """The message in `data`. Raises MessageInvalid, which names the field."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageInvalid(f"{kind.__name__}: {len(data):,} bytes; at most {MAX_MESSAGE_BYTES:,}")
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise MessageInvalid(f"{kind.__name__}: {first_fault(error)}") from error
