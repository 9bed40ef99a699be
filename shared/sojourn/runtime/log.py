"""Structured logs: one JSON line on stdout for each request, as Cloud Run's agent reads them.

What a line may say is closed (`Line`): words that the engine chose, and counts. Nothing that somebody sent gets into it: no
address, no text of a message, no attribute, no token; and of an exception its kind and where it was raised, not what it says,
for that quotes what it could not deal with. Who needs the values looks into the store, where access is granted and audited.

Every line carries the label `sojourn.engine`, which `infra/journey_sink.filter` shuts out: no journey can trigger itself.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from sojourn.application.outcome import Measure
from sojourn.domain.errors import EnvelopeInvalid, SettingsInvalid
from sojourn.domain.ids import derived_id
from sojourn.runtime.summary import NAMES

ENGINE_LABELS: Mapping[str, str] = {"sojourn.engine": "true"}
MAX_FRAMES = 30
"""Of each exception, the innermost."""
MAX_CAUSES = 5
_PRINCIPAL_CHARACTERS = 8

Fields = dict[str, object]

_lock = threading.Lock()
_listener: Callable[[Fields], None] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What a request's line says. Who adds a field makes sure that nobody from outside decides what it holds.

    `request`: method and route of the API, without the values in it. `principal` becomes a pseudonym, the same for the same
    person. `bug`: nobody foresaw the error, so its stack is told too. `trace` is a name as Google's log viewer wants it, of the
    one passage that the request was about; `span` is the request itself in it. Of a batch, one line says what became of several
    `messages`, and `traces` are the ids of theirs.
    """

    function: str
    status: int
    severity: Literal["INFO", "WARNING", "ERROR"]
    request: str | None = None
    outcomes: Mapping[str, int] | None = None
    published: Mapping[str, int] | None = None
    principal: str | None = None
    error: BaseException | None = None
    bug: bool = False
    duration_ms: int = 0
    measures: Mapping[Measure, float] | None = None
    trace: str | None = None
    span: str | None = None
    messages: int = 1
    traces: tuple[str, ...] = ()

    def fields(self) -> Fields:
        """As Cloud Logging takes it."""
        error = _told(self.error) if self.error is not None else None
        said = [f"{self.request} {self.status}"] if self.request is not None else []
        said += [error or ", ".join(f"{word} {count}" for word, count in (self.outcomes or {}).items())]
        given: Fields = {
            NAMES.outcomes: self.outcomes,
            NAMES.published: self.published,
            NAMES.measures: {name: round(seconds, 3) for name, seconds in (self.measures or {}).items()},
            NAMES.trace: self.trace,
            NAMES.span: self.span,
            NAMES.traces: self.traces,
            "request": self.request,
            "principal": derived_id("principal", self.principal)[:_PRINCIPAL_CHARACTERS] if self.principal else None,
            "error": error,
            "stack_trace": _stack(self.error) if self.error is not None and self.bug else None,
        }
        return {
            "severity": self.severity,
            "message": f"{self.function}: {' '.join(filter(None, said))}",
            "logging.googleapis.com/labels": ENGINE_LABELS,
            NAMES.function: self.function,
            NAMES.status: self.status,
            NAMES.messages: self.messages,
            NAMES.duration_ms: self.duration_ms,
            **{name: value for name, value in given.items() if value},
        }


def write_line(line: Line) -> None:
    """Write one line. gunicorn's threads share stdout, so the line is written whole."""
    fields = line.fields()
    if _listener is not None:
        _listener(fields)
        return
    text = json.dumps(fields)
    with _lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextmanager
def listening(listener: Callable[[Fields], None]) -> Iterator[None]:
    """Give the lines of this process to `listener` instead of stdout, for whoever runs the functions in-process."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before


def _told(error: BaseException) -> str:
    """The kinds of the error and of its causes. Two say more: which part of an envelope is wrong, which variable; no value."""
    match error:
        case EnvelopeInvalid():
            return str(error)
        case SettingsInvalid():
            return str(error).partition(":")[0]
        case _:
            return " from ".join(_kind(one) for one in _chain(error))


def _stack(error: BaseException) -> str:
    """The traceback as Python prints it, but for what the exceptions say. Lines of source are ours."""
    stacks = []
    for one in reversed(_chain(error, implied=True)):
        frames = "".join(traceback.format_tb(one.__traceback__, -MAX_FRAMES))
        stacks.append(f"Traceback (most recent call last):\n{frames}{_kind(one)}\n")
    return "\nwhich led to\n\n".join(stacks)


def _chain(error: BaseException, *, implied: bool = False) -> list[BaseException]:
    """The error, what it was raised from, and so on; `implied`: also what was being dealt with when it was raised."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found and len(found) < MAX_CAUSES:
        found.append(following)
        context = following.__context__ if implied and not following.__suppress_context__ else None
        following = following.__cause__ or context
    return found


def _kind(error: BaseException) -> str:
    return type(error).__qualname__
