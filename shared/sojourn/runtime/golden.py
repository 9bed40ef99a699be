"""Golden histories: a member in flight as a store keeps them, and what the engine answered to all that could come.

::

    document ──hop──▶ document ──hop──▶ … ──▶ the end      hop: what was done, which fields changed, which effects came of it
        └─ probes         └─ probes                        probe: the same, of what else could have come there

This is their form, in files that people read and compare. `runtime.replay` asks the engine anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from sojourn.domain.engine import MAX_NODES_PER_HOP
from sojourn.domain.errors import InputError
from sojourn.domain.event import first_fault
from sojourn.domain.stimulus import Cancel, Due, EffectFinished, EventReceived, Resume, Stimulus

LINE_CHARACTERS = 120
"""What fits is on one line."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Advance(_Part):
    """A hop over stimuli, each an object of one field, its kind."""

    do: Literal["advance"]
    stimuli: tuple[dict[str, JsonValue], ...]
    max_nodes: int = MAX_NODES_PER_HOP


class Park(_Part):
    """The journey is paused."""

    do: Literal["park"]


class Unpark(_Part):
    """The journey is resumed."""

    do: Literal["unpark"]
    at: AwareDatetime


class Extend(_Part):
    """The wait that a pause interrupted lasts longer."""

    do: Literal["extend"]
    seconds: float
    resume: int


class Migrate(_Part):
    """A newer version takes the member over; from here on its definition counts."""

    do: Literal["migrate"]
    version: int
    definition: dict[str, JsonValue]
    nodes: dict[str, str] = {}


class Fail(_Part):
    """What drives the member could not be delivered."""

    do: Literal["fail"]
    reason: str


class Retry(_Part):
    """An operator lets a member in ERROR go on."""

    do: Literal["retry"]


Action: TypeAlias = Advance | Park | Unpark | Extend | Migrate | Fail | Retry


class Hop(_Part):
    """An action and its answer: the fields that changed (null: gone), and the documents of the effects, by id."""

    now: AwareDatetime
    action: Annotated[Action, Field(discriminator="do")]
    changes: dict[str, JsonValue] = {}
    effects: dict[str, dict[str, JsonValue]] = {}


class Probe(Hop):
    """A hop that nobody went on from, after so many of the others."""

    after: int = 0


class Golden(_Part):
    """`definition` as its version keeps it; `member` and the progress `document` in Firestore's JSON.

    `lost` are fields of the document that are not written any more as they were.
    """

    about: str
    progress_id: str
    definition: dict[str, JsonValue]
    member: dict[str, JsonValue] | None = None
    document: dict[str, JsonValue]
    lost: tuple[str, ...] = ()
    hops: tuple[Hop, ...] = ()
    probes: tuple[Probe, ...] = ()


def write_golden(golden: Golden) -> str:
    """The text of its file."""
    return _text(golden.model_dump(mode="json", exclude_defaults=True), 0) + "\n"


def read_golden(text: str) -> Golden:
    """What `write_golden` wrote. Raises InputError."""
    try:
        return Golden.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"no golden history: {first_fault(error)}") from error


def _text(value: JsonValue, indent: int) -> str:
    """JSON with a line for each part that is not short: neither one endless line nor a line for every bracket."""
    short = json.dumps(value, ensure_ascii=False)
    if indent + len(short) <= LINE_CHARACTERS or not isinstance(value, dict | list):
        return short
    pad = " " * (indent + 1)
    if isinstance(value, list):
        return "[\n" + ",\n".join(pad + _text(child, indent + 1) for child in value) + "\n" + pad[1:] + "]"
    lines = (f"{pad}{json.dumps(key, ensure_ascii=False)}: {_text(child, indent + 1)}" for key, child in value.items())
    return "{\n" + ",\n".join(lines) + "\n" + pad[1:] + "}"


_STIMULI: Mapping[str, TypeAdapter[Stimulus]] = {
    "resume": TypeAdapter(Resume),
    "due": TypeAdapter(Due),
    "event": TypeAdapter(EventReceived),
    "effect_finished": TypeAdapter(EffectFinished),
    "cancel": TypeAdapter(Cancel),
}
_KINDS = {Resume: "resume", Due: "due", EventReceived: "event", EffectFinished: "effect_finished", Cancel: "cancel"}


def write_stimulus(stimulus: Stimulus) -> dict[str, JsonValue]:
    """As a golden keeps it."""
    kind = _KINDS[type(stimulus)]
    return {kind: _STIMULI[kind].dump_python(stimulus, mode="json", exclude_none=True)}


def read_stimulus(written: Mapping[str, JsonValue]) -> Stimulus:
    """What `write_stimulus` wrote. Raises InputError."""
    ((kind, fields),) = written.items()
    if kind not in _STIMULI:
        raise InputError(f"there is no stimulus {kind!r}; there are {', '.join(_STIMULI)}")
    try:
        return _STIMULI[kind].validate_python(fields)
    except ValidationError as error:
        raise InputError(f"{kind}: {first_fault(error)}") from error
