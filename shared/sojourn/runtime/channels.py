"""The channels of a deployment: one JSON setting, `SOJOURN_CHANNELS`, by name.

::

    {"line": {"kind": "webhook", "url": "https://push.example.com/messages", "on_uncertain": "skip", "idempotent": false,
              "headers": {"Authorization": {"secret_env": "LINE_TOKEN", "prefix": "Bearer "}},
              "retry": {"kind": "linear", "max_attempts": 5}, "breaker": {"failure_rate": 0.3}},
     "webhook": {"kind": "webhook", "retry": {"max_attempts": 8}}}

`webhook` is the channel of `webhook` nodes, which bring their address; so it has none, and no headers that could leak to one.
A secret is named, never written: `secret_env` is the environment variable that holds it. No text of an error, a log or a repr
has the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    model_validator,
)

from sojourn.application.deliver import WEBHOOK_CHANNEL
from sojourn.application.ports import Channel, Channels
from sojourn.domain.breaker import BreakerPolicy
from sojourn.domain.retry import RetryPolicy

if TYPE_CHECKING:
    from sojourn.runtime.settings import Settings

MAILBOX_CHANNEL = "mailbox"
MAX_CHANNELS, MAX_HEADERS = 50, 20
OWN_HEADERS = frozenset(
    {"content-type", "content-length", "transfer-encoding", "accept-encoding", "host", "idempotency-key", "traceparent"}
)
"""What the channel itself says."""

ChannelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class SecretReference(BaseModel):
    """A secret that stands in an environment variable, where Secret Manager has put it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    secret_env: Annotated[str, Field(min_length=1, max_length=200)]
    prefix: Annotated[str, Field(max_length=50)] = ""

    def resolve(self, environment: Mapping[str, str]) -> str:
        """The value. Raises ValueError, which names the variable."""
        value = environment.get(self.secret_env, "").strip()
        if not value:
            raise ValueError(f"secret_env names {self.secret_env}, an environment variable that is not set")
        return self.prefix + value


def _header_value(value: object, info: ValidationInfo) -> SecretStr:
    """A text, or the secret that a reference names in the environment that the settings are read from."""
    reference = SecretReference.model_validate(value) if isinstance(value, dict) else None
    text = reference.resolve((info.context or {}).get("environment", {})) if reference else value
    if not isinstance(text, str) or not text.isascii() or not text.isprintable():
        raise ValueError("a header is one line of ASCII, or {secret_env, prefix}")
    return SecretStr(text)


HeaderValue = Annotated[SecretStr, PlainValidator(_header_value)]


class ChannelSettings(BaseModel):
    """One channel. `on_uncertain`: what to do where an earlier delivery may have arrived and the receiver honours no keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: Literal["webhook"]
    url: Annotated[str, Field(max_length=2_000)] | None = Field(default=None, repr=False)
    idempotent: bool = True
    on_uncertain: Literal["resend", "skip"] = "resend"
    retry: RetryPolicy = RetryPolicy()
    breaker: BreakerPolicy | None = BreakerPolicy()
    headers: Annotated[Mapping[HeaderName, HeaderValue], Field(max_length=MAX_HEADERS)] = Field(
        default_factory=dict, exclude=True
    )

    @model_validator(mode="after")
    def _fits(self) -> ChannelSettings:
        from sojourn.adapters.channels.webhook import address_fault

        fault = address_fault(self.url) if self.url is not None else None
        if fault is not None:
            raise ValueError(f"url: {fault}")
        if taken := sorted(name for name in self.headers if name.lower() in OWN_HEADERS):
            raise ValueError(f"headers: {taken[0]} is the channel's own")
        return self


def _addressed(channels: Mapping[str, ChannelSettings]) -> Mapping[str, ChannelSettings]:
    for name, channel in channels.items():
        if name == WEBHOOK_CHANNEL and (channel.url is not None or channel.headers):
            raise ValueError(f"{name} goes to the addresses of `webhook` nodes: it takes neither url nor headers")
        if name != WEBHOOK_CHANNEL and channel.url is None:
            raise ValueError(f"{name}: url is missing")
    return channels


ChannelsByName = Annotated[Mapping[ChannelName, ChannelSettings], Field(max_length=MAX_CHANNELS), AfterValidator(_addressed)]


def compose_channels(settings: Settings) -> Channels:
    """The channels of this process. `mailbox` is a webhook like any other where the local stack keeps the box."""
    from sojourn.adapters.channels.webhook import WebhookChannel
    from sojourn.adapters.memory import MemoryMailbox

    mailbox = WebhookChannel(settings.mailbox_url) if settings.mailbox_url else MemoryMailbox()
    configured = {name: _channel(channel) for name, channel in settings.channels.items()}
    return {MAILBOX_CHANNEL: mailbox, WEBHOOK_CHANNEL: WebhookChannel(), **configured}


def _channel(settings: ChannelSettings) -> Channel:
    from sojourn.adapters.channels.webhook import Manners, WebhookChannel

    manners = Manners(
        idempotent=settings.idempotent,
        resend_when_uncertain=settings.on_uncertain == "resend",
        retry=settings.retry,
        breaker=settings.breaker,
        headers=settings.headers,
    )
    return WebhookChannel(settings.url, manners)
