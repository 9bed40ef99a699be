"""The push driver: from a push request to an answer (`sojourn.runtime.function` says to which)."""

from __future__ import annotations

from typing import TypeAlias

from flask import Request

from sojourn.domain.errors import EnvelopeInvalid
from sojourn.runtime.envelope import open_envelope
from sojourn.runtime.function import Function
from sojourn.runtime.log import Line, write_line

Answer: TypeAlias = tuple[str, int]


def respond(request: Request, function: Function) -> Answer:
    """Answer one push request with what the function makes of its message, and write its line into the log. GET: alive."""
    if request.method in ("GET", "HEAD"):
        return "ok", 200
    line = _run(request, function)
    write_line(line)
    return "" if line.status == 204 else str(line.status), line.status


def _run(request: Request, function: Function) -> Line:
    try:
        envelope = open_envelope(request.get_data(cache=False))
    except EnvelopeInvalid as error:
        return Line(function.name, 400, "ERROR", error=error)
    return function.answer(envelope)
