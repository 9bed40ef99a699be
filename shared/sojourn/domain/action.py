"""What an action node asks for: its settings with the placeholders filled in, as the payload of an effect."""

from __future__ import annotations

import json
from typing import assert_never

from pydantic import JsonValue

from sojourn.domain.effect import CallWebhook, EmitEvent, EnrollJourney, Payload, SendMessage, UpdateMember
from sojourn.domain.event import JsonObject
from sojourn.domain.expression import Scope, render
from sojourn.domain.node import Action, EmitEventNode, EnrollJourneyNode, SendMessageNode, UpdateMemberNode, WebhookNode

MAX_PAYLOAD_BYTES = 65_536


def payload_of(node: Action, variables: Scope, *, depth: int | None) -> tuple[Payload, tuple[str, ...]]:
    """The payload, rendered now so that a retry sends the same words, and why placeholders stayed empty.

    `depth`: the place of an event in a row of emitted ones; None: the first.
    """
    match node:
        case SendMessageNode(settings=settings):
            rendered = render(settings.message, variables)
            return SendMessage(settings.channel, rendered.value), rendered.reasons
        case WebhookNode(settings=settings):
            rendered = render(settings.body, variables)
            return CallWebhook(settings.url, rendered.value), rendered.reasons
        case UpdateMemberNode(settings=settings):
            rendered = render(settings.attributes, variables)
            return UpdateMember(_object(rendered.value)), rendered.reasons
        case EmitEventNode(settings=settings):
            rendered = render(settings.data, variables)
            return EmitEvent(settings.name, _object(rendered.value), depth), rendered.reasons
        case EnrollJourneyNode(settings=settings):
            rendered = render(settings.data, variables)
            return EnrollJourney(settings.journey_id, _object(rendered.value), depth), rendered.reasons
        case _:
            assert_never(node)


def size_bytes(payload: Payload) -> int:
    """The size of what the payload carries, as JSON."""
    return len(json.dumps(content_of(payload)))


def content_of(payload: Payload) -> JsonValue:
    """What the payload carries, to whomever."""
    match payload:
        case SendMessage(message=value) | CallWebhook(body=value):
            return value
        case UpdateMember(attributes=fields) | EmitEvent(data=fields) | EnrollJourney(data=fields):
            return dict(fields)
        case _:
            assert_never(payload)


def _object(value: JsonValue) -> JsonObject:
    assert isinstance(value, dict), "the template is an object"
    return value
