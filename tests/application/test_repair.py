"""Repairs: what an operator may set right, from which status, and that it then goes its usual way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sojourn.application.members import parse_member, put_member
from sojourn.application.messages import EFFECTS_TOPIC, EVENTS_TOPIC, RUNS_TOPIC
from sojourn.application.operations import retry_member
from sojourn.application.records import Update
from sojourn.application.repair import (
    abandon_effect,
    abandon_progress,
    abandon_rejected,
    replay_rejected,
    retry_effect,
    retry_progress,
)
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.errors import NotAllowed, NotFound
from sojourn.domain.journey import RejectedEvent, RejectedStatus
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud
from tests.builders import BOT, JOURNEY, MEMBER, after, definition, log, send
from tests.contract.records import a_rejected, put

CHANGES = [retry_effect, abandon_effect, retry_progress, abandon_progress, replay_rejected, abandon_rejected]
ANN = {"bot_id": BOT, "member_id": MEMBER}
LARGE = {"id": "large", "key": "update_member", "settings": {"attributes": {"x": "{{ member.attributes.text }}"}}}


def with_effect(cloud: Cloud, status: EffectStatus) -> Effect:
    """A message that came to `status`."""
    cloud.publish(definition([send()]))
    cloud.log(log())
    cloud.hop()
    cloud.waiting(EFFECTS_TOPIC)
    (stored,) = cloud.store.get_many(Effect, [cloud.only(Effect).id])
    assert stored is not None
    effect = replace(stored.value, status=status, reason="no answer", attempts=5, sweep_at=None, shard=None)
    cloud.store.commit_many([(Update(effect, stored.version),)])
    return effect


@pytest.mark.parametrize("status", [EffectStatus.DEAD, EffectStatus.FAILED])
def test_a_dead_or_failed_effect_is_performed_again_with_all_its_attempts(cloud: Cloud, status: EffectStatus) -> None:
    effect = with_effect(cloud, status)
    retried = retry_effect(cloud.shop, effect.id)
    assert (retried.status, retried.attempts, retried.rev) == (EffectStatus.PENDING, 0, effect.rev + 1)
    assert retried.sweep_at is not None and retried.shard is not None and retried.expire_at is None
    cloud.perform()
    assert cloud.only(Effect).status is EffectStatus.DONE
    assert len(cloud.mailbox.messages) == 1


def test_a_retry_whose_message_is_lost_is_swept(cloud: Cloud) -> None:
    retry_effect(cloud.shop, with_effect(cloud, EffectStatus.DEAD).id)
    cloud.waiting(EFFECTS_TOPIC)
    cloud.at(after(minutes=2))
    cloud.sweep()
    cloud.perform()
    assert cloud.only(Effect).status is EffectStatus.DONE


def test_a_dead_effect_is_abandoned_for_good(cloud: Cloud) -> None:
    effect = with_effect(cloud, EffectStatus.DEAD)
    abandoned = abandon_effect(cloud.shop, effect.id)
    assert (abandoned.status, abandoned.reason) == (EffectStatus.SKIPPED, "abandoned by an operator: no answer")
    assert abandoned.skipped_for == "abandoned by an operator"
    assert abandoned.expire_at is not None and abandoned.sweep_at is None
    assert cloud.waiting(EFFECTS_TOPIC) == []


@pytest.mark.parametrize("change", [retry_effect, abandon_effect])
@pytest.mark.parametrize("status", EffectStatus)
def test_any_other_status_refuses_by_its_name(cloud: Cloud, change: Callable[..., Effect], status: EffectStatus) -> None:
    effect = with_effect(cloud, status)
    if status in (EffectStatus.DEAD, EffectStatus.FAILED):
        assert change(cloud.shop, effect.id).rev == effect.rev + 1
        return
    with pytest.raises(NotAllowed, match=f"is {status}"):
        change(cloud.shop, effect.id)
    assert cloud.only(Effect) == effect


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_there_is_not_found(cloud: Cloud, change: Callable[..., object]) -> None:
    with pytest.raises(NotFound, match="'nothing'"):
        change(cloud.shop, "nothing")


def come_to_error(cloud: Cloud) -> None:
    """Ann's text is too large for the first node."""
    cloud.publish(definition([LARGE, send()]))
    put_member(cloud.shop, parse_member({**ANN, "attributes": {"text": "x" * 100_000}}))
    cloud.log(log())
    cloud.hop()
    assert (cloud.progress.status, cloud.progress.node_id) == (Status.ERROR, "large")


