"""Settling: what a change of a journey's head leaves to do on its members, page by page, whatever happens in between.

::

    resume ─▶ head.settling ─▶ [page of members ─▶ head.settling.after ─▶ message to itself] ─▶ … ─▶ head.settling = None

A page is taken again where its message was lost or delivered twice: everything done on a member is a compare-and-set. The
minute tick sends a lost message again. `head.settling.done` is for whoever watches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sojourn.application.messages import RUNS_TOPIC, SWEEPS_TOPIC, RunMessage, SweepMessage, message_about
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.records import MAX_PAGE, Commit, CommitResult, Stored, Update
from sojourn.application.workshop import Workshop
from sojourn.domain.effect import Effect, first_sweep
from sojourn.domain.engine import unparked
from sojourn.domain.errors import Unavailable
from sojourn.domain.journey import Journey, Settling
from sojourn.domain.progress import READY_GRACE_SECONDS, Progress, grace

RESUME_PER_MINUTE = 6_000
"""Members whom a resume takes up each minute: a week's backlog must not go out in one."""


def settle_message(journey_id: str) -> Outgoing:
    """Asks for the journey's next page."""
    return SweepMessage(settle=journey_id).to(SWEEPS_TOPIC)


def settle(shop: Workshop, journey_id: str) -> Outcome:
    """Work through one page, tell its members, and only then remember how far it went: a crash repeats the page."""
    stored = shop.store.get_many(Journey, [journey_id])[0]
    if stored is None or stored.value.settling is None:
        return Outcome("settled")
    settling = stored.value.settling
    page = shop.store.live_progress(journey_id, parked=settling.parked, after=settling.after)
    rev = stored.value.rev
    messages = _take_up(shop, page, settling, rev) if settling.parked else [_look(one.value, rev) for one in page]
    after = _after(settling, page, shop.now())
    if after is None:
        messages += _unpark_effects(shop, journey_id)
    if not all(shop.publish_many(messages)):
        return UNAVAILABLE
    head = replace(stored.value, settling=after, token=shop.tokens.token())
    result = shop.commit_many([(Update(head, stored.version),)])[0]
    if result is CommitResult.UNKNOWN:
        return UNAVAILABLE
    onward = [settle_message(journey_id)] if result is CommitResult.APPLIED and after is not None else []
    return Outcome("settling" if after else "settled") if all(shop.publish_many(onward)) else UNAVAILABLE


def _after(settling: Settling, page: Sequence[Stored[Progress]], now: datetime) -> Settling | None:
    moved = replace(settling, done=settling.done + len(page), moved_at=now)
    if len(page) == MAX_PAGE:
        return replace(moved, after=page[-1].value.id)
    return None if settling.parked else replace(moved, parked=True, after=None)


def _look(progress: Progress, head_rev: int) -> Outgoing:
    return RunMessage(progress_id=progress.id, head_rev=head_rev).to(RUNS_TOPIC, trace_id=progress.trace_id)


def _take_up(shop: Workshop, page: Sequence[Stored[Progress]], settling: Settling, head_rev: int) -> list[Outgoing]:
    """Unpark a page, each member a little later than the one before; those of the first minute are published at once.

    The sweep takes up the others, and any whose message is lost. A lost compare-and-set: a hop has the member already.
    """
    now = shop.now()
    turns = [
        settling.started_at + timedelta(minutes=1) * (settling.done + place) / RESUME_PER_MINUTE for place in range(len(page))
    ]
    taken = [_unparked(shop, stored.value, turn=max(turn, now), now=now) for stored, turn in zip(page, turns, strict=True)]
    _commit(shop, [(Update(after, stored.version),) for after, stored in zip(taken, page, strict=True)])
    soon = [one for one, turn in zip(taken, turns, strict=True) if turn <= now + timedelta(minutes=1)]
    return [message_about(one, head_rev=head_rev) for one in soon]


def _commit(shop: Workshop, commits: Sequence[Commit]) -> list[CommitResult]:
    """A lost race is none of settling's business. Raises Unavailable for a write in doubt: the page is taken again."""
    results = shop.commit_many(commits)
    if CommitResult.UNKNOWN in results:
        raise Unavailable("the store did not say whether a page was written")
    return results


def _unparked(shop: Workshop, progress: Progress, *, turn: datetime, now: datetime) -> Progress:
    at = turn + grace(progress.id, READY_GRACE_SECONDS)
    return shop.stamp_progress(unparked(progress, at=at, now=now), rev=progress.rev)


def _unpark_effects(shop: Workshop, journey_id: str) -> list[Outgoing]:
    messages: list[Outgoing] = []
    while page := shop.store.parked_effects(journey_id):
        now = shop.now()
        taken = [shop.stamp_effect(_unparked_effect(stored.value, now), rev=stored.value.rev + 1) for stored in page]
        results = _commit(shop, [(Update(after, stored.version),) for after, stored in zip(taken, page, strict=True)])
        messages += [message_about(effect) for effect in taken]
        if CommitResult.APPLIED not in results:
            break
    return messages


def _unparked_effect(effect: Effect, now: datetime) -> Effect:
    return replace(effect, parked=False, sweep_at=first_sweep(effect.id, now=now))
