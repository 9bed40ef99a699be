"""The structured lines that functions write on stdout: read for counting, rendered for people."""

import json
from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sojourn.runtime.summary import NAMES

_ROUTINE = ("DEFAULT", "INFO")

Count = Annotated[int, Field(ge=0)]


class FunctionLine(BaseModel):
    """One line; one that says what became of `messages` has a status. `published` counts messages by topic.

    Fields are called as in `runtime/summary_line.json`.
    """

    model_config = ConfigDict(extra="allow", frozen=True, alias_generator=lambda field: getattr(NAMES, field, field))

    severity: str = "DEFAULT"
    message: str = ""
    labels: dict[str, str] = Field(default={}, alias="logging.googleapis.com/labels")
    function: str | None = None
    status: int | None = None
    messages: Count = 1
    published: dict[str, Count] = {}
    outcomes: dict[str, Count] = {}
    measures: dict[str, float] = {}
    duration_ms: int = 0
    trace: str | None = None
    stack_trace: str = ""


def parse_line(text: str) -> FunctionLine | None:
    """None for anything else a process may write: a warning, a stack trace, somebody's JSON."""
    if not text.startswith("{"):
        return None
    try:
        return FunctionLine.model_validate_json(text)
    except ValidationError:
        return None


def render(line: FunctionLine) -> str:
    """`advanced 1 → journey-effects 2`, or `ERROR no such node status=500`: whatever is as always is left out.

    A stack trace follows on lines of its own. The message says the outcomes, and the log whose line it is.
    """
    extra = {key: value for key, value in (line.model_extra or {}).items() if not key.startswith("logging.googleapis.com/")}
    fields = {"status": None if line.status == HTTPStatus.NO_CONTENT else line.status, **extra}
    words = [
        *([] if line.severity in _ROUTINE else [line.severity]),
        line.message.removeprefix(f"{line.function}: "),
        *(f"{key}={_value(value)}" for key, value in fields.items() if not _is_said(value, line.message)),
        *(f"→ {topic} {count}" for topic, count in line.published.items()),
    ]
    return "\n".join(filter(None, [" ".join(words), line.stack_trace.rstrip()]))


def _is_said(value: object, message: str) -> bool:
    """Whether the value is empty, or a text that the message quotes."""
    return value in (None, {}, []) or (isinstance(value, str) and value in message)


def _value(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if " " in value else value
    return json.dumps(value, ensure_ascii=False)
