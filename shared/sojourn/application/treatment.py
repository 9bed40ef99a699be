"""Treatment: what the doctor does about a case. One compare-and-set with an entry in the audit; publishing comes after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, assert_never

from sojourn.application.audit import Change, commit_changes, stamped
from sojourn.application.entry import count_passage, entries_of
from sojourn.application.messages import message_about
from sojourn.application.records import CommitResult, S, Stored, Write
from sojourn.application.workshop import Workshop
from sojourn.domain.effect import Effect
from sojourn.domain.healing import REMEDIES, heal_effect, heal_progress
from sojourn.domain.health import Ailment, Finding, Surroundings, Symptom
from sojourn.domain.journey import Entries, Journey
from sojourn.domain.progress import Progress


@dataclass(frozen=True, slots=True)
class Case(Generic[S]):
    """A document that something ails, and what it was judged by."""

    stored: Stored[S]
    symptoms: Sequence[Symptom]
    around: Surroundings


def tell(record: Journey | Progress | Effect, symptom: Symptom) -> Finding:
    """A symptom, and whose it is."""
    match record:
        case Journey():
            subject, journey_id, member_id = f"journeys/{record.id}", record.id, None
        case Progress():
            subject, journey_id, member_id = f"progress/{record.id}", record.journey_id, record.member_id
        case Effect():
            subject, journey_id, member_id = f"effects/{record.id}", record.journey_id, record.member_id
        case _:
            assert_never(record)
    return Finding(symptom.ailment, subject, journey_id, member_id, symptom.sentence, REMEDIES.get(symptom.ailment))


def treat(shop: Workshop, case: Case[Any]) -> frozenset[Ailment]:
    """What could be cured of a case; nothing where somebody else wrote the document meanwhile."""
    record, around = case.stored.value, case.around
    cured = {symptom.ailment for symptom in case.symptoms if _healed(record, [symptom], around) is not record}
    also: tuple[Write, ...] = ()
    if any(symptom.ailment is Ailment.NOT_COUNTED for symptom in case.symptoms):
        also = (_counted(shop, record),)
        cured.add(Ailment.NOT_COUNTED)
    if not cured:
        return frozenset()
    healed: Any = _healed(record, case.symptoms, around)
    after = stamped(shop, healed)
    change = Change(f"doctor.{'+'.join(sorted(cured))}", case.stored, after, also)
    if commit_changes(shop, [change])[0] is not CommitResult.APPLIED:
        return frozenset()
    if after.sweep_at is not None and after.sweep_at <= around.now:
        shop.publish_many([message_about(after, head_rev=around.head.rev if around.head is not None else None)])
    return frozenset(cured)


def _healed(record: Progress | Effect, symptoms: Sequence[Symptom], around: Surroundings) -> Progress | Effect:
    if isinstance(record, Progress):
        return heal_progress(record, symptoms, around)
    return heal_effect(record, symptoms, around)


def _counted(shop: Workshop, progress: Progress) -> Write:
    """The passage in the count that decides whether the member may enter again."""
    stored = shop.store.get_many(Entries, [entries_of(progress)])[0]
    count = stored.value.count + 1 if stored else 1
    return count_passage(stored, progress, count=count, token=shop.tokens.token())
