"""What an operator sets right: an effect that is dead, a member in ERROR, an event that was rejected; by compare-and-set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sojourn.application.ingest import ingest
from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC, EffectMessage, RunMessage
from sojourn.application.outcome import Outcome
from sojourn.application.records import CommitResult, R, Stored, Update
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.effect import Effect, EffectStatus, first_sweep
from sojourn.domain.errors import NotAllowed, NotFound, Unavailable
from sojourn.domain.journey import RejectedEvent
from sojourn.domain.progress import MAX_TRAIL_STEPS, TERMINAL_RETENTION, Progress, Status, Step, due_for_sweep


def retry_effect(shop: Workshop, effect_id: str) -> Effect:
    """A DEAD or FAILED effect is PENDING again, with all its attempts. The sweep publishes it should the message be lost."""

    def retried(effect: Effect) -> Effect:
        _check(effect, "retry", EffectStatus.DEAD, EffectStatus.FAILED)
        now = shop.now()
        fresh = replace(effect, status=EffectStatus.PENDING, reason=None, attempts=0, not_before=None, updated_at=now)
        fresh = replace(fresh, sweep_at=first_sweep(effect.id, now=now), sweep_count=0, expire_at=None)
        return shop.stamp_effect(fresh, rev=effect.rev + 1)

    effect = _change(shop, Effect, effect_id, retried)
    shop.publish_many([EffectMessage(effect_id=effect.id).to(EFFECTS_TOPIC)])
    return effect


def abandon_effect(shop: Workshop, effect_id: str, *, reason: str = "") -> Effect:
    """A DEAD effect is SKIPPED for good; it expires like any other that is done."""

    def abandoned(effect: Effect) -> Effect:
        _check(effect, "abandon", EffectStatus.DEAD)
        now = shop.now()
        text = ": ".join(filter(None, ["abandoned by an operator", reason or effect.reason]))
        closed = replace(effect, status=EffectStatus.SKIPPED, reason=text, updated_at=now, expire_at=now + TERMINAL_RETENTION)
        return shop.stamp_effect(closed, rev=effect.rev + 1)

    return _change(shop, Effect, effect_id, abandoned)


def _check(effect: Effect, change: str, *allowed: EffectStatus) -> None:
    if effect.status not in allowed:
        raise NotAllowed(f"effect {effect.id} is {effect.status}: only {' or '.join(allowed)} can be taken to {change}")


def retry_progress(shop: Workshop, progress_id: str) -> Progress:
    """A member in ERROR is READY again at the node where it went wrong, and listens again for what always counts."""

    def retried(progress: Progress) -> Progress:
        if progress.status is not Status.ERROR:
            raise NotAllowed(f"progress {progress.id} is {progress.status}: only {Status.ERROR} can be retried")
        definition = shop.catalog.definition(progress.journey_id, progress.version)
        now = shop.now()
        step = Step(progress.node_id or "", now, "retried", progress.end_reason)
        fresh = replace(
            progress,
            status=Status.READY,
            end_reason=None,
            listens=tuple(sorted(definition.always_listens)) if definition else (),
            trail=(*progress.trail, step)[-MAX_TRAIL_STEPS:],
            updated_at=now,
            ended_at=None,
            expire_at=None,
        )
        return shop.stamp_progress(replace(fresh, sweep_at=due_for_sweep(fresh, now=now)), rev=progress.rev + 1)

    progress = _change(shop, Progress, progress_id, retried)
    shop.publish_many([RunMessage(progress_id=progress.id, rev=progress.rev).to(RUNS_TOPIC)])
    return progress


def replay_rejected(shop: Workshop, rejected_id: str) -> Outcome:
    """Take the entry in again, whole as it came; `rejected` once more, it stays, else it is marked. Raises Unavailable."""
    rejected = _get(shop, RejectedEvent, rejected_id).value
    outcome = ingest(shop, [rejected.data])[0]
    if outcome.retry:
        raise Unavailable(f"rejected event {rejected_id} could not be taken in just now")
    if outcome.code != "rejected":
        now, token = shop.now(), shop.tokens.token()
        _change(shop, RejectedEvent, rejected_id, lambda found: replace(found, replayed_at=now, rev=found.rev + 1, token=token))
    return outcome


def _change(shop: Workshop, kind: type[R], identifier: str, change: Callable[[R], R]) -> R:
    """Read, change, compare-and-set; again where somebody else was faster. Raises what `change` raises."""
    for _ in range(MAX_ROUNDS):
        stored = _get(shop, kind, identifier)
        after = change(stored.value)
        if shop.commit_many([(Update(after, stored.version),)])[0] is CommitResult.APPLIED:
            return after
    raise Unavailable(f"{identifier} is being written by others")


def _get(shop: Workshop, kind: type[R], identifier: str) -> Stored[R]:
    stored = shop.store.get_many(kind, [identifier])[0]
    if stored is None:
        raise NotFound(f"no {_WORDS[kind]} {identifier!r}")
    return stored


_WORDS: dict[type, str] = {Effect: "effect", Progress: "progress", RejectedEvent: "rejected event"}
