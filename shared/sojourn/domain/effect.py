"""Effects: things to do outside the progress document, as frozen data with a deterministic id. Somebody else performs them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, TypeAlias

from pydantic import JsonValue

from sojourn.domain.event import JsonObject
from sojourn.domain.ids import jitter
from sojourn.domain.progress import READY_GRACE_SECONDS, grace

LEASE_SECONDS = 150
"""A performer that is silent for longer is taken for dead; longer than the request timeout of 60 s, for zombies and clocks."""


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
    """An event of the engine's own, taken in like any other."""

    name: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class EnrollJourney:
    """Start the member on another journey of the same bot."""

    journey_id: str
    data: JsonObject


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


@dataclass(frozen=True, slots=True)
class Effect:
    """`effects/{id}`: id = hash(progress id, node id, visit, slot), which is also the idempotency key."""

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
    not_before: datetime | None = None
    result: JsonValue = None
    quota_share: int | None = None
    parked: bool = False
    rev: int = 1
    token: str = ""
    shard: int | None = None
    sweep_at: datetime | None = None
    sweep_count: int = 0
    expire_at: datetime | None = None

    @property
    def skipped_for(self) -> str | None:
        """Why it was skipped, in the few words before the colon, which reports count by; None unless SKIPPED."""
        return (self.reason or "unknown").partition(":")[0] if self.status is EffectStatus.SKIPPED else None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a channel says about one delivery: done, failed for good, or worth another try."""

    outcome: Literal["delivered", "permanent", "retryable"]
    reason: str | None = None
    provider_id: str | None = None
    result: JsonValue = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed delivery is tried again: pauses that grow by `kind` up to a maximum, `max_attempts` deliveries in all."""

    kind: Literal["exponential", "linear", "fixed"] = "exponential"
    initial_seconds: float = 30
    maximum_seconds: float = 3_600
    max_attempts: int = 5

    def pause(self, effect_id: str, attempts: int) -> timedelta:
        """The pause after the `attempts`-th failure, with up to a tenth of jitter so that failures do not march in step."""
        growth = {"exponential": 2.0 ** min(attempts - 1, 30), "linear": float(attempts), "fixed": 1.0}[self.kind]
        seconds = min(self.initial_seconds * growth, self.maximum_seconds)
        return timedelta(seconds=seconds * (1 + 0.1 * jitter(f"{effect_id}{attempts}")))


def first_sweep(effect_id: str, *, now: datetime) -> datetime:
    """When the sweep publishes an effect whose message was lost."""
    return now + grace(effect_id, READY_GRACE_SECONDS)
