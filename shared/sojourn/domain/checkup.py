"""The daily check-up: how far through everything the doctor is, and what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from sojourn.domain.health import Finding

DAILY = "daily"
HOUR = 3
"""The hour of the day, UTC, at which it begins."""
PAGE_PATIENCE = timedelta(minutes=2)
"""A page that is not through within this time has lost its message: the minute tick sends it again."""
MAX_FINDINGS = 100
"""Findings that are kept with it, the first ones; all of them are counted."""

Stage: TypeAlias = Literal["journeys", "progress", "effects"]
STAGES: tuple[Stage, ...] = ("journeys", "progress", "effects")


@dataclass(frozen=True, slots=True)
class Checkup:
    """`checkups/daily`. `after` is the last document of the page before, in the collection of `stage`.

    `looked`, `found` and `repaired` count: documents by stage, findings by ailment. Only who moves it forward, by
    compare-and-set, asks for the next page.
    """

    id: str
    started_at: datetime
    updated_at: datetime
    stage: Stage = "journeys"
    after: str | None = None
    looked: Mapping[str, int] = field(default_factory=dict)
    found: Mapping[str, int] = field(default_factory=dict)
    repaired: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    done: bool = False
    rev: int = 1
    token: str = ""

    def turned(self, findings: Sequence[Finding], *, looked: int, after: str | None, now: datetime) -> Checkup:
        """With one page more behind it; without `after` that was the last page of its stage."""
        place = STAGES.index(self.stage)
        over = after is None and place + 1 == len(STAGES)
        return replace(
            self,
            updated_at=now,
            stage=self.stage if over or after is not None else STAGES[place + 1],
            after=after,
            looked=Counter(self.looked) + Counter({self.stage: looked}),
            found=Counter(self.found) + Counter(finding.ailment.value for finding in findings),
            repaired=Counter(self.repaired) + Counter(finding.ailment.value for finding in findings if finding.repaired),
            findings=(*self.findings, *findings)[:MAX_FINDINGS],
            done=over,
        )


def begins(last: Checkup | None, now: datetime) -> bool:
    """Whether a new one is due: each day at the hour, or as soon after as anybody asks; the first one at the hour."""
    if last is None:
        return now.hour == HOUR
    today = now.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return last.done and last.started_at < (today if now >= today else today - timedelta(days=1))


def lost_its_page(checkup: Checkup, now: datetime) -> bool:
    """Whether it ought to be further by now."""
    return not checkup.done and now - checkup.updated_at > PAGE_PATIENCE
