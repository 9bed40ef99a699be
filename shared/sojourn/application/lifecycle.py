"""The life of a journey: DRAFT -publish-> ONGOING <-pause/resume-> PAUSED, and from both to ENDED (design, section 3).

Each change writes the head first and then tends to the members: resume publishes those who are parked, ending those who are
on the way. Whoever parks or moves meanwhile looks at the head again, so one of the two sees the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC, EffectMessage, RunMessage
from sojourn.application.ports import MAX_PAGE, CommitResult, Create, Stored, Update
from sojourn.application.workshop import MAX_ROUNDS, Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect, first_sweep
from sojourn.domain.engine import unparked
from sojourn.domain.errors import NotAllowed, NotFound, Unavailable
from sojourn.domain.journey import Journey, JourneyStatus, JourneyVersion
from sojourn.domain.loading import dump_definition
from sojourn.domain.progress import Progress

ALLOWED = {
    JourneyStatus.DRAFT: ("publish",),
    JourneyStatus.ONGOING: ("pause", "end"),
    JourneyStatus.PAUSED: ("publish", "resume", "end"),
    JourneyStatus.ENDED: (),
}


def publish_journey(shop: Workshop, definition: Definition) -> Journey:
    """Publish a definition: the next version, ONGOING. The version is written before the head that names it."""
    for _ in range(MAX_ROUNDS):
        stored = shop.store.get_many(Journey, [definition.id])[0]
        if stored is not None:
            _check(stored.value, "publish")
        head = _published(shop, definition, stored.value if stored else None)
        assert head.version is not None
        text = dump_definition(definition)
        version = JourneyVersion(head.id, head.version, text, head.updated_at, token=shop.tokens.token())
        write = Update(head, stored.version) if stored else Create(head)
        if shop.commit_many([(Create(version), write)])[0] is CommitResult.APPLIED:
            return head
    raise Unavailable(f"journey {definition.id!r} is being written by others")


def _published(shop: Workshop, definition: Definition, before: Journey | None) -> Journey:
    now = shop.now()
    return Journey(
        id=definition.id,
        bot_id=definition.bot_id,
        name=definition.name,
        status=JourneyStatus.ONGOING,
        version=(before.version or 0) + 1 if before else 1,
        created_at=before.created_at if before else now,
        updated_at=now,
        listens=tuple(sorted(definition.listens.union(before.listens if before else ()))),
        schedule_end_at=definition.settings.schedule_end_at,
        rev=before.rev + 1 if before else 1,
        token=shop.tokens.token(),
    )


def pause(shop: Workshop, journey_id: str) -> Journey:
    """Nobody enters, nobody moves; what falls due is parked. Takes hold within the age of a cached head."""
    return _change(shop, journey_id, "pause", JourneyStatus.PAUSED)


def resume(shop: Workshop, journey_id: str) -> Journey:
    """ONGOING first; then look for whom the pause parked."""
    head = _change(shop, journey_id, "resume", JourneyStatus.ONGOING)
    unpark(shop, journey_id)
    return head


def end(shop: Workshop, journey_id: str, *, reason: str = "journey ended") -> Journey:
    """ENDED for good; everybody on the way is canceled, those that this call does not reach when they next move."""
    head = _change(shop, journey_id, "end", JourneyStatus.ENDED, reason=reason)
    for parked in (False, True):
        for page in _live(shop, journey_id, parked=parked):
            shop.publish_many([RunMessage(progress_id=stored.value.id).to(RUNS_TOPIC) for stored in page])
    return head


def end_due(shop: Workshop, now: datetime) -> int:
    """End the journeys whose schedule_end_at has passed; how many."""
    due = shop.store.journeys_to_end(now)
    for stored in due:
        end(shop, stored.value.id, reason="schedule_end_at reached")
    return len(due)


def _change(shop: Workshop, journey_id: str, change: str, status: JourneyStatus, *, reason: str | None = None) -> Journey:
    for _ in range(MAX_ROUNDS):
        stored = shop.store.get_many(Journey, [journey_id])[0]
        if stored is None:
            raise NotFound(f"no journey {journey_id!r}")
        before = stored.value
        _check(before, change)
        head = replace(before, status=status, end_reason=reason, updated_at=shop.now(), rev=before.rev + 1)
        head = replace(head, token=shop.tokens.token())
        if shop.commit_many([(Update(head, stored.version),)])[0] is CommitResult.APPLIED:
            return head
    raise Unavailable(f"journey {journey_id!r} is being written by others")


def _check(journey: Journey, change: str) -> None:
    allowed = ALLOWED[journey.status]
    if change not in allowed:
        raise NotAllowed(
            f"journey {journey.id!r} is {journey.status}: {change} is not allowed; allowed: {', '.join(allowed) or 'nothing'}"
        )


def unpark(shop: Workshop, journey_id: str) -> None:
    """Put everything that the pause parked before the sweep again, and publish it."""
    for page in _live(shop, journey_id, parked=True):
        _unpark_progress(shop, page)
    while effects := shop.store.parked_effects(journey_id):
        if not _unpark_effects(shop, effects):
            return


def _unpark_progress(shop: Workshop, page: Sequence[Stored[Progress]]) -> None:
    """A lost compare-and-set means that a hop has taken the member up already."""
    now = shop.now()
    after = [shop.stamp_progress(unparked(stored.value, now=now), rev=stored.value.rev) for stored in page]
    shop.commit_many([(Update(record, stored.version),) for record, stored in zip(after, page, strict=True)])
    shop.publish_many([RunMessage(progress_id=record.id, rev=record.rev).to(RUNS_TOPIC) for record in after])


def _unpark_effects(shop: Workshop, page: Sequence[Stored[Effect]]) -> bool:
    now = shop.now()
    fresh = [replace(stored.value, parked=False, sweep_at=first_sweep(stored.value.id, now=now)) for stored in page]
    after = [shop.stamp_effect(effect, rev=effect.rev + 1) for effect in fresh]
    results = shop.commit_many([(Update(record, stored.version),) for record, stored in zip(after, page, strict=True)])
    shop.publish_many([EffectMessage(effect_id=record.id).to(EFFECTS_TOPIC) for record in after])
    return any(result is CommitResult.APPLIED for result in results)


def _live(shop: Workshop, journey_id: str, *, parked: bool) -> Iterator[list[Stored[Progress]]]:
    after: str | None = None
    while page := shop.store.live_progress(journey_id, parked=parked, after=after):
        yield page
        if len(page) < MAX_PAGE:
            return
        after = page[-1].value.id
