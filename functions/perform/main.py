"""One effect out: a message, a webhook, an event."""

import functions_framework
from flask import Request

from sojourn.application.messages import EffectMessage
from sojourn.application.perform_effects import perform_effects
from sojourn.runtime.function import Function, messages
from sojourn.runtime.respond import Answer, respond

FUNCTION = Function("perform", messages(EffectMessage, perform_effects), batch=1)


@functions_framework.http
def perform(request: Request) -> Answer:
    """Answer a Pub/Sub push request (`sojourn.runtime.function` says with what)."""
    return respond(request, FUNCTION)
