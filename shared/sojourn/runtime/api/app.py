"""The API as a Flask app of its own, which the function `api` hands every request to.

::

    request ─▶ principal, role ─▶ body is JSON ─▶ view ─▶ one use case ─▶ answer, ETag; one line in the log
                  │ 401 403         │ 400 413 415    │ 404 409 412 422 503 500: problem details
                  ▼                 ▼                ▼

flask-openapi3 reads the annotations of the views: it validates by them and makes the OpenAPI document of them. The app is made
with the first request, in the worker.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import Any, cast

from flask import Flask, Response, current_app, g, request
from flask import Request as FlaskRequest
from flask.json.provider import DefaultJSONProvider
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from flask_openapi3.types import SecuritySchemesDict
from werkzeug.exceptions import BadRequest
from werkzeug.routing import BaseConverter

from sojourn.domain.errors import InputError
from sojourn.domain.strict_json import read_json
from sojourn.domain.trace import TRACEPARENT, read_traceparent
from sojourn.runtime.api import audit, channels, effects, journeys, members, progress, rejected, simulate
from sojourn.runtime.api.access import Access, Role, access_of, needed_by, needs
from sojourn.runtime.api.call import Call, answer
from sojourn.runtime.api.problems import Problem, handle_problems, invalid
from sojourn.runtime.api.routes import SCHEME, Routes
from sojourn.runtime.api.views import Health
from sojourn.runtime.application import tracing, workshop
from sojourn.runtime.invocation import Invocation, Work, finish
from sojourn.runtime.log import Line, write_line
from sojourn.runtime.settings import read_settings

anybody = Routes("open", None, guarded=False)
MAX_BODY_BYTES = 1024 * 1024
OPENAPI_PATH = "/openapi.json"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_PLACE = re.compile(r"<(?:\w+:)?(\w+)>")
VERSION = "1.0.0"
SECURITY: SecuritySchemesDict = {
    SCHEME: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "a Google ID token"}
}


def serve(outer: FlaskRequest) -> Response:
    """Answer a request that the functions framework took."""
    environ = {**outer.environ, "wsgi.input": BytesIO(outer.get_data())}  # the framework reads it once more, after us
    return cast(Response, Response.from_app(api_app(), environ, buffered=True))


@lru_cache(maxsize=1)
def api_app() -> Flask:
    """The app of this process, with access as the environment says."""
    return make_app(lru_cache(maxsize=1)(lambda: access_of(read_settings(os.environ))))


def make_app(access: Callable[[], Access]) -> Flask:
    """A new app: every route, and what happens before and after each. `access` is asked for when somebody needs a role."""
    app = _app(documented=False)
    app.request_class, app.json = _Request, _StrictJson(app)
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    handle_problems(app)
    app.before_request(lambda: _admit(access))
    app.before_request(_read_body)
    app.after_request(_log)
    return app


def _app(*, documented: bool) -> OpenAPI:
    """With every route, and with the document or without."""
    app = OpenAPI(
        __name__,
        info=Info(title="Sojourn", version=VERSION, description="Customer journeys: definitions, members, what waits."),
        security_schemes=SECURITY,
        validation_error_model=Problem,
        validation_error_callback=invalid,
        doc_ui=False,
        static_folder=None,
    )
    app.url_map.converters |= {"journey": _JourneyId, "item": _ItemId}
    for part in (journeys, simulate, members, progress, effects, channels, rejected, audit):
        app.register_api(part.routes.blueprint(documented=documented))
    app.register_api(anybody.blueprint(documented=documented))
    return app


@anybody.get("/healthz", responses={200: Health})
@needs(Role.NOBODY)
def healthz() -> Response:
    """The process answers."""
    return answer(Health())


@anybody.get(OPENAPI_PATH, doc_ui=False)
@needs(Role.NOBODY)
def openapi() -> Response:
    """This API as an OpenAPI 3.1 document."""
    return Response(_document(), mimetype="application/json")


@lru_cache(maxsize=1)
def _document() -> str:
    return json.dumps(_app(documented=True).api_doc)


class _Request(FlaskRequest):
    """Says what is wrong with a body."""

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        if e is None:
            return super().on_json_loading_failed(e)  # another media type
        raise BadRequest(f"the body is not JSON: {e}")


class _JourneyId(BaseConverter):
    """Any part of a path but the one that is a route of its own."""

    regex = r"(?!count$)[^/]+"
    part_isolating = True


class _ItemId(BaseConverter):
    """The same where what is done to many is a route of its own."""

    regex = r"(?!(?:retry|abandon|replay)$)[^/]+"
    part_isolating = True


class _StrictJson(DefaultJSONProvider):
    def loads(self, s: str | bytes, **_: object) -> Any:
        return read_json(s)


def _read_body() -> None:
    """Bodies are JSON objects; whether there must be one, the view's model says. Raises what becomes 400, 413, 415 and 422."""
    if request.url_rule is None or request.method not in ("POST", "PUT"):
        return
    if request.get_data() and not isinstance(request.get_json(), dict):
        raise InputError("the body must be an object")


def _admit(access: Callable[[], Access]) -> None:
    """Begin the call of somebody who may; the log learns who."""
    g.invocation = Invocation("api", read_traceparent(request.headers.get(TRACEPARENT)))
    if request.url_rule is None:
        return
    role = needed_by(current_app.view_functions[request.endpoint or ""])
    if role is Role.NOBODY:
        return
    g.principal = access().principal(request, role)
    g.work = Work(workshop().by(g.principal), tracing())
    g.call = Call(g.work.shop, g.invocation.outcomes)


def _log(response: Response) -> Response:
    """One line for each request but health checks."""
    if request.path == "/healthz":
        return response
    status = response.status_code
    line = Line(
        "api",
        status,
        "ERROR" if status == 500 else "WARNING" if status == 503 else "INFO",
        request=f"{_method()} {_route()}",
        principal=g.get("principal"),
        error=g.get("error"),
        bug=status == 500,
    )
    for finished in finish([g.invocation], [line], g.get("work")):
        write_line(finished)
    return response


def _method() -> str:
    """A client may make one up."""
    return request.method if request.method in _METHODS else "another method"


def _route() -> str:
    """With the names of what the path holds, such as a member's id, in place of it."""
    return _PLACE.sub(r"{\1}", request.url_rule.rule) if request.url_rule is not None else "no route"
