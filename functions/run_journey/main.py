"""One member's next hop."""

import functions_framework
from flask import Request

from sojourn.application.messages import RunMessage
from sojourn.application.run_journeys import run_journeys
from sojourn.runtime.respond import Answer, messages, respond


@functions_framework.http
def run_journey(request: Request) -> Answer:
    """Answer a Pub/Sub push request (`sojourn.runtime.respond` says with what)."""
    return respond(request, "run_journey", messages(RunMessage, run_journeys))
