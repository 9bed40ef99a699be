"""One member's next hop."""

import functions_framework
from flask import Request

from sojourn.application.messages import RunMessage
from sojourn.application.run_journeys import run_journeys
from sojourn.runtime.function import Function, messages
from sojourn.runtime.respond import Answer, respond

FUNCTION = Function("run_journey", messages(RunMessage, run_journeys))


@functions_framework.http
def run_journey(request: Request) -> Answer:
    """Answer a Pub/Sub push request (`sojourn.runtime.function` says with what)."""
    return respond(request, FUNCTION)
