"""Errors as problem details (RFC 9457): whatever goes wrong is one document that a person understands.

::

    400  no JSON            404  unknown id or route        412  If-Match names another revision    422  fields at fault
    401  who are you?       405  unknown method             413  a body beyond 1 MiB                500  a bug, in the log
    403  no role for that   409  not allowed in this status 415  a body that is not JSON            503  try again
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from flask import Flask, Response, g, request
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from sojourn.domain.errors import (
    Changed,
    DefinitionInvalid,
    Forbidden,
    InputError,
    NotAllowed,
    NotFound,
    SettingsInvalid,
    SojournError,
    Unauthenticated,
    Unavailable,
)
from sojourn.domain.loading import MAX_FAULTS

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
STATUSES: dict[type[SojournError], HTTPStatus] = {
    SettingsInvalid: HTTPStatus.INTERNAL_SERVER_ERROR,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    NotAllowed: HTTPStatus.CONFLICT,
    Changed: HTTPStatus.PRECONDITION_FAILED,
    InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
DOCUMENTED = (400, 401, 403, 404, 409, 412, 413, 415, 422, 503)


class FieldFault(BaseModel):
    """One thing at fault: the field by its path, what is wrong with it, and in a definition the node."""

    model_config = ConfigDict(frozen=True)

    field: str
    message: str
    node_id: str | None = None


class Problem(BaseModel):
    """RFC 9457. `type` is `urn:sojourn:` and a word for programs, `detail` is for people."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldFault, ...] = ()


def problem_responses() -> ResponseDict:
    """The responses that every operation may give."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in DOCUMENTED}


def problem(status: int, code: str, detail: str, errors: Sequence[FieldFault] = ()) -> Response:
    """The answer that says so."""
    body = Problem(type=f"urn:sojourn:{code}", title=_title(status), status=status, detail=detail, errors=tuple(errors))
    response = Response(body.model_dump_json(exclude_defaults=True), status, mimetype=MEDIA_TYPE)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def invalid(error: ValidationError) -> Response:
    """Every field at fault, or the first MAX_FAULTS."""
    return _unprocessable("input_invalid", [_fault(details) for details in error.errors(include_url=False)[: MAX_FAULTS + 1]])


def handle_problems(app: Flask) -> None:
    """Let the app answer problems, whatever is raised. What nobody foresaw is the one that the log has the stack of."""
    app.register_error_handler(DefinitionInvalid, _definition_invalid)
    app.register_error_handler(SojournError, _expected)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _bug)


def _expected(error: SojournError) -> Response:
    """The first kind that fits; a setting is not the caller's fault. The log has what is nobody's fault who called."""
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        g.error = error
    return _bug(error) if status is HTTPStatus.INTERNAL_SERVER_ERROR else problem(status, error.code, str(error))


def _definition_invalid(error: DefinitionInvalid) -> Response:
    faults = [
        FieldFault(field=".".join(map(str, fault.location)), message=fault.message, node_id=fault.node_id)
        for fault in error.faults
    ]
    return _unprocessable(error.code, faults)


def _unprocessable(code: str, faults: Sequence[FieldFault]) -> Response:
    first = f"{faults[0].field + ': ' if faults[0].field else ''}{faults[0].message}"
    more = len(faults) > MAX_FAULTS
    count = f"more than {MAX_FAULTS}" if more else str(len(faults))
    detail = first if len(faults) == 1 else f"{count} faults, the first: {first}"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, code, detail, faults[:MAX_FAULTS])


def _fault(details: ErrorDetails) -> FieldFault:
    value = "" if details["type"] == "missing" else f", not {details['input']!r:.80}"
    message = details["msg"].removeprefix("Value error, ").partition(" or instance of ")[0]
    field = ".".join(str(part) for part in details["loc"])
    return FieldFault(field=f"{field:.200}", message=f"{message:.300}{value}")


def _refused(error: HTTPException) -> Response:
    """What the framework refuses: no such route, no such method, no JSON, too large."""
    if error.code is None or error.response is not None:
        return error.get_response()  # type: ignore[return-value]  # a flask.Response: we made it
    detail = {
        HTTPStatus.NOT_FOUND: f"there is no {request.path!r:.200}; /openapi.json lists what there is",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not for {request.path!r:.200}; there is {_methods(error)}",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "send JSON, with Content-Type: application/json",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is too large; at most 1 MiB",
    }.get(HTTPStatus(error.code), error.description or "")
    response = problem(error.code, _title(error.code).lower().replace(" ", "_"), detail)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = _methods(error)
    return response


def _methods(error: HTTPException) -> str:
    return ", ".join(sorted(error.valid_methods or ())) if isinstance(error, MethodNotAllowed) else ""


def _bug(error: Exception) -> Response:
    g.error = error
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "bug", "something went wrong here; the log of the api says what")


def _title(status: int) -> str:
    return HTTPStatus(status).phrase
