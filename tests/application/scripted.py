"""A channel that says what a test tells it to, and a member whose message goes over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pydantic import JsonValue

from sojourn.application.messages import EFFECTS_TOPIC, EffectMessage
from sojourn.domain.breaker import BreakerPolicy
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Delivery, Effect
from sojourn.domain.retry import RetryPolicy
from tests.application.conftest import Cloud
from tests.builders import definition, log, send, wait

DONE = Delivery("delivered", provider_id="p1")
BROKEN = Delivery("retryable", "503 Service Unavailable")


class ScriptedChannel:
    """A channel that says what it was told to say, and keeps what it was asked."""

    def __init__(self, *deliveries: Delivery, idempotent: bool = True, resend: bool = True, attempts: int = 3) -> None:
        self._deliveries = list(deliveries)
        self.idempotent, self.resend_when_uncertain = idempotent, resend
        self.retry = RetryPolicy(max_attempts=attempts)
        self.breaker: BreakerPolicy | None = None
        self.usual = DONE
        self.asked: list[str] = []
        self.effects: list[Effect] = []
        self.instead: Callable[[], Delivery] | None = None

    def deliver(self, effect: Effect, message: JsonValue, *, url: str | None = None) -> Delivery:
        if self.instead is not None:
            instead, self.instead = self.instead, None
            return instead()
        self.asked.append(effect.id)
        self.effects.append(effect)
        return self._deliveries.pop(0) if self._deliveries else self.usual


def use(cloud: Cloud, channel: ScriptedChannel, name: str = "mailbox") -> None:
    """From now on the cloud's channel of that name."""
    cloud.shop = replace(cloud.shop, channels={**cloud.shop.channels, name: channel})


def sent(cloud: Cloud, channel: ScriptedChannel | None = None, of: Definition | None = None) -> EffectMessage:
    """A member who just caused one effect; the message to perform it."""
    if channel is not None:
        use(cloud, channel)
    cloud.publish(of or definition([send(), wait()]))
    cloud.log(log())
    cloud.hop()
    cloud.waiting(EFFECTS_TOPIC)
    return EffectMessage(effect_id=cloud.only(Effect).id)


def sent_to_many(cloud: Cloud, count: int, channel: ScriptedChannel, of: Definition | None = None) -> list[EffectMessage]:
    """The same for so many members."""
    use(cloud, channel)
    cloud.publish(of or definition([send(), wait(duration="10d")]))
    cloud.log(*(log(member=f"m{number}") for number in range(count)))
    cloud.hop()
    return [EffectMessage.model_validate(message) for message in cloud.waiting(EFFECTS_TOPIC)]