def test_a_member_in_error_goes_on_from_its_node_once_the_cause_is_gone(cloud: Cloud) -> None:
    come_to_error(cloud)
    put_member(cloud.shop, parse_member({**ANN, "attributes": {"text": "x"}}))
    retried = retry_progress(cloud.shop, cloud.progress.id)
    assert (retried.status, retried.end_reason, retried.expire_at) == (Status.READY, None, None)
    cloud.hop()
    assert cloud.progress.status is Status.ENDED
    assert "retried" in [step.outcome for step in cloud.progress.trail]


def test_a_member_in_error_who_is_abandoned_has_left_at_their_node(cloud: Cloud) -> None:
    come_to_error(cloud)
    abandoned = abandon_progress(cloud.shop, cloud.progress.id, reason="no such customer")
    assert (abandoned.status, abandoned.end_reason) == (Status.CANCELED, "abandoned by an operator: no such customer")
    assert (abandoned.left_at, abandoned.node_id, abandoned.in_error) == ("large", None, False)
    assert abandoned.expire_at is None and abandoned.guards_its_key, "it is the count of who enters once"
    assert abandoned.sweep_at is None
    assert cloud.waiting(RUNS_TOPIC) == []


@pytest.mark.parametrize("change", [retry_progress, abandon_progress])
def test_only_an_error_is_retried_or_abandoned(cloud: Cloud, change: Callable[..., Progress]) -> None:
    cloud.publish(definition([send()]))
    cloud.log(log())
    with pytest.raises(NotAllowed, match="is READY"):
        change(cloud.shop, cloud.progress.id)


def test_a_member_without_an_error_on_the_journey_is_not_retried(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    cloud.log(log())
    with pytest.raises(NotAllowed, match="is not in ERROR"):
        retry_member(cloud.shop, JOURNEY, MEMBER)


def test_a_rejected_event_that_is_right_by_now_enters_and_is_marked(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    cloud.log(log(at=after(days=1)))  # ahead of the clock
    rejected = cloud.only(RejectedEvent)
    assert replay_rejected(cloud.shop, rejected.id).code == "rejected"
    assert cloud.only(RejectedEvent).replayed_at is None
    cloud.at(after(days=1))
    assert replay_rejected(cloud.shop, rejected.id).notes == ("entered",)
    assert cloud.only(RejectedEvent).replayed_at == after(days=1)
    assert cloud.progress.trigger.occurred_at - timedelta(days=1) == after()


def test_an_abandoned_event_may_still_be_taken_in_but_not_abandoned_twice(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    cloud.log(log(at=after(days=1)))
    rejected = abandon_rejected(cloud.shop, cloud.only(RejectedEvent).id)
    assert (rejected.status, rejected.abandoned_at) == (RejectedStatus.ABANDONED, after())
    with pytest.raises(NotAllowed, match="is ABANDONED: only OPEN"):
        abandon_rejected(cloud.shop, rejected.id)
    cloud.at(after(days=1))
    assert replay_rejected(cloud.shop, rejected.id).notes == ("entered",)
    assert cloud.only(RejectedEvent).status is RejectedStatus.REPLAYED


@pytest.mark.parametrize("topic", [EVENTS_TOPIC, EFFECTS_TOPIC])
def test_a_dead_letter_goes_back_to_its_topic_for_what_failed_there_must_not_fail_here(cloud: Cloud, topic: str) -> None:
    letter = replace(a_rejected("r1", data=b'{"any": "thing"}'), reason="dead_lettered", topic=topic, published_at=after())
    put(cloud.store, letter)
    assert replay_rejected(cloud.shop, letter.id).code == "published"
    assert cloud.waiting(topic) == [{"any": "thing"}]
    assert cloud.only(RejectedEvent).status is RejectedStatus.REPLAYED


def test_a_letter_of_an_unknown_topic_can_only_be_abandoned(cloud: Cloud) -> None:
    put(cloud.store, replace(a_rejected("r1"), topic="", published_at=after()))
    with pytest.raises(NotAllowed, match="can be abandoned"):
        replay_rejected(cloud.shop, "r1")
    assert abandon_rejected(cloud.shop, "r1").status is RejectedStatus.ABANDONED


def test_what_is_no_event_of_ours_is_not_taken_for_one(cloud: Cloud) -> None:
    put(cloud.store, a_rejected("r1", data=b'{"v": 1, "progress_id": 7}'))
    assert replay_rejected(cloud.shop, "r1").code == "not_ours"
    assert cloud.only(RejectedEvent).status is RejectedStatus.OPEN
