"""The call that is being answered: who asks, the workshop it works in, what it counts. One per request, kept by Flask."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import Response, g
from pydantic import BaseModel

from sojourn.application.records import Moment
from sojourn.application.workshop import Workshop

NO_TOKEN = "no token of a page; take it from next_page_token"


@dataclass(frozen=True, slots=True)
class Call:
    """A request by somebody who may: the workshop works for them. `outcomes` is for its line in the log."""

    shop: Workshop
    outcomes: Counter[str]


def call() -> Call:
    """The present one."""
    return cast(Call, g.call)


def answer(body: BaseModel, status: int = 200, *, rev: int | None = None) -> Response:
    """A JSON answer; `rev` becomes its ETag."""
    response = Response(body.model_dump_json(), status, mimetype="application/json")
    if rev is not None:
        response.set_etag(str(rev))
    return response


def write_page_token(after: str | None) -> str | None:
    """The id that the next page begins after, as an opaque text."""
    return None if after is None else base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def read_page_token(token: str) -> str:
    """What `write_page_token` wrote. Raises ValueError."""
    try:
        after = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, ValueError) as error:
        raise ValueError(NO_TOKEN) from error
    if write_page_token(after) != token:
        raise ValueError(NO_TOKEN)
    return after


def write_moment_token(after: Moment | None) -> str | None:
    """The same for a list by time."""
    return write_page_token(f"{after[0].isoformat()} {after[1]}" if after is not None else None)


def read_moment_token(token: str) -> Moment:
    """What `write_moment_token` wrote. Raises ValueError."""
    at, _, identifier = read_page_token(token).partition(" ")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise ValueError(NO_TOKEN) from error
    if moment.tzinfo is None or not identifier:
        raise ValueError(NO_TOKEN)
    return moment, identifier
