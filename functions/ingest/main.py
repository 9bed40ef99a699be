"""A log entry of ours in: members start on journeys, members who listen are told."""

import functions_framework
from flask import Request

from sojourn.application.ingest import ingest as ingest_entries
from sojourn.runtime.function import Function, entries
from sojourn.runtime.respond import Answer, respond

FUNCTION = Function("ingest", entries(ingest_entries))


@functions_framework.http
def ingest(request: Request) -> Answer:
    """Answer a Pub/Sub push request (`sojourn.runtime.function` says with what)."""
    return respond(request, FUNCTION)
