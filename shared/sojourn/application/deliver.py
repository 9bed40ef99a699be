"""The doing of an effect: over a channel, or on what is ours. Answers a `Delivery`, whatever happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never
from urllib.parse import urlsplit

from sojourn.application.entry import ENROLLED_EVENT, Candidate, enter_many
from sojourn.application.messages import EVENTS_TOPIC
from sojourn.application.ports import Channel, Outgoing
from sojourn.application.records import CommitResult, Create, Update
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.effect import CallWebhook, Delivery, Effect, EmitEvent, EnrollJourney, SendMessage, UpdateMember
from sojourn.domain.errors import Unavailable
from sojourn.domain.event import MAX_EMIT_DEPTH, Event, JsonObject, write_log_entry
from sojourn.domain.member import Member
from sojourn.domain.node import ApiTrigger, SendMessageNode, WebhookNode
from sojourn.domain.retry import RetryPolicy

WEBHOOK_CHANNEL = "webhook"
"""The configured channel that `webhook` nodes use; they bring the url."""
OWN_RETRY = RetryPolicy()


def channel_of(shop: Workshop, effect: Effect) -> Channel | None:
    """The channel that the effect goes over; None for what is our own, and where nobody configured it."""
    match effect.payload:
        case SendMessage(channel=name):
            return shop.channels.get(name)
        case CallWebhook():
            return shop.channels.get(WEBHOOK_CHANNEL)
        case UpdateMember() | EmitEvent() | EnrollJourney():
            return None
        case _:
            assert_never(effect.payload)


def destination_of(effect: Effect) -> str:
    """What fails together: a channel, and of authors' addresses each host, for they have nothing to do with each other."""
    if isinstance(effect.payload, CallWebhook):
        return f"{WEBHOOK_CHANNEL} {urlsplit(effect.payload.url).netloc.rpartition('@')[2].lower()}"
    return effect.payload.channel if isinstance(effect.payload, SendMessage) else ""


def retry_policy(shop: Workshop, effect: Effect) -> RetryPolicy:
    """The node's, in the version that the effect was asked for by; else its channel's."""
    definition = shop.catalog.definition(effect.journey_id, effect.version)
    node = definition.by_id.get(effect.node_id) if definition else None
    if isinstance(node, SendMessageNode | WebhookNode) and node.settings.retry is not None:
        return node.settings.retry
    channel = channel_of(shop, effect)
    return channel.retry if channel else OWN_RETRY


def deliver(shop: Workshop, effect: Effect, now: datetime) -> Delivery:
    """Do it. A service of our own that does not answer is a failure of the system; what is ours is idempotent."""
    try:
        return _deliver(shop, effect, now)
    except Unavailable as error:
        return Delivery("system", str(error))


def _deliver(shop: Workshop, effect: Effect, now: datetime) -> Delivery:
    match effect.payload:
        case SendMessage(channel=name, message=message):
            channel = shop.channels.get(name)
            return channel.deliver(effect, message) if channel else _no_channel(shop, name)
        case CallWebhook(url=url, body=body):
            channel = shop.channels.get(WEBHOOK_CHANNEL)
            return channel.deliver(effect, body, url=url) if channel else _no_channel(shop, WEBHOOK_CHANNEL)
        case UpdateMember(attributes=attributes):
            return _update_member(shop, effect, attributes, now)
        case EmitEvent(name=name):
            return _emit(shop, _event(effect, name, effect.payload))
        case EnrollJourney(journey_id=journey_id):
            return _enroll(shop, journey_id, _event(effect, ENROLLED_EVENT, effect.payload))
        case _:
            assert_never(effect.payload)


def _no_channel(shop: Workshop, name: str) -> Delivery:
    return Delivery("system", f"no channel {name!r}; there are {', '.join(sorted(shop.channels))}")


def _update_member(shop: Workshop, effect: Effect, attributes: JsonObject, now: datetime) -> Delivery:
    """Setting is idempotent, so a repeat does no harm; a lost race is run again."""
    for _ in range(MAX_ROUNDS):
        stored = shop.store.get_many(Member, [effect.member_key])[0]
        before = stored.value if stored else Member(effect.bot_id, effect.member_id, {}, None, None, {}, 0, "", now)
        merged = {key: value for key, value in {**before.attributes, **attributes}.items() if value is not None}
        after = replace(before, attributes=merged, rev=before.rev + 1, token=shop.tokens.token(), updated_at=now)
        write = Update(after, stored.version) if stored else Create(after)
        result = shop.commit_many([(write,)])[0]
        if result is CommitResult.APPLIED:
            return Delivery("delivered")
        if result is CommitResult.REFUSED:
            return Delivery("permanent", "the store refuses the member's document, such as for its size")
    return Delivery("system", "the member is being written by others")


def _event(effect: Effect, name: str, payload: EmitEvent | EnrollJourney) -> Event:
    """The event that an effect emits: same member, same trace. The effect's id is the event's, so a repeat counts once."""
    return Event(
        id=effect.id,
        name=name,
        bot_id=effect.bot_id,
        member_id=effect.member_id,
        occurred_at=effect.created_at,
        data=payload.data,
        depth=payload.depth or 1,
        trace=effect.trace_id,
    )


def _emit(shop: Workshop, event: Event) -> Delivery:
    if event.depth > MAX_EMIT_DEPTH:
        return Delivery("permanent", f"journeys emitted {MAX_EMIT_DEPTH} events in a row: a loop")
    sent = shop.publish_many([Outgoing(EVENTS_TOPIC, write_log_entry(event), event.trace_id)])[0]
    return Delivery("delivered") if sent else Delivery("system", "Pub/Sub did not take the event")


def _enroll(shop: Workshop, journey_id: str, event: Event) -> Delivery:
    """Enter through the other journey's `api` trigger."""
    active = next((one for one in shop.catalog.active(event.bot_id) if one.head.id == journey_id), None)
    trigger = next((node for node in active.definition.nodes if isinstance(node, ApiTrigger)), None) if active else None
    if active is None or trigger is None:
        return Delivery("permanent", f"no ongoing journey {journey_id!r} of bot {event.bot_id!r} with an api trigger")
    if event.depth > MAX_EMIT_DEPTH:
        return Delivery("permanent", f"journeys enrolled {MAX_EMIT_DEPTH} times in a row: a loop")
    entry = enter_many(shop, [Candidate(active.head, active.definition, trigger, event)])[0]
    if entry.outcome.retry:
        return Delivery("system", entry.outcome.code)
    if entry.message is not None:
        shop.publish_many([entry.message])
    return Delivery("delivered", result={"outcome": entry.outcome.code})
