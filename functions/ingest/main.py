"""A log entry of ours in: members start on journeys, members who listen are told."""

import functions_framework
from flask import Request

from sojourn.application.ingest import ingest as ingest_entries
from sojourn.runtime.respond import Answer, entries, respond


@functions_framework.http
def ingest(request: Request) -> Answer:
    """Answer a Pub/Sub push request (`sojourn.runtime.respond` says with what)."""
    return respond(request, "ingest", entries(ingest_entries))
