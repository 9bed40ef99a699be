"""What an operator sets right: an effect that is DEAD or FAILED, a member in ERROR, an event that was rejected.

A repair is a value, so that one and the same serves one thing by its id and, page by page, all that a filter finds
(`application.desk`). Each is a compare-and-set with an audit entry; what it publishes is a hint that the sweep makes up for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from sojourn.application.audit import change, read, subject_of, write_entry
from sojourn.application.ingest import ingest
from sojourn.application.messages import message_about
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import Outgoing
from sojourn.application.workshop import Workshop
from sojourn.domain.delivery import taken_up
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.engine import retried
from sojourn.domain.errors import NotAllowed, Unavailable
from sojourn.domain.journey import RejectedEvent, RejectedStatus
from sojourn.domain.progress import MAX_TRAIL_STEPS, TERMINAL_RETENTION, Progress, Status, Step, expiry

B = TypeVar("B", Effect, Progress, RejectedEvent)
"""What can be broken."""

ABANDONED = "abandoned by an operator"
NOT_TAKEN = ("rejected", "not_ours")
"""Outcomes of a second try that leave a rejected event as it is."""


@dataclass(frozen=True, slots=True)
class Repair(Generic[B]):
    """`make` gives what a document becomes, or raises NotAllowed; `tell` is published then; `done` says it in a word."""

    action: str
    done: str
    kind: type[B]
    make: Callable[[Workshop, B], B]
    tell: Callable[[B], list[Outgoing]] = lambda _: []


def retry_effect(shop: Workshop, effect_id: str) -> Effect:
    """A DEAD or FAILED effect is PENDING again, with all its attempts. The sweep publishes it should the message be lost."""
    return _repair(shop, RETRY_EFFECT, effect_id)


def abandon_effect(shop: Workshop, effect_id: str, *, reason: str = "") -> Effect:
    """A DEAD or FAILED effect is SKIPPED for good; it expires like any other that is done."""
    return _repair(shop, abandoning_effects(reason), effect_id)


def retry_progress(shop: Workshop, progress_id: str) -> Progress:
    """A member in ERROR goes on from where it went wrong, and listens again."""
    return _repair(shop, RETRY_PROGRESS, progress_id)


def abandon_progress(shop: Workshop, progress_id: str, *, reason: str = "") -> Progress:
    """A member in ERROR leaves the journey: CANCELED."""
    return _repair(shop, abandoning_progress(reason), progress_id)


def replay_rejected(shop: Workshop, rejected_id: str) -> Outcome:
    """Take the entry in again, whole as it came; where that is refused once more it stays, else it is marked.

    Raises NotAllowed for what nobody knows the topic of, Unavailable.
    """
    outcome = _taken(shop, read(shop, RejectedEvent, rejected_id).value)
    if outcome.code not in NOT_TAKEN:
        change(shop, RejectedEvent, rejected_id, REPLAY.action, lambda found: _marked(shop, found))
    return outcome


def abandon_rejected(shop: Workshop, rejected_id: str) -> RejectedEvent:
    """A rejected event is no longer shown; it stays until it expires."""
    return _repair(shop, ABANDON_REJECTED, rejected_id)


def _repair(shop: Workshop, repair: Repair[B], identifier: str) -> B:
    repaired = change(shop, repair.kind, identifier, repair.action, lambda found: repair.make(shop, found))
    shop.publish_many(repair.tell(repaired))
    return repaired


def _retried_effect(shop: Workshop, effect: Effect) -> Effect:
    _check(effect, "retried")
    return taken_up(effect, now=shop.now())


def _abandoned_effect(shop: Workshop, effect: Effect, because: str) -> Effect:
    _check(effect, "abandoned")
    now = shop.now()
    text = ": ".join(filter(None, [ABANDONED, because or effect.reason]))
    return replace(effect, status=EffectStatus.SKIPPED, reason=text, updated_at=now, expire_at=now + TERMINAL_RETENTION)


def _check(effect: Effect, what: str) -> None:
    if effect.status not in (EffectStatus.DEAD, EffectStatus.FAILED):
        raise NotAllowed(f"effect {effect.id} is {effect.status}: only DEAD or FAILED can be {what}")


def _retried_progress(shop: Workshop, progress: Progress) -> Progress:
    _check_error(progress, "retried")
    return retried(progress, shop.catalog.definition(progress.journey_id, progress.version), now=shop.now())


def _abandoned_progress(shop: Workshop, progress: Progress, because: str) -> Progress:
    """What stood at a node leaves it there, as reports count it."""
    _check_error(progress, "abandoned")
    now = shop.now()
    text = ": ".join(filter(None, [ABANDONED, because or progress.end_reason]))
    return replace(
        progress,
        status=Status.CANCELED,
        node_id=None,
        schedule_at=None,
        awaits=None,
        end_reason=text,
        trail=_trail(progress, Step(progress.node_id or "", now, "canceled", text)),
        updated_at=now,
        ended_at=progress.ended_at or now,
        expire_at=expiry(progress, Status.CANCELED, now=now),
    )


def _check_error(progress: Progress, what: str) -> None:
    if progress.status is not Status.ERROR:
        raise NotAllowed(f"progress {progress.id} is {progress.status}: only {Status.ERROR} can be {what}")


def _trail(progress: Progress, step: Step) -> tuple[Step, ...]:
    return (*progress.trail, step)[-MAX_TRAIL_STEPS:]


def _replayed(shop: Workshop, rejected: RejectedEvent) -> RejectedEvent:
    _check_open(rejected, "replayed")
    outcome = _taken(shop, rejected)
    if outcome.code in NOT_TAKEN:
        raise NotAllowed(f"rejected event {rejected.id}: {': '.join([outcome.code, *outcome.notes])}, again")
    return _marked(shop, rejected)


def _marked(shop: Workshop, rejected: RejectedEvent) -> RejectedEvent:
    return replace(rejected, replayed_at=shop.now(), abandoned_at=None)


def _taken(shop: Workshop, rejected: RejectedEvent) -> Outcome:
    """Log entries are taken in here; dead letters go back to their topic: what made a function fail must not make us fail."""
    if not rejected.topic:
        raise NotAllowed(f"rejected event {rejected.id} came from a subscription that nobody knows: it can be abandoned")
    write_entry(shop, "rejected.replay", subject_of(rejected))
    if rejected.published_at is not None:
        sent = shop.publish_many([Outgoing(rejected.topic, rejected.data)])[0]
        outcome = Outcome("published") if sent else UNAVAILABLE
    else:
        outcome = ingest(shop, [rejected.data])[0]
    if outcome.retry:
        raise Unavailable(f"rejected event {rejected.id} could not be taken in just now")
    return outcome


def _abandoned_rejected(shop: Workshop, rejected: RejectedEvent) -> RejectedEvent:
    _check_open(rejected, "abandoned")
    return replace(rejected, abandoned_at=shop.now())


def _check_open(rejected: RejectedEvent, what: str) -> None:
    if rejected.status is not RejectedStatus.OPEN:
        raise NotAllowed(f"rejected event {rejected.id} is {rejected.status}: only {RejectedStatus.OPEN} can be {what}")


RETRY_EFFECT = Repair("effect.retry", "retried", Effect, _retried_effect, lambda effect: [message_about(effect)])
RETRY_PROGRESS = Repair("member.retry", "retried", Progress, _retried_progress, lambda found: [message_about(found)])
REPLAY = Repair("rejected.replayed", "replayed", RejectedEvent, _replayed)
ABANDON_REJECTED = Repair("rejected.abandon", "abandoned", RejectedEvent, _abandoned_rejected)


def abandoning_effects(because: str = "") -> Repair[Effect]:
    """Giving effects up; without a reason of its own each keeps what went wrong."""
    return Repair("effect.abandon", "abandoned", Effect, lambda shop, effect: _abandoned_effect(shop, effect, because))


def abandoning_progress(because: str = "") -> Repair[Progress]:
    """The same for members in ERROR."""
    return Repair("member.abandon", "abandoned", Progress, lambda shop, found: _abandoned_progress(shop, found, because))
