"""The names on the one line that every invocation writes: from the file that Terraform makes the metrics of.

Counters are words that use cases answer (`Outcome.code`, `Outcome.notes`); the file names those that somebody watches.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sojourn.application.outcome import Measure


class Names(BaseModel):
    """What each field is called in a line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    function: str
    status: str
    messages: str
    outcomes: str
    published: str
    duration_ms: str
    measures: str
    trace: str
    span: str
    traces: str


class Summary(BaseModel):
    """The file: fields by what they hold, and in words what each counter and each measure is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: Names
    outcomes: Mapping[str, str]
    measures: Mapping[Measure, str]


SUMMARY = Summary.model_validate_json(Path(__file__).with_name("summary_line.json").read_bytes())
NAMES = SUMMARY.fields
