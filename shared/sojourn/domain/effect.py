"""Effects: things to do outside the progress document, as frozen data with a deterministic id. Somebody else performs them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, TypeAlias

from pydantic import JsonValue

from sojourn.domain.event import JsonObject
from sojourn.domain.moment import period_of
from sojourn.domain.progress import READY_GRACE_SECONDS, grace

LEASE_SECONDS = 120
"""A performer that is silent for longer is taken for dead; twice the request timeout of 60 s, for zombies and clocks."""


@dataclass(frozen=True, slots=True)
class SendMessage:
    """A message to the member over a configured channel; rendered when the node ran, so a retry sends the same words."""

    channel: str
    message: JsonValue


@dataclass(frozen=True, slots=True)
class CallWebhook:
    """A JSON POST to an address that the author chose."""

    url: str
    body: JsonValue


@dataclass(frozen=True, slots=True)
class UpdateMember:
    """Set attributes of the member; null removes one."""

    attributes: JsonObject


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """An event of the engine's own, taken in like any other; the `depth`-th in a row of them, None: the first."""

    name: str
    data: JsonObject
    depth: int | None = None


@dataclass(frozen=True, slots=True)
class EnrollJourney:
    """Start the member on another journey of the same bot, by an event that counts in the same rows."""

    journey_id: str
    data: JsonObject
    depth: int | None = None


Payload: TypeAlias = SendMessage | CallWebhook | UpdateMember | EmitEvent | EnrollJourney


class EffectStatus(StrEnum):
    """PENDING until claimed, PERFORMING under a lease, then one of the terminal four."""

    PENDING = "PENDING"
    PERFORMING = "PERFORMING"
    DONE = "DONE"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    DEAD = "DEAD"

    @property
    def terminal(self) -> bool:
        """Nothing more is done by itself; DEAD waits for an operator."""
        return self not in (EffectStatus.PENDING, EffectStatus.PERFORMING)


Failure: TypeAlias = Literal["transient", "permanent", "partial", "system"]
"""It may pass; it never will; some of it arrived; it is our own (configuration, store, topics) and never the member's."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of a message in parts (several devices, addresses, bubbles) of which some arrived.

    `undelivered` are worth another try, which asks for them alone; `failed` are lost for good, each with why. After each of the
    `answers` that were partial the idempotency key is another one: a receiver would repeat what it answered to the first.
    """

    undelivered: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    answers: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """`effects/{id}`: id = hash(progress id, node id, visit, slot), which is also the idempotency key.

    `attempts` counts deliveries that were answered; `setbacks`, since the last answer, what was not the other side's fault:
    failures of the system, and performers that died. `failure` is the kind of the last one, None once everything has arrived.

    `trace_id` is the passage's trace. `caused_at`: when that happened to which it is the reaction (the log line, the moment a
    wait was due); None once it is put off, parked or taken up again, for then it is none any more.
    """

    id: str
    progress_id: str
    journey_id: str
    version: int
    bot_id: str
    member_id: str
    member_key: str
    node_id: str
    payload: Payload
    created_at: datetime
    updated_at: datetime
    status: EffectStatus = EffectStatus.PENDING
    reason: str | None = None
    attempts: int = 0
    setbacks: int = 0
    failure: Failure | None = None
    not_before: datetime | None = None
    result: JsonValue = None
    rest: Rest | None = None
    quota_share: int | None = None
    parked: bool = False
    rev: int = 1
    token: str = ""
    shard: int | None = None
    sweep_at: datetime | None = None
    sweep_count: int = 0
    expire_at: datetime | None = None
    trace_id: str | None = None
    caused_at: datetime | None = None

    @property
    def skipped_for(self) -> str | None:
        """Why it was skipped, in the few words before the colon, which reports count by; None unless SKIPPED."""
        return (self.reason or "unknown").partition(":")[0] if self.status is EffectStatus.SKIPPED else None

    @property
    def finished_in(self) -> str | None:
        """The five minutes in which it was delivered or failed for good, which the limit on a journey's failures counts by."""
        done = self.status is EffectStatus.DONE or self.failed
        return period_of(self.updated_at) if done else None

    @property
    def failed_in(self) -> str | None:
        """The same of those that failed."""
        return period_of(self.updated_at) if self.failed else None

    @property
    def failed(self) -> bool:
        """Whether it failed for good, or until an operator says otherwise."""
        return self.status in (EffectStatus.FAILED, EffectStatus.DEAD)

    @property
    def delivery_key(self) -> str:
        """The idempotency key of the next delivery."""
        return f"{self.id}-{self.rest.answers}" if self.rest and self.rest.answers else self.id


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a channel says about one delivery.

    delivered; `permanent`: failed for good; `retryable`: it did not arrive and is worth another try, not before `retry_after`
    where the other side says so; `uncertain`: it may have arrived, nobody has said so; `partial`: but for `rest`; `system`: our
    own fault, such as a channel that nobody configured.
    """

    outcome: Literal["delivered", "permanent", "retryable", "uncertain", "partial", "system"]
    reason: str | None = None
    provider_id: str | None = None
    result: JsonValue = None
    retry_after: timedelta | None = None
    rest: Rest | None = None


def first_sweep(effect_id: str, *, now: datetime) -> datetime:
    """When the sweep publishes an effect whose message was lost."""
    return now + grace(effect_id, READY_GRACE_SECONDS)
