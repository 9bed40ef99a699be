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

from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC, SWEEPS_TOPIC, EffectMessage, RunMessage, SweepMessage
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.records import MAX_PAGE, CommitResult, Stored, Update
from sojourn.application.workshop import Workshop
from sojourn.domain.effect import Effect, first_sweep
from sojourn.domain.engine import unparked
from sojourn.domain.journey import Journey, Settling
from sojourn.domain.progress import READY_GRACE_SECONDS, Progress, grace

RESUME_PER_MINUTE = 6_000
"""Members whom a resume takes up each minute: a week's backlog must not go out in one."""


def settle_message(journey_id: str) -> Outgoing:
    """Asks for the journey's next page."""
    return SweepMessage(settle=journey_id).to(SWEEPS_TOPIC)


def settle(shop: Workshop, journey_id: str) -> Outcome:
    """Work through one page, remember how far it went, and ask for the next."""
    stored = shop.store.get_many(Journey, [journey_id])[0]
    if stored is None or stored.value.settling is None:
        return Outcome("settled")
    settling = stored.value.settling
    page = shop.store.live_progress(journey_id, parked=settling.parked, after=settling.after)
    rev = stored.value.rev
    messages = _take_up(shop, page, settling, rev) if settling.parked else [_look(one.value, rev) for one in page]
    after = _after(settling, page)
    if after is None:
        messages += _unpark_effects(shop, journey_id)
    head = replace(stored.value, settling=after, token=shop.tokens.token())
    result = shop.commit_many([(Update(head, stored.version),)])[0]
    if result is CommitResult.UNKNOWN:
        return UNAVAILABLE
    if result is CommitResult.APPLIED and after is not None:
        messages.append(settle_message(journey_id))
    return Outcome("settling" if after else "settled") if all(shop.publish_many(messages)) else UNAVAILABLE


def _after(settling: Settling, page: Sequence[Stored[Progress]]) -> Settling | None:
    done = settling.done + len(page)
    if len(page) == MAX_PAGE:
        return replace(settling, after=page[-1].value.id, done=done)
    return None if settling.parked else replace(settling, parked=True, after=None, done=done)


def _look(progress: Progress, head_rev: int) -> Outgoing:
    return RunMessage(progress_id=progress.id, head_rev=head_rev).to(RUNS_TOPIC)


def _take_up(shop: Workshop, page: Sequence[Stored[Progress]], settling: Settling, head_rev: int) -> list[Outgoing]:
    """Unpark a page, each member a little later than the one before; those of the first minute are published at once.

    The sweep takes up the others, and any whose message is lost. A lost compare-and-set: a hop has the member already.
    """
    now = shop.now()
    turns = [
        settling.started_at + timedelta(minutes=1) * (settling.done + place) / RESUME_PER_MINUTE for place in range(len(page))
    ]
    taken = [_unparked(shop, stored.value, turn=max(turn, now), now=now) for stored, turn in zip(page, turns, strict=True)]
    shop.commit_many([(Update(after, stored.version),) for after, stored in zip(taken, page, strict=True)])
    soon = [one for one, turn in zip(taken, turns, strict=True) if turn <= now + timedelta(minutes=1)]
    return [RunMessage(progress_id=one.id, rev=one.rev, head_rev=head_rev).to(RUNS_TOPIC) for one in soon]


def _unparked(shop: Workshop, progress: Progress, *, turn: datetime, now: datetime) -> Progress:
    at = turn + grace(progress.id, READY_GRACE_SECONDS)
    return shop.stamp_progress(unparked(progress, at=at, now=now), rev=progress.rev)


def _unpark_effects(shop: Workshop, journey_id: str) -> list[Outgoing]:
    messages: list[Outgoing] = []
    while page := shop.store.parked_effects(journey_id):
        now = shop.now()
        taken = [shop.stamp_effect(_unparked_effect(stored.value, now), rev=stored.value.rev + 1) for stored in page]
        results = shop.commit_many([(Update(after, stored.version),) for after, stored in zip(taken, page, strict=True)])
        messages += [EffectMessage(effect_id=effect.id).to(EFFECTS_TOPIC) for effect in taken]
        if CommitResult.APPLIED not in results:
            break
    return messages


def _unparked_effect(effect: Effect, now: datetime) -> Effect:
    return replace(effect, parked=False, sweep_at=first_sweep(effect.id, now=now))
