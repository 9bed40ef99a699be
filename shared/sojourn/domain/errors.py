"""Every error that Sojourn raises on purpose.

::

    SojournError                     code, retryable
    ├── InputError                   somebody sent what cannot be right; sending it again changes nothing
    │   ├── EnvelopeInvalid          a push body that is no Pub/Sub envelope          -> 400
    │   ├── MessageInvalid           an envelope whose data is none of our messages   -> 204, kept
    │   ├── EventRejected            a log entry of ours that is malformed            -> 204, kept
    │   ├── DefinitionInvalid        a journey definition with faults, all of them    -> exit code 2
    │   └── SettingsInvalid          an environment variable with a wrong value       -> does not start
    ├── Unauthenticated              nobody knows who asks                            -> 401
    ├── Forbidden                    who asks has no role for that                    -> 403
    ├── NotFound                     an id that names nothing                         -> 404
    ├── NotAllowed                   a change that the present status does not allow  -> 409
    ├── Changed                      somebody else changed it since it was read       -> 412
    └── Unavailable                  a service did not answer in time; try again      -> 503

What a channel reports about a delivery is a value (`sojourn.domain.effect.Delivery`), not an error: it is an expected outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SojournError(Exception):
    """Something that Sojourn expects to go wrong. `retryable` says whether the same request may succeed later."""

    code = "sojourn_error"
    retryable = False


class InputError(SojournError):
    """What was sent cannot be right; the text names the field, the value and what would be right."""

    code = "input_invalid"


class EnvelopeInvalid(InputError):
    """The body of a push request is no Pub/Sub envelope."""

    code = "envelope_invalid"


class MessageInvalid(InputError):
    """The envelope is right but its data is none of the engine's messages."""

    code = "message_invalid"


class EventRejected(InputError):
    """A log entry that carries `support_journey` but cannot be taken; `reason` is one short word for counting."""

    code = "event_rejected"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SettingsInvalid(InputError):
    """An environment variable holds a value that Sojourn cannot run with."""

    code = "settings_invalid"


class Unauthenticated(SojournError):
    """There is no token, or it proves nothing; the text says how to get one that does."""

    code = "unauthenticated"


class Forbidden(SojournError):
    """The principal is known and has no role that allows this; the text names both."""

    code = "forbidden"


class NotFound(SojournError):
    """An id names nothing that is stored."""

    code = "not_found"


class NotAllowed(SojournError):
    """The present status does not allow the change; the text names the status and the changes that it allows."""

    code = "not_allowed"


class Changed(SojournError):
    """The document is not at the revision that the caller read: read it again and decide anew."""

    code = "changed"


class Unavailable(SojournError):
    """A service did not answer in time. Nothing is known to have happened; the same request may succeed later."""

    code = "unavailable"
    retryable = True


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a definition: where (`location` as in pydantic: keys and indices), what, and its line in the file."""

    location: tuple[str | int, ...]
    message: str
    node_id: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        line = f"line {self.line}: " if self.line is not None else ""
        node = f"node {self.node_id!r}: " if self.node_id is not None else ""
        place = ".".join(str(part) for part in self.location)
        return f"{line}{node}{place + ': ' if place else ''}{self.message}"


class DefinitionInvalid(InputError):
    """A journey definition with `faults`: every one of them, so that an author corrects the file once."""

    code = "definition_invalid"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)
