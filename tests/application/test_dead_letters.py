"""Dead letters: what each one comes to, that nothing is lost on the way, and that a letter that comes twice changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from sojourn.adapters.memory_dead_letters import MemoryDeadLetters
from sojourn.application.dead_letters import GIVE_UP_AFTER, PULL_SIZE, drain, drain_all
from sojourn.application.enroll import enroll
from sojourn.application.lifecycle import pause, resume
from sojourn.application.messages import (
    EFFECTS_TOPIC,
    ENROLLMENTS_TOPIC,
    EVENTS_TOPIC,
    RUNS_TOPIC,
    SWEEPS_TOPIC,
    Delivered,
    EffectMessage,
    EnrollMessage,
    RunMessage,
    SweepMessage,
)
from sojourn.application.ports import DeadLetter, Outgoing
from sojourn.application.records import CommitResult, S, Update
from sojourn.application.repair import replay_rejected, retry_effect, retry_progress
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.enrollment import Enrollment
from sojourn.domain.errors import NotAllowed, Unavailable
from sojourn.domain.journey import QuotaShare, RejectedEvent, RejectedStatus
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud, MemoryCloud, instead
from tests.builders import JOURNEY, START, after, definition, log, send, wait

SUBSCRIPTIONS = {
    RUNS_TOPIC: "run_journey",
    EFFECTS_TOPIC: "perform",
    EVENTS_TOPIC: "ingest",
    SWEEPS_TOPIC: "sweep",
    ENROLLMENTS_TOPIC: "enroll",
}


def letter(message: Outgoing, *, at: datetime = START, id: str = "1") -> DeadLetter:
    """`message`, published `at` that moment, given up by its function."""
    subscription = SUBSCRIPTIONS.get(message.topic, "somebody")
    return DeadLetter(id, message.topic or None, subscription, 20, at, message.data)


def run_of(progress: Progress, *, rev: int | None = 0) -> Outgoing:
    """A run message; of the revision that is there, unless told."""
    return RunMessage(progress_id=progress.id, rev=progress.rev if rev == 0 else rev).to(RUNS_TOPIC)


def swept_in_vain(cloud: Cloud, kind: type[S], times: int) -> None:
    """So many sweeps found what is there, and nobody took up what they published."""
    minutes = 5
    while cloud.only(kind).sweep_count < times:
        cloud.at(after(minutes=minutes))
        cloud.sweep()
        minutes += 1
    for topic in (RUNS_TOPIC, EFFECTS_TOPIC):
        cloud.waiting(topic)


def codes(cloud: Cloud, *letters: DeadLetter) -> list[str]:
    return [outcome.code for outcome in drain(cloud.shop, letters)]


def entered(cloud: Cloud, of: Definition) -> Progress:
    """A member who entered; the message of the first hop is lost."""
    cloud.publish(of)
    cloud.log(log())
    cloud.waiting(RUNS_TOPIC)
    return cloud.progress


def test_a_member_whom_sweeps_could_not_move_is_in_error_with_the_reason_and_goes_on_where_it_failed(cloud: Cloud) -> None:
    entered(cloud, definition([send()]))
    swept_in_vain(cloud, Progress, GIVE_UP_AFTER)
    assert codes(cloud, letter(run_of(cloud.progress))) == ["error"]
    failed = cloud.progress
    assert failed.status is Status.ERROR and failed.node_id == "start"
    assert failed.end_reason == "dead_lettered: run_journey gave its message up after 20 deliveries"
    assert failed.trail[-1].outcome == "error" and failed.sweep_at is None
    assert cloud.sweep().notes == ()
    retry_progress(cloud.shop, failed.id)
    cloud.hop()
    assert cloud.progress.status is Status.ENDED


def test_a_member_whom_no_sweep_could_look_at_is_handed_back_for_the_store_was_away(cloud: Cloud) -> None:
    progress = entered(cloud, definition([send()]))
    cloud.at(after(hours=3))  # of an outage
    assert codes(cloud, letter(run_of(progress))) == ["handed_back"]
    assert cloud.progress == progress
    cloud.sweep()
    cloud.hop()
    assert cloud.progress.status is Status.ENDED


def test_a_signal_is_handed_back_and_the_sweep_looks_at_once(cloud: Cloud) -> None:
    cloud.publish(definition([wait(duration="7d")], exit_events=[{"event": "bought"}]))
    cloud.log(log())
    cloud.hop()
    cloud.log(log("bought", at=after(seconds=5)))
    cloud.waiting(RUNS_TOPIC)
    cloud.at(after(minutes=1))
    assert codes(cloud, letter(run_of(cloud.progress, rev=None), at=after(seconds=6))) == ["handed_back"]
    cloud.sweep()
    cloud.hop()
    assert cloud.progress.status is Status.CANCELED


def test_a_signal_for_nothing_leaves_the_wait_as_it_was(cloud: Cloud) -> None:
    cloud.publish(definition([wait()]))
    cloud.log(log())
    cloud.hop()
    due = cloud.progress.sweep_at
    assert codes(cloud, letter(run_of(cloud.progress, rev=None), at=after(seconds=6))) == ["handed_back"]
    cloud.sweep()
    assert [outcome.code for outcome in cloud.hop()] == ["rearmed"]
    assert (cloud.progress.sweep_at, cloud.progress.sweep_count) == (due, 0)


@pytest.mark.parametrize("rev", [1, None], ids=["another revision", "a signal of before"])
def test_a_letter_that_the_member_has_overtaken_is_a_duplicate(cloud: Cloud, rev: int | None) -> None:
    entered(cloud, definition([wait(), send()]))
    cloud.at(after(minutes=3))
    cloud.hop(RunMessage(progress_id=cloud.progress.id, rev=1))
    before = cloud.documents()
    assert codes(cloud, letter(run_of(cloud.progress, rev=rev))) == ["duplicate"]
    assert cloud.documents() == before


def test_a_member_who_is_gone_ended_or_parked_needs_nothing(cloud: Cloud) -> None:
    progress = entered(cloud, definition([wait()]))
    pause(cloud.shop, JOURNEY)
    cloud.at(after(minutes=2))
    cloud.hop(RunMessage(progress_id=progress.id, rev=1))
    gone = RunMessage(progress_id="nobody", rev=1).to(RUNS_TOPIC)
    assert cloud.progress.parked
    assert codes(cloud, letter(run_of(progress)), letter(gone, id="2")) == ["duplicate", "duplicate"]
    resume(cloud.shop, JOURNEY)
    cloud.settle()
    cloud.hop()
    assert cloud.progress.status is Status.WAITING
    cloud.at(after(days=2))
    cloud.hop(RunMessage(progress_id=progress.id))
    assert codes(cloud, letter(run_of(cloud.progress))) == ["duplicate"]


def test_a_goal_that_came_after_the_end_gets_its_signal_once_more(cloud: Cloud) -> None:
    cloud.publish(definition([send()], goal={"event": "bought"}))
    cloud.log(log())
    cloud.hop()
    cloud.log(log("bought", at=after(seconds=5)))
    (signal,) = cloud.topics.take(RUNS_TOPIC)
    assert codes(cloud, letter(Outgoing(RUNS_TOPIC, signal), at=after(seconds=6))) == ["sent_again"]
    cloud.hop()
    assert cloud.progress.status is Status.ENDED and cloud.progress.goal is not None


def test_who_awaited_a_result_when_it_failed_awaits_it_again_and_nothing_is_sent_twice(cloud: Cloud) -> None:
    cloud.publish(definition([send(await_result=True)]))
    cloud.log(log())
    cloud.hop()
    cloud.perform()
    cloud.waiting(RUNS_TOPIC)
    swept_in_vain(cloud, Progress, GIVE_UP_AFTER)
    assert codes(cloud, letter(run_of(cloud.progress), at=after(hours=1))) == ["error"]
    assert retry_progress(cloud.shop, cloud.progress.id).status is Status.WAITING
    cloud.hop()
    assert cloud.progress.status is Status.ENDED and len(cloud.mailbox.deliveries) == 1


def test_who_failed_when_a_wait_was_over_does_not_wait_again(cloud: Cloud) -> None:
    cloud.publish(definition([wait(duration="1m"), send()]))
    cloud.log(log())
    cloud.hop()
    swept_in_vain(cloud, Progress, GIVE_UP_AFTER)
    assert codes(cloud, letter(run_of(cloud.progress))) == ["error"]
    retry_progress(cloud.shop, cloud.progress.id)
    cloud.hop()
    assert cloud.progress.status is Status.ENDED
    assert [step.outcome for step in cloud.progress.trail].count("waiting") == 1


def test_an_effect_that_no_sweep_got_performed_is_dead_and_wakes_who_awaits_it(cloud: Cloud) -> None:
    cloud.publish(definition([send(await_result=True)], message_quota=1))
    cloud.log(log())
    cloud.hop()
    message = EffectMessage(effect_id=cloud.only(Effect).id).to(EFFECTS_TOPIC)
    cloud.waiting(EFFECTS_TOPIC)
    assert codes(cloud, letter(message)) == ["handed_back"]
    swept_in_vain(cloud, Effect, GIVE_UP_AFTER)
    assert codes(cloud, letter(message)) == ["dead"]
    effect = cloud.only(Effect)
    assert (effect.status, effect.failure) == (EffectStatus.DEAD, "system") and effect.reason is not None
    assert effect.reason.startswith("dead_lettered: perform")
    assert effect.expire_at is None and effect.sweep_at is None
    assert sum(share.used for share in cloud.all(QuotaShare)) == 0
    cloud.hop()
    assert cloud.progress.status is Status.ENDED and cloud.progress.trail[-2].outcome == "dead"
    assert codes(cloud, letter(message)) == ["duplicate"]


def test_a_dead_effect_is_performed_after_a_retry(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    cloud.log(log())
    cloud.hop()
    cloud.waiting(EFFECTS_TOPIC)
    swept_in_vain(cloud, Effect, GIVE_UP_AFTER)
    codes(cloud, letter(EffectMessage(effect_id=cloud.only(Effect).id).to(EFFECTS_TOPIC)))
    retry_effect(cloud.shop, cloud.only(Effect).id)
    cloud.perform()
    assert cloud.only(Effect).status is EffectStatus.DONE


@pytest.mark.parametrize(
    "change",
    [
        lambda effect: replace(effect, status=EffectStatus.PERFORMING, sweep_at=after(minutes=2)),
        lambda effect: replace(effect, not_before=after(hours=1), sweep_at=after(hours=1)),
        lambda effect: replace(effect, updated_at=after(minutes=1)),
        lambda effect: replace(effect, parked=True, sweep_at=None),
        lambda effect: replace(effect, status=EffectStatus.DONE, sweep_at=None),
    ],
    ids=["leased", "put off", "claimed since", "parked", "done"],
)
def test_an_effect_that_somebody_looks_after_is_left_to_them(
    memory_cloud: MemoryCloud, change: Callable[[Effect], Effect]
) -> None:
    cloud = memory_cloud
    cloud.publish(definition([send()]))
    cloud.log(log())
    cloud.hop()
    stored = cloud.store.get_many(Effect, [cloud.only(Effect).id])[0]
    assert stored is not None
    cloud.store.commit_many([(Update(change(replace(stored.value, sweep_count=GIVE_UP_AFTER)), stored.version),)])
    before = cloud.documents()
    assert codes(cloud, letter(EffectMessage(effect_id=stored.value.id).to(EFFECTS_TOPIC))) == ["duplicate"]
    assert cloud.documents() == before


def test_a_log_entry_gets_one_more_round_and_then_waits_for_an_operator(cloud: Cloud) -> None:
    entry = Outgoing(EVENTS_TOPIC, log())
    cloud.publish(definition([wait()]))
    cloud.at(after(hours=1))
    assert codes(cloud, letter(entry)) == ["sent_again"]
    kept = cloud.only(RejectedEvent)
    assert (kept.status, kept.reason, kept.topic) == (RejectedStatus.REPLAYED, "dead_lettered", EVENTS_TOPIC)
    assert cloud.topics.take(EVENTS_TOPIC) == [entry.data]
    assert codes(cloud, letter(entry)) == ["duplicate"]  # its acknowledgement was lost
    assert cloud.topics.take(EVENTS_TOPIC) == []
    assert codes(cloud, letter(entry, at=after(hours=1), id="2")) == ["given_up"]
    assert cloud.only(RejectedEvent).status is RejectedStatus.OPEN
    assert codes(cloud, letter(entry, at=after(hours=1), id="2")) == ["kept"]
    assert cloud.topics.take(EVENTS_TOPIC) == []
    assert replay_rejected(cloud.shop, kept.id).code == "published"
    assert cloud.only(RejectedEvent).status is RejectedStatus.REPLAYED
    cloud.log(*cloud.topics.take(EVENTS_TOPIC))
    assert cloud.progress.status is Status.READY


def test_a_drain_that_died_before_it_published_publishes_when_the_letter_comes_again(memory_cloud: MemoryCloud) -> None:
    entry = letter(Outgoing(EVENTS_TOPIC, log()))
    instead(memory_cloud.topics, "publish_many", lambda messages: [False] * len(messages))
    (outcome,) = drain(memory_cloud.shop, [entry])
    assert outcome.retry and memory_cloud.only(RejectedEvent).replayed_at is None
    assert codes(memory_cloud, entry) == ["sent_again"]
    assert memory_cloud.topics.take(EVENTS_TOPIC) == [entry.data]


def test_ticks_and_pages_are_dropped_for_the_next_tick_does_the_same(cloud: Cloud) -> None:
    page = EnrollMessage(journey_id=JOURNEY, node_id="start", fired_at=START, after="m").to(ENROLLMENTS_TOPIC)
    settle = SweepMessage(settle=JOURNEY).to(SWEEPS_TOPIC)
    tick = SweepMessage().to(SWEEPS_TOPIC)
    assert codes(cloud, letter(tick), letter(settle, id="2"), letter(page, id="3")) == ["dropped"] * 3
    assert cloud.documents() == {}


def test_a_firing_that_comes_late_is_the_firing_that_it_was(cloud: Cloud) -> None:
    hourly = definition([wait()]).model_dump(mode="json")
    hourly["nodes"][0] = {"id": "start", "key": "schedule", "settings": {"cron": "0 * * * *"}}
    cloud.publish(Definition.model_validate(hourly))
    cloud.at(after(hours=3, minutes=30))
    firing = EnrollMessage(journey_id=JOURNEY, node_id="start").to(ENROLLMENTS_TOPIC)
    assert codes(cloud, letter(firing, at=after(hours=1, seconds=1))) == ["sent_again"]
    (sent,) = cloud.topics.take(ENROLLMENTS_TOPIC)
    enroll(cloud.shop, [Delivered(EnrollMessage.model_validate_json(sent), after(hours=3, minutes=30))])
    assert cloud.only(Enrollment).fired_at == after(hours=1)
    assert codes(cloud, letter(Outgoing(ENROLLMENTS_TOPIC, sent), at=after(hours=3, minutes=30), id="2")) == ["given_up"]
    assert replay_rejected(cloud.shop, cloud.only(RejectedEvent).id).code == "published"
    assert cloud.topics.take(ENROLLMENTS_TOPIC) == [sent]


def test_what_comes_from_nowhere_is_kept_and_can_only_be_abandoned(cloud: Cloud) -> None:
    assert codes(cloud, letter(Outgoing("", b"?"))) == ["kept"]
    kept = cloud.only(RejectedEvent)
    assert (kept.topic, kept.status, kept.data) == ("", RejectedStatus.OPEN, b"?")
    with pytest.raises(NotAllowed, match="nobody knows"):
        replay_rejected(cloud.shop, kept.id)


def test_a_run_message_that_is_none_is_kept(cloud: Cloud) -> None:
    assert codes(cloud, letter(Outgoing(RUNS_TOPIC, b"{}"))) == ["sent_again"]
    assert cloud.only(RejectedEvent).topic == RUNS_TOPIC


def test_letters_of_one_batch_do_not_disturb_each_other(cloud: Cloud) -> None:
    entered(cloud, definition([send()]))
    swept_in_vain(cloud, Progress, GIVE_UP_AFTER)
    run = run_of(cloud.progress)
    stale = letter(run_of(cloud.progress, rev=7), id="2")
    letters = [letter(run), stale, letter(Outgoing(EVENTS_TOPIC, b"{}"), id="3"), letter(run, id="4")]
    assert codes(cloud, *letters) == ["error", "duplicate", "sent_again", "error"]


def test_a_letter_whose_member_is_written_meanwhile_comes_again(memory_cloud: MemoryCloud) -> None:
    entered(memory_cloud, definition([send()]))
    swept_in_vain(memory_cloud, Progress, GIVE_UP_AFTER)
    entry = letter(run_of(memory_cloud.progress))
    instead(memory_cloud.store, "commit_many", lambda commits: [CommitResult.CONFLICT] * len(commits))
    assert [outcome.retry for outcome in drain(memory_cloud.shop, [entry])] == [True]
    assert codes(memory_cloud, entry) == ["error"]


def put(cloud: Cloud, *letters: DeadLetter) -> MemoryDeadLetters:
    waiting = cloud.shop.dead_letters
    assert isinstance(waiting, MemoryDeadLetters)
    for each in letters:
        waiting.put(each)
    return waiting


def test_the_tick_drains_a_bounded_number_and_counts_what_they_came_to(memory_cloud: MemoryCloud) -> None:
    tick = SweepMessage().to(SWEEPS_TOPIC)
    waiting = put(memory_cloud, *(letter(tick, id=f"{number}") for number in range(PULL_SIZE + 50)))
    assert drain_all(memory_cloud.shop, limit=PULL_SIZE + 20) == {"dropped": PULL_SIZE + 20}
    assert memory_cloud.sweep().notes == ("dead_lettered",) * 30 + ("dropped",) * 30
    assert waiting.pull(1) == [] and memory_cloud.sweep().notes == ()


def test_a_letter_that_could_not_be_written_is_not_acknowledged(memory_cloud: MemoryCloud) -> None:
    waiting = put(memory_cloud, letter(Outgoing(EVENTS_TOPIC, log())))
    instead(memory_cloud.store, "commit_many", lambda commits: [CommitResult.UNKNOWN] * len(commits))
    assert drain_all(memory_cloud.shop) == {"unavailable": 1}
    assert len(waiting.pull(9)) == 1
    assert drain_all(memory_cloud.shop) == {"sent_again": 1}


def test_letters_that_cannot_be_had_do_not_hold_up_the_sweep(memory_cloud: MemoryCloud) -> None:
    def away(limit: int) -> list[DeadLetter]:
        raise Unavailable(f"no {limit} letters today")

    entered(memory_cloud, definition([send()]))
    memory_cloud.at(after(seconds=95))
    instead(memory_cloud.shop.dead_letters, "pull", away)
    outcome = memory_cloud.sweep()
    assert outcome.notes == ("requeued", "letters_unavailable") and not outcome.retry
