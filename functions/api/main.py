"""The REST API: journeys, members, and what waits for an operator."""

import functions_framework
from flask import Request, Response

from sojourn.runtime.api.app import serve


@functions_framework.http
def api(request: Request) -> Response:
    """Answer a request of the API (`sojourn.runtime.api` says with what)."""
    return serve(request)
