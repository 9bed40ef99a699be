"""The minute tick, and its fan-out over groups of shards."""

import functions_framework
from flask import Request

from sojourn.application.messages import SweepMessage
from sojourn.application.sweep import sweep as sweep_shards
from sojourn.runtime.function import Function, messages
from sojourn.runtime.respond import Answer, respond

FUNCTION = Function("sweep", messages(SweepMessage, sweep_shards), batch=1)


@functions_framework.http
def sweep(request: Request) -> Answer:
    """Answer a Pub/Sub push request (`sojourn.runtime.function` says with what)."""
    return respond(request, FUNCTION)
