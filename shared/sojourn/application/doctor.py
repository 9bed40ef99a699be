"""The doctor: looks at everything that is on its way, page by page, and sets right what a machine may set right.

::

    a page ─▶ examine ─ nothing ails ─▶ done
                 │ something
                 ▼
              read again, examine again ─ it passed: a hop was under way ─▶ done
                 │ still
                 ▼
              a finding ─ repair? ─▶ compare-and-set, with an entry in the audit, then publish

On a busy system a page is old by the time it is examined, so what looks ill is read a second time. Two doctors at once do no
harm: of two repairs of one document one loses, and the next look finds it well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from sojourn.application.entry import entries_of
from sojourn.application.records import MAX_PAGE, R, S, Stored, Where
from sojourn.application.schedule_jobs import Repair, reconcile_jobs
from sojourn.application.treatment import Case, tell, treat
from sojourn.application.workshop import Workshop
from sojourn.domain.checkup import Stage
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.health import (
    Ailment,
    Finding,
    Surroundings,
    Symptom,
    counts_entry,
    examine_effect,
    examine_journey,
    examine_progress,
)
from sojourn.domain.journey import Entries, Journey, JourneyStatus
from sojourn.domain.progress import Progress, Status

ON_THEIR_WAY: Where = {"status": (EffectStatus.PENDING.value, EffectStatus.PERFORMING.value)}


@dataclass(frozen=True, slots=True)
class Report:
    """What a page came to: how many documents of what were looked at, and what ails them."""

    stage: Stage
    looked: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom to look at: everybody, those of a bot, or those of a journey."""

    bot_id: str | None = None
    journey_id: str | None = None

    @property
    def effects(self) -> Where:
        """What to ask the store for; of a bot's journey it may be too many."""
        if self.journey_id is not None:
            return {"journey_id": self.journey_id, **ON_THEIR_WAY}
        return {"bot_id": self.bot_id, **ON_THEIR_WAY} if self.bot_id is not None else ON_THEIR_WAY

    def covers(self, effect: Effect) -> bool:
        """Whether it belongs to whom is looked at."""
        return self.bot_id in (None, effect.bot_id) and self.journey_id in (None, effect.journey_id)


EVERYBODY = Scope()


def examine(shop: Workshop, scope: Scope = EVERYBODY, *, repair: bool = False) -> Iterator[Report]:
    """Look at all of `scope`, a report for each page. Every progress is a read, however long ago it ended."""
    heads = _heads(shop, scope)
    yield examine_journeys(shop, heads, repair=repair, jobs=scope == EVERYBODY)
    wheres: list[Where] = [{}]
    if scope != EVERYBODY:
        ids = {head.id for head in heads} | ({scope.journey_id} if scope.journey_id and not scope.bot_id else set())
        wheres = [{"journey_id": identifier, "status": tuple(Status)} for identifier in sorted(ids)]
    for where in wheres:
        for page in _pages(shop, Progress, where):
            yield examine_members(shop, page, repair=repair)
    for effects in _pages(shop, Effect, scope.effects):
        yield examine_effects(shop, [stored for stored in effects if scope.covers(stored.value)], repair=repair)


def journeys_in_use(shop: Workshop) -> list[Journey]:
    """Those that members may be on: drafts have none, and who ended is over once everybody was told."""
    heads = [*shop.store.journeys((JourneyStatus.ONGOING, JourneyStatus.PAUSED)), *shop.store.journeys_to_settle()]
    return list({head.id: head for head in heads}.values())


def _heads(shop: Workshop, scope: Scope) -> list[Journey]:
    if scope == EVERYBODY:
        return journeys_in_use(shop)
    if scope.journey_id is not None:
        heads = list(_read(shop, Journey, [scope.journey_id]).values())
    else:
        heads = [stored.value for page in _pages(shop, Journey, {"bot_id": scope.bot_id or ""}) for stored in page]
    return [head for head in heads if scope.bot_id in (None, head.bot_id)]


def _pages(shop: Workshop, kind: type[R], where: Where) -> Iterator[list[Stored[R]]]:
    after: str | None = None
    while page := shop.store.find(kind, where, after=after):
        yield page
        if len(page) < MAX_PAGE:
            return
        after = page[-1].value.id


# Journeys and their jobs


def examine_journeys(shop: Workshop, heads: Sequence[Journey], *, repair: bool, jobs: bool) -> Report:
    """Look at journeys; with `jobs` also at whether Cloud Scheduler does what their schedules say. Raises Unavailable."""
    found = {head.id: symptoms for head in heads if (symptoms := _ailing(shop, head))}
    again = [stored.value for stored in shop.store.get_many(Journey, list(found)) if stored is not None]
    findings = [tell(head, symptom) for head in again for symptom in _still(_ailing(shop, head), found[head.id])]
    return Report("journeys", len(heads), (*findings, *(_jobs(shop, repair=repair) if jobs else ())))


