"""`perform_effects`: each thing once, as far as the world allows; and what keeps it from being done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from sojourn.application.lifecycle import pause, resume
from sojourn.application.messages import EFFECTS_TOPIC, EVENTS_TOPIC, EffectMessage
from sojourn.application.records import Commit, CommitResult, Create
from sojourn.domain.definition import Definition
from sojourn.domain.effect import LEASE_SECONDS, Delivery, Effect, EffectStatus
from sojourn.domain.event import read_log_entry
from sojourn.domain.journey import QuotaShare
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud, instead
from tests.application.scripted import BROKEN, DONE, ScriptedChannel, sent
from tests.builders import BOT, START, after, definition, log, member, send, wait


def test_a_message_is_delivered_once_whatever_is_delivered_again(cloud: Cloud) -> None:
    message = sent(cloud)
    assert [outcome.code for outcome in cloud.perform(message)] == ["done"]
    assert [outcome.code for outcome in cloud.perform(message, message)] == ["duplicate", "duplicate"]
    assert list(cloud.mailbox.deliveries.values()) == [1]
    done = cloud.only(Effect)
    assert (done.status, done.attempts, done.sweep_at) == (EffectStatus.DONE, 1, None)
    assert done.expire_at is not None


def test_of_two_performers_one_delivers(cloud: Cloud) -> None:
    channel = ScriptedChannel()
    message = sent(cloud, channel)
    codes: list[str] = []

    def another_comes() -> Delivery:
        codes.extend(outcome.code for outcome in cloud.perform(message))
        return DONE

    channel.instead = another_comes
    assert cloud.perform(message)[0].code == "done"
    assert codes == ["leased"]
    assert channel.asked == []


def test_nobody_who_left_is_spoken_to(cloud: Cloud) -> None:
    message = sent(cloud, of=definition([send(), wait()], exit_events=[{"event": "order"}]))
    cloud.log(log("order", at=after(minutes=1)))
    cloud.hop()
    assert cloud.perform(message)[0].code == "skipped"
    assert cloud.only(Effect).reason == "the member left: exit event order"
    assert cloud.mailbox.messages == {}


def test_a_paused_journey_parks_its_effects_and_resume_takes_them_up(cloud: Cloud) -> None:
    message = sent(cloud)
    pause(cloud.shop, "journey-1")
    cloud.at(after(seconds=6))
    assert cloud.perform(message)[0].code == "parked"
    parked = cloud.only(Effect)
    assert (parked.status, parked.attempts, parked.sweep_at, parked.parked) == (EffectStatus.PENDING, 0, None, True)
    resume(cloud.shop, "journey-1")
    cloud.settle()
    cloud.at(after(seconds=12))
    assert cloud.perform()[0].code == "done"


def test_a_message_that_comes_due_at_night_waits_for_the_morning(cloud: Cloud) -> None:
    message = sent(cloud, of=definition([send(), wait()], sleep_start_time="22:00", sleep_end_time="08:00"))
    cloud.at(datetime.fromisoformat("2026-03-02T23:00:00+00:00"))
    assert cloud.perform(message)[0].code == "pending"
    assert cloud.perform(message)[0].code == "not_due"
    asleep = cloud.only(Effect)
    morning = datetime.fromisoformat("2026-03-03T08:00:00+00:00")
    assert (asleep.sweep_at, asleep.attempts, asleep.reason) == (morning, 0, "asleep")
    cloud.at(morning)
    cloud.sweep()
    assert cloud.perform()[0].code == "done"


def test_a_failure_is_tried_again_by_the_policy_until_it_is_dead(cloud: Cloud) -> None:
    message = sent(cloud, ScriptedChannel(BROKEN, BROKEN, BROKEN, attempts=3))
    assert cloud.perform(message)[0].code == "pending"
    assert cloud.perform(message)[0].code == "not_due"
    pauses = []
    for _ in range(2):
        later = cloud.only(Effect).not_before
        assert later is not None
        pauses.append(later - cloud.clock.now())
        cloud.at(later)
        cloud.perform(message)
    assert timedelta(seconds=30) <= pauses[0] <= timedelta(seconds=33)
    assert timedelta(seconds=60) <= pauses[1] <= timedelta(seconds=66)
    dead = cloud.only(Effect)
    assert (dead.status, dead.expire_at) == (EffectStatus.DEAD, None)
    assert dead.reason == "503 Service Unavailable (3 attempts)"


def test_a_permanent_failure_is_final_and_says_why(cloud: Cloud) -> None:
    message = sent(cloud, ScriptedChannel(Delivery("permanent", "no such address")))
    assert cloud.perform(message)[0].code == "failed"
    assert cloud.only(Effect).reason == "no such address"


@pytest.mark.parametrize(
    ("idempotent", "resend", "code"),
    [(True, False, "done"), (False, True, "done"), (False, False, "skipped")],
    ids=["honours keys", "on_uncertain resend", "on_uncertain skip"],
)
def test_a_lease_that_ran_out_is_uncertain(cloud: Cloud, idempotent: bool, resend: bool, code: str) -> None:
    channel = ScriptedChannel(idempotent=idempotent, resend=resend)
    message = sent(cloud, channel)

    def killed() -> Delivery:
        raise KeyboardInterrupt

    channel.instead = killed
    with pytest.raises(KeyboardInterrupt):
        cloud.perform(message)
    assert cloud.perform(message)[0].code == "leased"
    cloud.at(after(seconds=LEASE_SECONDS))
    cloud.sweep()
    assert cloud.perform()[0].code == code
    assert len(channel.asked) == (code == "done")


@pytest.mark.parametrize(
    ("idempotent", "resend", "calls", "status"),
    [(True, False, 2, "DONE"), (False, True, 2, "DONE"), (False, False, 1, "SKIPPED")],
    ids=["honours keys", "on_uncertain resend", "on_uncertain skip"],
)
def test_a_request_without_an_answer_is_uncertain(
    cloud: Cloud, idempotent: bool, resend: bool, calls: int, status: str
) -> None:
    channel = ScriptedChannel(Delivery("uncertain", "no answer in time"), DONE, idempotent=idempotent, resend=resend)
    message = sent(cloud, channel)
    cloud.perform(message)
    cloud.at(after(hours=1))
    cloud.perform(message)
    effect = cloud.only(Effect)
    assert (len(channel.asked), effect.status) == (calls, status)
    assert effect.reason == ("uncertain: no answer in time" if calls == 1 else None)


def test_a_performer_that_lost_its_lease_does_not_overwrite(cloud: Cloud) -> None:
    channel = ScriptedChannel()
    message = sent(cloud, channel)

    def slow() -> Delivery:
        cloud.at(after(seconds=LEASE_SECONDS))
        assert cloud.perform(message)[0].code == "done"
        return Delivery("permanent", "too late")

    channel.instead = slow
    assert cloud.perform(message)[0].code == "lost_lease"
    assert cloud.only(Effect).status is EffectStatus.DONE


@pytest.mark.parametrize("delivery", [DONE, Delivery("permanent", "no")], ids=["done", "failed"])
def test_a_member_whose_node_awaits_the_result_is_woken(cloud: Cloud, delivery: Delivery) -> None:
    message = sent(cloud, ScriptedChannel(delivery), of=definition([send(await_result=True)]))
    cloud.perform(message)
    cloud.hop()
    assert cloud.progress.status is Status.ENDED
    assert cloud.progress.trail[2].outcome == {"delivered": "done", "permanent": "failed"}[delivery.outcome]


def test_a_lost_wake_up_is_found_by_the_sweep(cloud: Cloud) -> None:
    message = sent(cloud, of=definition([send(await_result=True)]))
    cloud.perform(message)
    cloud.waiting("journey-runs")
    cloud.at(after(minutes=20))
    cloud.sweep()
    cloud.hop()
    assert cloud.progress.status is Status.ENDED


def test_a_wake_up_that_died_with_the_performer_goes_out_when_the_message_comes_again(cloud: Cloud) -> None:
    message = sent(cloud, of=definition([send(await_result=True)]))
    cloud.perform(message)
    cloud.waiting("journey-runs")
    assert cloud.perform(message)[0].code == "duplicate"
    cloud.hop()
    assert cloud.progress.status is Status.ENDED


def test_attributes_are_set_on_the_member_and_null_removes(cloud: Cloud) -> None:
    cloud.store.commit_many([(Create(member(old=1, kept=2)),)])
    node = {"id": "know", "key": "update_member", "settings": {"attributes": {"tier": "gold", "old": None}}}
    assert cloud.perform(sent(cloud, of=definition([node])))[0].code == "done"
    assert cloud.only(Member).attributes == {"kept": 2, "tier": "gold"}


def test_an_event_that_a_journey_emits_comes_back_in_as_any_other(cloud: Cloud) -> None:
    node = {"id": "say", "key": "emit_event", "settings": {"name": "tier.reached", "data": {"tier": "gold"}}}
    cloud.perform(sent(cloud, of=definition([node])))
    emitted = read_log_entry(cloud.topics.take(EVENTS_TOPIC)[0], now=START)
    assert emitted is not None
    assert (emitted.name, emitted.member_id, emitted.depth, emitted.data["tier"]) == ("tier.reached", "ann", 1, "gold")


ENROLLING = definition([{"id": "next", "key": "enroll_journey", "settings": {"journey_id": "other", "data": {"from": "here"}}}])


def test_nobody_is_enrolled_in_a_journey_that_is_not_ongoing(cloud: Cloud) -> None:
    assert cloud.perform(sent(cloud, of=ENROLLING))[0].code == "failed"
    assert "no ongoing journey 'other'" in str(cloud.only(Effect).reason)


def test_a_member_is_enrolled_in_another_journey_once(cloud: Cloud) -> None:
    other = Definition.model_validate(
        {
            "id": "other",
            "bot_id": BOT,
            "name": "Other",
            "nodes": [{"id": "in", "key": "api"}, {"id": "out", "key": "exit"}],
            "node_paths": [{"source": "in", "target": "out"}],
        }
    )
    cloud.publish(other)
    message = sent(cloud, of=ENROLLING)
    assert cloud.perform(message)[0].code == "done"
    cloud.hop()
    enrolled = [progress for progress in cloud.all(Progress) if progress.journey_id == "other"]
    assert [(progress.status, progress.trigger.data) for progress in enrolled] == [(Status.ENDED, {"from": "here"})]


def test_the_quota_of_a_journey_is_used_to_the_last_message_and_never_exceeded(cloud: Cloud) -> None:
    cloud.publish(definition([send()], message_quota=37))
    cloud.log(*(log(member=f"m{number}") for number in range(60)))
    cloud.hop()
    messages = [EffectMessage.model_validate(message) for message in cloud.waiting(EFFECTS_TOPIC)]
    codes = [outcome.code for outcome in cloud.perform(*messages, *messages)]
    assert (codes.count("done"), codes.count("skipped"), codes.count("leased")) == (37, 23, 60)
    assert sum(share.used for share in cloud.all(QuotaShare)) == 37
    assert {effect.reason for effect in cloud.all(Effect)} == {None, "message_quota of 37 is used up"}


def test_two_performers_racing_for_the_last_message_send_one(cloud: Cloud) -> None:
    cloud.publish(definition([send()], message_quota=1))
    cloud.log(log(member="ann"), log(member="bob"))
    cloud.hop()
    first, second = (EffectMessage.model_validate(message) for message in cloud.waiting(EFFECTS_TOPIC))

    def another_takes_it(commits: Sequence[Commit]) -> list[CommitResult]:
        takes_quota = any(isinstance(write.record, QuotaShare) for commit in commits for write in commit)
        if takes_quota:
            assert cloud.perform(second)[0].code == "done"
        results = cloud.store.commit_many(commits)
        if not takes_quota:
            instead(cloud.store, "commit_many", another_takes_it)
        return results

    instead(cloud.store, "commit_many", another_takes_it)
    assert cloud.perform(first)[0].code == "skipped"
    assert len(cloud.mailbox.messages) == 1


def test_a_retry_takes_nothing_more_from_the_quota_and_a_failure_gives_back(cloud: Cloud) -> None:
    channel = ScriptedChannel(BROKEN, Delivery("permanent", "no such address"))
    message = sent(cloud, channel, of=definition([send(), wait()], message_quota=5))
    cloud.perform(message)
    assert cloud.only(QuotaShare).used == 1
    cloud.at(after(minutes=1))
    assert cloud.perform(message)[0].code == "failed"
    assert cloud.only(QuotaShare).used == 0
