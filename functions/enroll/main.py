"""Firings of schedule triggers in, page by page; members start on journeys."""

import functions_framework
from flask import Request

from sojourn.application.enroll import enroll as enroll_members
from sojourn.application.messages import EnrollMessage
from sojourn.runtime.respond import Answer, deliveries, respond


@functions_framework.http
def enroll(request: Request) -> Answer:
    """Answer a Pub/Sub push request (`sojourn.runtime.respond` says with what)."""
    return respond(request, "enroll", deliveries(EnrollMessage, enroll_members))
