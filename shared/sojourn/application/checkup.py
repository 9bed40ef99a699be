"""The daily check-up: the doctor goes through everything once a day, a page for each message, and repairs what it may.

::

    tick, once a day ─▶ checkups/daily ─▶ [page ─▶ doctor ─▶ after := last ─▶ message for the next] ─▶ … ─▶ done

Who moves it forward, by compare-and-set, asks for the next page; a message that is lost is sent again by the minute tick. A
page that is taken twice repairs nothing twice. It costs a read for every progress that is stored, and every effect on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sojourn.application.doctor import (
    ON_THEIR_WAY,
    Report,
    examine_effects,
    examine_journeys,
    examine_members,
    journeys_in_use,
)
from sojourn.application.messages import SWEEPS_TOPIC, SweepMessage
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.records import MAX_PAGE, CommitResult, Create, R, Stored, Update
from sojourn.application.workshop import Workshop
from sojourn.domain.checkup import DAILY, Checkup, begins, lost_its_page
from sojourn.domain.effect import Effect
from sojourn.domain.errors import Unavailable
from sojourn.domain.progress import Progress


def daily_checkup(shop: Workshop) -> Checkup | None:
    """The one that is under way, or the last one."""
    stored = shop.store.get_many(Checkup, [DAILY])[0]
    return stored.value if stored is not None else None


def checkup_messages(shop: Workshop, now: datetime) -> list[Outgoing]:
    """What the tick publishes for it: it begins once a day, and goes on where its message was lost."""
    stored = shop.store.get_many(Checkup, [DAILY])[0]
    last = stored.value if stored is not None else None
    if last is not None and lost_its_page(last, now):
        return [_next_page()]
    if not begins(last, now):
        return []
    fresh = Checkup(DAILY, now, now, rev=last.rev + 1 if last is not None else 1, token=shop.tokens.token())
    write = Update(fresh, stored.version) if stored is not None else Create(fresh)
    return [_next_page()] if shop.commit_many([(write,)])[0] is CommitResult.APPLIED else []


def _next_page() -> Outgoing:
    return SweepMessage(checkup=True).to(SWEEPS_TOPIC)


def check_page(shop: Workshop) -> Outcome:
    """Go one page further."""
    stored = shop.store.get_many(Checkup, [DAILY])[0]
    if stored is None or stored.value.done:
        return Outcome("checked")
    report, after = _examined(shop, stored.value)
    turned = stored.value.turned(report.findings, looked=report.looked, after=after, now=shop.now())
    turned = replace(turned, rev=stored.value.rev + 1, token=shop.tokens.token())
    result = shop.commit_many([(Update(turned, stored.version),)])[0]
    if result is not CommitResult.APPLIED:
        return UNAVAILABLE if result is CommitResult.UNKNOWN else Outcome("overtaken", notes=_notes(report))
    sent = turned.done or shop.publish_many([_next_page()])[0]
    return Outcome("checked" if turned.done else "checking", notes=(*_notes(report), *(() if sent else ("not_published",))))


def _examined(shop: Workshop, checkup: Checkup) -> tuple[Report, str | None]:
    """The report of the page after `checkup.after`, and after which document the next one begins; None: that was the last."""
    match checkup.stage:
        case "journeys":
            return _journeys(shop), None
        case "progress":
            members = shop.store.find(Progress, {}, after=checkup.after)
            return examine_members(shop, members, repair=True), _last(members)
        case "effects":
            effects = shop.store.find(Effect, ON_THEIR_WAY, after=checkup.after)
            return examine_effects(shop, effects, repair=True), _last(effects)


def _journeys(shop: Workshop) -> Report:
    """Members are looked at even where Cloud Scheduler does not answer."""
    heads = journeys_in_use(shop)
    try:
        return examine_journeys(shop, heads, repair=True, jobs=True)
    except Unavailable:
        return examine_journeys(shop, heads, repair=True, jobs=False)


def _last(page: Sequence[Stored[R]]) -> str | None:
    return page[-1].value.id if len(page) == MAX_PAGE else None


def _notes(report: Report) -> tuple[str, ...]:
    repaired = sum(finding.repaired for finding in report.findings)
    return ("doctor_found",) * len(report.findings) + ("doctor_repaired",) * repaired
