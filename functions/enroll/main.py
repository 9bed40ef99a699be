"""Firings of schedule triggers in, page by page; members start on journeys."""

import functions_framework
from flask import Request

from sojourn.application.enroll import enroll as enroll_members
from sojourn.application.messages import EnrollMessage
from sojourn.runtime.function import Function, deliveries
from sojourn.runtime.respond import Answer, respond

FUNCTION = Function("enroll", deliveries(EnrollMessage, enroll_members), batch=1)


@functions_framework.http
def enroll(request: Request) -> Answer:
    """Answer a Pub/Sub push request (`sojourn.runtime.function` says with what)."""
    return respond(request, FUNCTION)