def _ailing(shop: Workshop, head: Journey) -> list[Symptom]:
    definition = shop.catalog.definition(head.id, head.version) if head.version is not None else None
    return examine_journey(head, Surroundings(shop.now(), shop.limits.shards, definition=definition))


def _still(symptoms: Sequence[Symptom], before: Sequence[Symptom]) -> list[Symptom]:
    ailments = {symptom.ailment for symptom in before}
    return [symptom for symptom in symptoms if symptom.ailment in ailments]


def _jobs(shop: Workshop, *, repair: bool) -> list[Finding]:
    """A journey may be published between the list of jobs and that of journeys: what is found twice is out of step."""
    suspects = {job.name for job in reconcile_jobs(shop, repair=False)}
    found = [job for job in reconcile_jobs(shop, repair=repair) if job.name in suspects] if suspects else []
    return [_out_of_step(job, repaired=repair) for job in found]


def _out_of_step(job: Repair, *, repaired: bool) -> Finding:
    sentence = f"to be {job.change}: {job.description}"
    return Finding(Ailment.JOB_OUT_OF_STEP, f"jobs/{job.name}", "", None, sentence, repaired=repaired)


# Members and effects


def examine_members(shop: Workshop, page: Sequence[Stored[Progress]], *, repair: bool) -> Report:
    """Look at a page of members. Raises Unavailable."""
    return Report("progress", len(page), tuple(_findings(shop, Progress, page, _members, repair=repair)))


def examine_effects(shop: Workshop, page: Sequence[Stored[Effect]], *, repair: bool) -> Report:
    """Look at a page of effects that are PENDING or PERFORMING. Raises Unavailable."""
    return Report("effects", len(page), tuple(_findings(shop, Effect, page, _effects, repair=repair)))


_Examine: TypeAlias = Callable[[Workshop, Sequence[Stored[S]]], dict[str, Case[S]]]
"""The cases of a page, by id."""


def _findings(
    shop: Workshop, kind: type[S], page: Sequence[Stored[S]], examine: _Examine[S], *, repair: bool
) -> Iterator[Finding]:
    first = examine(shop, page)
    again = [stored for stored in shop.store.get_many(kind, list(first)) if stored is not None] if first else []
    for identifier, case in examine(shop, again).items():
        symptoms = _still(case.symptoms, first[identifier].symptoms)
        cured = treat(shop, replace(case, symptoms=symptoms)) if repair and symptoms else frozenset()
        for symptom in symptoms:
            yield replace(tell(case.stored.value, symptom), repaired=symptom.ailment in cured)


def _members(shop: Workshop, page: Sequence[Stored[Progress]]) -> dict[str, Case[Progress]]:
    members = [stored.value for stored in page]
    versions = {(progress.journey_id, progress.version) for progress in members}
    definitions = {version: shop.catalog.definition(*version) for version in versions}
    heads = _read(shop, Journey, (progress.journey_id for progress in members))
    effects = _read(shop, Effect, (progress.awaits for progress in members if progress.awaits is not None))
    counted = (one for one in members if counts_entry(one, definitions[one.journey_id, one.version]))
    entries = _read(shop, Entries, (entries_of(progress) for progress in counted))
    cases: dict[str, Case[Progress]] = {}
    for stored, progress in zip(page, members, strict=True):
        around = Surroundings(
            shop.now(),
            shop.limits.shards,
            head=heads.get(progress.journey_id),
            definition=definitions[progress.journey_id, progress.version],
            effect=effects.get(progress.awaits or ""),
            entries=entries.get(entries_of(progress)),
        )
        if symptoms := examine_progress(progress, around):
            cases[progress.id] = Case(stored, symptoms, around)
    return cases


def _effects(shop: Workshop, page: Sequence[Stored[Effect]]) -> dict[str, Case[Effect]]:
    heads = _read(shop, Journey, (stored.value.journey_id for stored in page))
    owners = _read(shop, Progress, (stored.value.progress_id for stored in page))
    cases: dict[str, Case[Effect]] = {}
    for stored in page:
        effect = stored.value
        head, owner = heads.get(effect.journey_id), owners.get(effect.progress_id)
        around = Surroundings(shop.now(), shop.limits.shards, head=head, progress=owner)
        if symptoms := examine_effect(effect, around):
            cases[effect.id] = Case(stored, symptoms, around)
    return cases


def _read(shop: Workshop, kind: type[R], ids: Iterable[str]) -> dict[str, R]:
    wanted = sorted(set(ids))
    found = shop.store.get_many(kind, wanted) if wanted else []
    return {identifier: stored.value for identifier, stored in zip(wanted, found, strict=True) if stored is not None}
