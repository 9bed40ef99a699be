"""What a store keeps and how it is written: documents as they were read, writes with a precondition, questions that count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

from sojourn.domain.audit import AuditEntry
from sojourn.domain.breaker import Breaker
from sojourn.domain.checkup import Checkup
from sojourn.domain.effect import Effect
from sojourn.domain.enrollment import Enrollment
from sojourn.domain.history import Refusal
from sojourn.domain.journey import Entries, Journey, JourneyVersion, MemberEvent, QuotaShare, RejectedEvent
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress

Record: TypeAlias = (
    Progress
    | Effect
    | Journey
    | JourneyVersion
    | Entries
    | Member
    | MemberEvent
    | QuotaShare
    | RejectedEvent
    | Refusal
    | Enrollment
    | AuditEntry
    | Breaker
    | Checkup
)
R = TypeVar(
    "R",
    Progress,
    Effect,
    Journey,
    JourneyVersion,
    Entries,
    Member,
    MemberEvent,
    QuotaShare,
    RejectedEvent,
    Refusal,
    Enrollment,
    AuditEntry,
    Breaker,
    Checkup,
)
S = TypeVar("S", Progress, Effect)

MAX_PAGE = 500
"""Documents a query returns at most."""

Moment: TypeAlias = tuple[datetime, str]
"""A place in a list by time: when a document was created, or is due, and its id, for there are many of the same moment."""


@dataclass(frozen=True, slots=True)
class Stored(Generic[R]):
    """A document as it was read. `version` is the store's own (Firestore: update_time); only the store looks into it."""

    value: R
    version: object


@dataclass(frozen=True, slots=True)
class Page(Generic[S]):
    """What is due. `after` is where the next page begins; None: nothing is left.

    `unreadable`: ids of documents that are due as well and hold no record, such as what a newer release wrote.
    """

    found: Sequence[Stored[S]]
    after: Moment | None = None
    unreadable: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Create:
    """Write a document that must not exist yet."""

    record: Record


@dataclass(frozen=True, slots=True)
class Update:
    """Replace a document that must not have changed since it was read as `version`.

    `before`: what it was read as, so that a store need not write again what is the very same object. None: all is written.
    """

    record: Record
    version: object
    before: Record | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Take a document away that must not have changed since it was read as `version`."""

    record: Record
    version: object


Write: TypeAlias = Create | Update | Delete
Commit: TypeAlias = tuple[Write, ...]
"""Writes that are applied together or not at all."""


class CommitResult(Enum):
    """What became of a commit. After CONFLICT and UNKNOWN the token on the document tells an own write from another's.

    REFUSED: the store never takes it, such as a document that is too large; another try changes nothing.
    """

    APPLIED = "applied"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    REFUSED = "refused"


Where: TypeAlias = Mapping[str, str | int | bool | tuple[str, ...]]
"""Conditions by attribute, all of which hold: it is the value, or one of several; an attribute of many values has it.

Only combinations that `infra/firestore_indexes.json` has an index for are answered.
"""


@dataclass(frozen=True, slots=True)
class Question:
    """How many documents of a kind there are `where`, and what the numbers in `sum_of` add up to; by id beyond `after`."""

    kind: type[Record]
    where: Where
    sum_of: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """The answer: exact at the moment of asking. `total` is 0 where nothing was to be added up."""

    count: int
    total: float = 0.0
