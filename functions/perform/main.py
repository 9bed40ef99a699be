"""One effect out: a message, a webhook, an event."""

import functions_framework
from flask import Request

from sojourn.application.messages import EffectMessage
from sojourn.application.perform_effects import perform_effects
from sojourn.runtime.respond import Answer, messages, respond


@functions_framework.http
def perform(request: Request) -> Answer:
    """Answer a Pub/Sub push request (`sojourn.runtime.respond` says with what)."""
    return respond(request, "perform", messages(EffectMessage, perform_effects))
