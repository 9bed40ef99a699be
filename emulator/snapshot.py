"""What the stores hold at one moment: what a demo reports on, whichever cloud it ran in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect
from sojourn.domain.journey import RejectedEvent
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`deliveries` counts by effect id how often the mailbox was given a message; `outcomes` what the functions answered."""

    now: datetime
    definitions: tuple[Definition, ...]
    members: tuple[Member, ...]
    progress: tuple[Progress, ...]
    effects: tuple[Effect, ...]
    rejected: tuple[RejectedEvent, ...]
    deliveries: Mapping[str, int]
    outcomes: Mapping[str, int]
