"""The doctor: what is broken is found and repaired, and the member then moves to the end; of what is well it says nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

import pytest

from sojourn.application.doctor import EVERYBODY, Scope, examine, examine_members
from sojourn.application.lifecycle import end, pause, resume
from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC, SWEEPS_TOPIC
from sojourn.application.records import Commit, CommitResult, Create, Delete, Record, Stored, Update
from sojourn.application.repair import retry_effect, retry_progress
from sojourn.domain.audit import AuditEntry
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.health import Ailment, Finding
from sojourn.domain.ids import shard_of
from sojourn.domain.journey import Entries, Journey, JourneyVersion, Settling
from sojourn.domain.progress import STUCK_AFTER, Progress, Status
from tests.application.conftest import Cloud, MemoryCloud
from tests.builders import JOURNEY, START, after, definition, log, send, wait

SIMPLE = definition([wait(), send()], exit_events=[{"event": "bought"}])
AWAITING = definition([send(await_result=True)])
LATER = after(hours=2)


def findings(cloud: Cloud, *, repair: bool = False, scope: Scope = EVERYBODY) -> list[Finding]:
    return [finding for report in examine(cloud.shop, scope, repair=repair) for finding in report.findings]


def ailments(found: Sequence[Finding]) -> list[Ailment]:
    return [finding.ailment for finding in found]


def stored(cloud: Cloud, record: Record) -> Stored[Progress]:
    (found,) = cloud.store.get_many(type(record), [record.id])  # type: ignore[type-var]  # one of the kinds, whichever
    assert found is not None
    return found  # type: ignore[return-value]


def broken(cloud: Cloud, record: Record) -> None:
    """Somebody put this in the place of what was there."""
    cloud.store.commit_many([(Update(replace(record, token="broken"), stored(cloud, record).version),)])


def lost(cloud: Cloud, record: Record) -> None:
    """Somebody deleted it."""
    cloud.store.commit_many([(Delete(record, stored(cloud, record).version),)])
    cloud.shop.catalog._definitions.clear()
    cloud.shop.catalog._heads.clear()


def waiting(cloud: Cloud, of: Definition = SIMPLE) -> Progress:
    """A member who waits, for a day or for a result."""
    cloud.publish(of)
    cloud.log(log())
    cloud.hop()
    return cloud.progress


def pending(cloud: Cloud) -> Effect:
    """A message that the member awaits; the one that asks to perform it is lost."""
    waiting(cloud, AWAITING)
    cloud.waiting(EFFECTS_TOPIC)
    return cloud.only(Effect)


def to_the_end(cloud: Cloud) -> Progress:
    """Days go by; whatever is published is delivered."""
    for hours in (0, 1, 23, 25):
        cloud.at(LATER + timedelta(hours=hours))
        cloud.sweep()
        for _ in range(3):
            cloud.hop()
            cloud.perform()
            cloud.settle()
    return cloud.progress


Break: TypeAlias = Callable[[Cloud], None]


def _progress(of: Definition = SIMPLE, **changes: object) -> Break:
    return lambda cloud: broken(cloud, replace(waiting(cloud, of), **changes))  # type: ignore[arg-type]


def _effect(**changes: object) -> Break:
    return lambda cloud: broken(cloud, replace(pending(cloud), **changes))  # type: ignore[arg-type]


def _ended(cloud: Cloud) -> None:
    """The page that tells everybody was lost, and so was that it ever began."""
    waiting(cloud)
    end(cloud.shop, JOURNEY)
    cloud.waiting(SWEEPS_TOPIC)
    broken(cloud, replace(cloud.only(Journey), settling=None))


def _paused_and_swept(cloud: Cloud) -> None:
    progress = waiting(cloud)
    pause(cloud.shop, JOURNEY)
    broken(cloud, replace(progress, parked=True, sweep_at=after(days=1), shard=0))
    cloud.at(LATER)


def _result(cloud: Cloud) -> None:
    """The result is there, but when to look for it was put off for ever."""
    progress = waiting(cloud, AWAITING)
    cloud.perform()
    cloud.waiting(RUNS_TOPIC)
    broken(cloud, replace(progress, sweep_at=after(hours=20)))


def _uncounted(cloud: Cloud) -> None:
    waiting(cloud, definition([wait(), send()], repeat_journey_times=2))
    lost(cloud, cloud.only(Entries))


HEALED: dict[Ailment, Break] = {
    Ailment.NO_FUTURE: _progress(sweep_at=None),
    Ailment.WRONG_SHARD: _progress(shard=99),
    Ailment.OVERDUE: _progress(sweep_at=START, schedule_at=START),
    Ailment.FAR_OFF: _progress(sweep_at=after(days=900)),
    Ailment.WAITS_FOR_NOTHING: _progress(schedule_at=None),
    Ailment.PARKED_WITHOUT_PAUSE: _progress(parked=True, sweep_at=None),
    Ailment.RESULT_NOT_TAKEN: _result,
    Ailment.LISTENS_WRONG: _progress(listens=()),
    Ailment.LIVE_EXPIRES: _progress(expire_at=after(days=1)),
    Ailment.NOT_COUNTED: _uncounted,
}
EFFECTS_HEALED: dict[Ailment, Break] = {
    Ailment.NO_FUTURE: _effect(sweep_at=None),
    Ailment.WRONG_SHARD: _effect(shard=99),
    Ailment.OVERDUE: _effect(sweep_at=after(minutes=1)),
    Ailment.FAR_OFF: _effect(sweep_at=after(days=900)),
    Ailment.PARKED_WITHOUT_PAUSE: _effect(parked=True, sweep_at=None),
    Ailment.LIVE_EXPIRES: _effect(expire_at=after(days=1)),
}
CASES = [
    *(pytest.param(ailment, do, id=f"member {ailment}") for ailment, do in HEALED.items()),
    *(pytest.param(ailment, do, id=f"effect {ailment}") for ailment, do in EFFECTS_HEALED.items()),
]


@pytest.mark.parametrize(("ailment", "break_it"), CASES)
def test_what_is_broken_is_found_and_repaired_and_the_member_reaches_the_end(
    cloud: Cloud, ailment: Ailment, break_it: Break
) -> None:
    break_it(cloud)
    cloud.at(LATER)
    before = cloud.documents()
    assert ailment in ailments(findings(cloud)) and cloud.documents() == before
    found = findings(cloud, repair=True)
    assert ailment in ailments(found) and all(finding.repaired for finding in found)
    assert findings(cloud) == []
    assert to_the_end(cloud).status is Status.ENDED
    assert len(cloud.mailbox.deliveries) == 1
    assert findings(cloud) == []


@pytest.mark.parametrize(
    ("ailment", "break_it"),
    [(Ailment.JOURNEY_ENDED, _ended), (Ailment.JOURNEY_MISSING, lambda cloud: lost(cloud, _head_of(waiting(cloud), cloud)))],
    ids=["ended", "missing"],
)
def test_who_is_left_on_a_journey_that_is_over_leaves(cloud: Cloud, ailment: Ailment, break_it: Break) -> None:
    break_it(cloud)
    cloud.at(LATER)
    assert [(one.ailment, one.repaired) for one in findings(cloud, repair=True)] == [(ailment, True)]
    assert findings(cloud) == []
    cloud.hop()
    assert cloud.progress.status is Status.CANCELED


def _head_of(_: Progress, cloud: Cloud) -> Journey:
    return cloud.only(Journey)


def test_a_parked_member_whom_the_sweep_would_find_is_parked_only(cloud: Cloud) -> None:
    _paused_and_swept(cloud)
    assert [(one.ailment, one.repaired) for one in findings(cloud, repair=True)] == [(Ailment.PARKED_AND_SWEPT, True)]
    assert cloud.progress.parked and cloud.progress.sweep_at is None
    resume(cloud.shop, JOURNEY)
    assert to_the_end(cloud).status is Status.ENDED


@pytest.mark.parametrize(
    ("ailment", "changes"),
    [(Ailment.TERMINAL_SWEPT, {"sweep_at": LATER, "shard": 0}), (Ailment.NEVER_EXPIRES, {"expire_at": None})],
)
def test_who_has_ended_is_swept_no_more_and_expires(cloud: Cloud, ailment: Ailment, changes: dict[str, object]) -> None:
    waiting(cloud, definition([send()], repeat_journey_times=None))
    assert cloud.progress.status is Status.ENDED
    broken(cloud, replace(cloud.progress, **changes))  # type: ignore[arg-type]
    assert [(one.ailment, one.repaired) for one in findings(cloud, repair=True)] == [(ailment, True)]
    assert cloud.progress.sweep_at is None and cloud.progress.expire_at is not None
    assert findings(cloud) == []


def test_where_nobody_can_know_what_came_of_a_message_an_operator_decides(cloud: Cloud) -> None:
    """The member is in ERROR; a retry sends the message anew."""
    lost(cloud, pending(cloud))
    cloud.at(LATER)
    assert ailments(findings(cloud, repair=True)) == [Ailment.OVERDUE, Ailment.EFFECT_MISSING]
    assert cloud.progress.status is Status.ERROR and "doctor: awaits the result" in (cloud.progress.end_reason or "")
    assert findings(cloud) == []
    retry_progress(cloud.shop, cloud.progress.id)
    assert to_the_end(cloud).status is Status.ENDED


def test_a_version_that_is_gone_is_told_and_its_members_go_on_once_it_is_back(cloud: Cloud) -> None:
    waiting(cloud)
    version = cloud.only(JourneyVersion)
    lost(cloud, version)
    found = findings(cloud, repair=True)
    assert [(one.ailment, one.subject.partition("/")[0], one.repaired) for one in found] == [
        (Ailment.VERSION_MISSING, "journeys", False),
        (Ailment.VERSION_MISSING, "progress", True),
    ]
    assert found[0].remedy == "restore the version from a backup, or publish the journey again"
    assert cloud.progress.status is Status.ERROR
    assert ailments(findings(cloud)) == [Ailment.VERSION_MISSING]
    cloud.store.commit_many([(Create(version),)])
    retry_progress(cloud.shop, cloud.progress.id)
    assert to_the_end(cloud).status is Status.ENDED


def test_a_message_of_nobody_is_dead_and_can_be_retried(cloud: Cloud) -> None:
    effect = pending(cloud)
    lost(cloud, cloud.progress)
    assert [(one.ailment, one.repaired) for one in findings(cloud, repair=True)] == [(Ailment.ORPHANED, True)]
    assert cloud.only(Effect).status is EffectStatus.DEAD and findings(cloud) == []
    retry_effect(cloud.shop, effect.id)
    cloud.perform()
    assert cloud.only(Effect).status is EffectStatus.DONE


@pytest.mark.parametrize(
    "break_it",
    [_progress(sweep_count=STUCK_AFTER), _effect(sweep_count=STUCK_AFTER), _progress(AWAITING, awaits=None)],
    ids=["stuck member", "stuck effect", "waits for nobody knows what"],
)
def test_what_a_machine_may_not_decide_is_told_with_what_people_can_do(cloud: Cloud, break_it: Break) -> None:
    break_it(cloud)
    before = cloud.documents()
    (finding,) = findings(cloud, repair=True)
    assert finding.remedy and not finding.repaired
    assert cloud.documents() == before


def test_a_journey_that_no_longer_settles_is_told(cloud: Cloud) -> None:
    waiting(cloud)
    broken(cloud, replace(cloud.only(Journey), settling=Settling(parked=True, started_at=START, moved_at=after(minutes=5))))
    cloud.at(after(minutes=30))
    assert findings(cloud) == []
    cloud.at(after(minutes=40))
    assert ailments(findings(cloud, repair=True)) == [Ailment.SETTLING_STUCK]


def test_a_repair_is_in_the_audit_with_who_did_it_and_what_it_was(cloud: Cloud) -> None:
    broken(cloud, replace(waiting(cloud), sweep_at=None, listens=()))
    known = {entry.id for entry in cloud.all(AuditEntry)}
    list(examine(cloud.shop.by("ann@example.com"), repair=True))
    (entry,) = [entry for entry in cloud.all(AuditEntry) if entry.id not in known]
    assert (entry.principal, entry.action) == ("ann@example.com", "doctor.listens_wrong+no_future")


def test_a_member_who_moves_while_the_page_is_read_is_well(cloud: Cloud) -> None:
    broken(cloud, replace(waiting(cloud), sweep_at=None))
    page = cloud.store.find(Progress, {})
    broken(cloud, replace(cloud.progress, sweep_at=after(days=1), shard=shard_of(cloud.progress.id, cloud.shop.limits.shards)))
    assert examine_members(cloud.shop, page, repair=True).findings == ()


def test_two_doctors_at_once_repair_once(memory_cloud: MemoryCloud) -> None:
    """The second one looked before the first one wrote, and writes after it."""
    cloud = memory_cloud
    broken(cloud, replace(waiting(cloud), sweep_at=None))
    commit_many, found = cloud.store.commit_many, list[Finding]()

    def while_another_does_the_same(commits: Sequence[Commit]) -> list[CommitResult]:
        cloud.store.commit_many = commit_many  # type: ignore[method-assign]
        found.extend(findings(cloud, repair=True))
        return commit_many(commits)

    cloud.store.commit_many = while_another_does_the_same  # type: ignore[method-assign]
    found += findings(cloud, repair=True)
    assert sorted(finding.repaired for finding in found) == [False, True]
    assert cloud.progress.rev == 3 and findings(cloud) == []


def test_only_who_is_asked_about_is_looked_at(cloud: Cloud) -> None:
    other = definition([wait()]).model_copy(update={"id": "other", "bot_id": "bot-2"})
    cloud.publish(other)
    cloud.log(log(bot_id="bot-2", id="x"))
    cloud.hop()
    broken(cloud, replace(cloud.progress, sweep_at=None))
    cloud.publish(AWAITING)
    cloud.at(after(minutes=1))
    cloud.log(log())
    cloud.hop()
    ill = next(effect for effect in cloud.all(Effect))
    broken(cloud, replace(ill, sweep_at=None))
    kinds = {
        scope: [finding.subject.partition("/")[0] for finding in findings(cloud, scope=scope)]
        for scope in (Scope(), Scope(bot_id="bot-1"), Scope(journey_id="other"), Scope(bot_id="bot-2", journey_id=JOURNEY))
    }
    assert list(kinds.values()) == [["progress", "effects"], ["effects"], ["progress"], []]


def test_every_ailment_is_broken_here_or_among_the_jobs() -> None:
    told = {Ailment.STUCK, Ailment.SETTLING_STUCK, Ailment.VERSION_MISSING, Ailment.EFFECT_MISSING, Ailment.ORPHANED}
    over = {Ailment.JOURNEY_ENDED, Ailment.JOURNEY_MISSING, Ailment.TERMINAL_SWEPT, Ailment.NEVER_EXPIRES}
    rest = {Ailment.PARKED_AND_SWEPT, Ailment.JOB_OUT_OF_STEP}
    assert set(HEALED) | set(EFFECTS_HEALED) | told | over | rest == set(Ailment)


def test_a_job_that_somebody_deleted_is_told_and_made_again(cloud: Cloud) -> None:
    hourly = SIMPLE.model_dump(mode="json")
    hourly["nodes"][0] = {"id": "start", "key": "schedule", "settings": {"cron": "0 * * * *"}}
    cloud.publish(Definition.model_validate(hourly))
    assert findings(cloud) == []
    (job,) = cloud.jobs.jobs("")
    cloud.jobs.delete(job.name)
    assert [(one.ailment, one.repaired) for one in findings(cloud)] == [(Ailment.JOB_OUT_OF_STEP, False)]
    assert cloud.jobs.jobs("") == []
    assert [(one.ailment, one.repaired) for one in findings(cloud, repair=True)] == [(Ailment.JOB_OUT_OF_STEP, True)]
    assert cloud.jobs.jobs("") == [job] and findings(cloud) == []
