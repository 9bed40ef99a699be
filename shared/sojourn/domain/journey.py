"""The journey head: status, the published version, what its versions listen for. And the other documents beside progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from sojourn.domain.event import Event
from sojourn.domain.ids import derived_id, member_key

MEMBER_EVENT_RETENTION = timedelta(days=35)
REJECTED_RETENTION = timedelta(days=30)
LOG_ENTRIES = "journey-events"
"""The topic that log entries come through."""


class JourneyStatus(StrEnum):
    """DRAFT -publish-> ONGOING <-pause/resume-> PAUSED; both -end-> ENDED."""

    DRAFT = "DRAFT"
    ONGOING = "ONGOING"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


class RejectedStatus(StrEnum):
    """OPEN until it was taken on a second try or somebody gave it up."""

    OPEN = "OPEN"
    REPLAYED = "REPLAYED"
    ABANDONED = "ABANDONED"


@dataclass(frozen=True, slots=True)
class Migration:
    """What becomes of members on older versions when a new one is published.

    `pin`: they finish on theirs. `migrate`: they continue at the node that `nodes` maps theirs to, else at the one with the
    same id; where neither is there, `gone` decides. `cancel`: they leave.
    """

    mode: Literal["pin", "migrate", "cancel"] = "pin"
    nodes: Mapping[str, str] = field(default_factory=dict)
    gone: Literal["refuse", "cancel"] = "refuse"


@dataclass(frozen=True, slots=True)
class Extension:
    """Waits that the pause before resume number `resume` interrupted last `seconds` longer."""

    resume: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Settling:
    """Work on a journey's members that goes on page by page after a change of its head; `done` of them are through.

    First those who are not parked take a look at the changed head (where the change matters to them), then those who are
    parked are put before the sweep again. `after` is the last progress of the page before, which was over at `moved_at`.
    """

    parked: bool
    started_at: datetime
    after: str | None = None
    done: int = 0
    moved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Journey:
    """`journeys/{id}`. `listens` joins the events of all published versions: members on old versions still wait for theirs.

    `draft` is the definition that is being edited, as JSON text; publishing makes it a version. `rev` is the ETag.
    `entry_rules_since`: the first of the versions up to the present one that have its rules of entry, and when that was
    published (`entry_rules_at`) where versions before it had others.
    """

    id: str
    bot_id: str
    name: str
    status: JourneyStatus
    version: int | None
    created_at: datetime
    updated_at: datetime
    listens: tuple[str, ...] = ()
    schedule_end_at: datetime | None = None
    end_reason: str | None = None
    draft: str | None = None
    paused_at: datetime | None = None
    pause_reason: str | None = None
    ongoing_since: datetime | None = None
    resumes: int = 0
    migration: Migration = Migration()
    extensions: tuple[Extension, ...] = ()
    settling: Settling | None = None
    entry_rules_since: int = 1
    entry_rules_at: datetime | None = None
    rev: int = 1
    token: str = ""


@dataclass(frozen=True, slots=True)
class JourneyVersion:
    """`journeys/{id}/versions/{n}`: one published definition as JSON text, never changed."""

    journey_id: str
    version: int
    definition: str
    published_at: datetime
    rev: int = 1
    token: str = ""

    @property
    def id(self) -> str:
        """The id that the store knows it by."""
        return version_id(self.journey_id, self.version)


@dataclass(frozen=True, slots=True)
class Entries:
    """`entries/{hash(journey_id, member_id)}`: how often a member entered, where the repeat rule needs a count.

    `version`: of the journey, by which the member entered last. Other versions may have counted by other rules.
    """

    id: str
    journey_id: str
    member_key: str
    count: int
    last_progress_id: str
    updated_at: datetime
    version: int = 1
    rev: int = 1
    token: str = ""


@dataclass(frozen=True, slots=True)
class QuotaShare:
    """`quotas/{journey}~{share}`: messages that one share of a journey's quota has let through.

    The quota is divided among shares, each with a limit of its own, so that it is never exceeded and no document is hot.
    """

    id: str
    journey_id: str
    share: int
    used: int
    rev: int = 1
    token: str = ""


@dataclass(frozen=True, slots=True)
class MemberEvent:
    """`member_events/{id}`: a recent event that some journey listens for. Written once, before listeners are looked for."""

    event: Event
    created_at: datetime
    expire_at: datetime
    token: str = ""
    rev: int = 1

    @property
    def id(self) -> str:
        """The same event of the same member is one document."""
        return derived_id("member_event", self.event.member_key, self.event.id)


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """`rejected_events/{id}`: a log entry of ours that could not be taken, whole, with the reason.

    `replayed_at`: it was taken on a second try; `abandoned_at`: nobody needs to look at it any more. A message that was
    dead-lettered is kept here too: `topic` is where it belongs (empty: nobody knows), `published_at` when it came there.
    """

    id: str
    reason: str
    detail: str
    data: bytes = field(repr=False)
    created_at: datetime
    expire_at: datetime
    replayed_at: datetime | None = None
    abandoned_at: datetime | None = None
    topic: str = LOG_ENTRIES
    published_at: datetime | None = None
    token: str = ""
    rev: int = 1

    @property
    def status(self) -> RejectedStatus:
        """What lists go by; stored beside, never read back."""
        if self.replayed_at is not None:
            return RejectedStatus.REPLAYED
        return RejectedStatus.OPEN if self.abandoned_at is None else RejectedStatus.ABANDONED


def version_id(journey_id: str, version: int) -> str:
    """The id of a version: the journey's and the number."""
    return f"{journey_id}/{version}"


def quota_share_id(journey_id: str, share: int) -> str:
    """The id of a share of the journey's message quota."""
    return f"{journey_id}~{share}"


def entries_id(journey_id: str, bot_id: str, member_id: str) -> str:
    """The id of a member's entry count."""
    return derived_id("entries", journey_id, member_key(bot_id, member_id))
