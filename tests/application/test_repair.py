"""Repairs: what an operator may set right, from which status, and that it then goes its usual way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sojourn.application.members import parse_member, put_member
from sojourn.application.messages import EFFECTS_TOPIC
from sojourn.application.records import Update
from sojourn.application.repair import abandon_effect, replay_rejected, retry_effect, retry_progress
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.errors import NotAllowed, NotFound
from sojourn.domain.journey import RejectedEvent
from sojourn.domain.progress import Status
from tests.application.conftest import Cloud
from tests.builders import after, definition, log, send

STATUSES = list(EffectStatus)
LARGE = {"id": "large", "key": "update_member", "settings": {"attributes": {"x": "{{ member.attributes.text }}"}}}


def with_effect(cloud: Cloud, status: EffectStatus) -> Effect:
    """A message that came to `status`."""
    cloud.publish(definition([send()]))
    cloud.log(log())
    cloud.hop()
    cloud.waiting(EFFECTS_TOPIC)
    (stored,) = cloud.memory.store.get_many(Effect, [cloud.only(Effect).id])
    assert stored is not None
    effect = replace(stored.value, status=status, reason="no answer", attempts=5, sweep_at=None, shard=None)
    cloud.memory.store.commit_many([(Update(effect, stored.version),)])
    return effect


@pytest.mark.parametrize("status", [EffectStatus.DEAD, EffectStatus.FAILED])
def test_a_dead_or_failed_effect_is_performed_again_with_all_its_attempts(cloud: Cloud, status: EffectStatus) -> None:
    effect = with_effect(cloud, status)
    retried = retry_effect(cloud.memory.shop, effect.id)
    assert (retried.status, retried.attempts, retried.rev) == (EffectStatus.PENDING, 0, effect.rev + 1)
    assert retried.sweep_at is not None and retried.shard is not None and retried.expire_at is None
    cloud.perform()
    assert cloud.only(Effect).status is EffectStatus.DONE
    assert len(cloud.memory.mailbox.messages) == 1


def test_a_retry_whose_message_is_lost_is_swept(cloud: Cloud) -> None:
    retry_effect(cloud.memory.shop, with_effect(cloud, EffectStatus.DEAD).id)
    cloud.waiting(EFFECTS_TOPIC)
    cloud.at(after(minutes=2))
    cloud.sweep()
    cloud.perform()
    assert cloud.only(Effect).status is EffectStatus.DONE


def test_a_dead_effect_is_abandoned_for_good(cloud: Cloud) -> None:
    effect = with_effect(cloud, EffectStatus.DEAD)
    abandoned = abandon_effect(cloud.memory.shop, effect.id)
    assert (abandoned.status, abandoned.reason) == (EffectStatus.SKIPPED, "abandoned by an operator: no answer")
    assert abandoned.skipped_for == "abandoned by an operator"
    assert abandoned.expire_at is not None and abandoned.sweep_at is None
    assert cloud.waiting(EFFECTS_TOPIC) == []


@pytest.mark.parametrize(
    ("change", "allowed"),
    [(retry_effect, {EffectStatus.DEAD, EffectStatus.FAILED}), (abandon_effect, {EffectStatus.DEAD})],
    ids=["retry", "abandon"],
)
@pytest.mark.parametrize("status", STATUSES)
def test_any_other_status_refuses_by_its_name(
    cloud: Cloud, change: Callable[..., Effect], allowed: set[EffectStatus], status: EffectStatus
) -> None:
    effect = with_effect(cloud, status)
    if status in allowed:
        assert change(cloud.memory.shop, effect.id).rev == effect.rev + 1
        return
    with pytest.raises(NotAllowed, match=f"is {status}"):
        change(cloud.memory.shop, effect.id)
    assert cloud.only(Effect) == effect


@pytest.mark.parametrize("change", [retry_effect, abandon_effect, retry_progress, replay_rejected])
def test_what_is_not_there_is_not_found(cloud: Cloud, change: Callable[..., object]) -> None:
    with pytest.raises(NotFound, match="'nothing'"):
        change(cloud.memory.shop, "nothing")


def test_a_member_in_error_goes_on_from_its_node_once_the_cause_is_gone(cloud: Cloud) -> None:
    cloud.publish(definition([LARGE, send()]))
    ann = {"bot_id": "bot-1", "member_id": "ann"}
    put_member(cloud.memory.shop, parse_member({**ann, "attributes": {"text": "x" * 100_000}}))
    cloud.log(log())
    cloud.hop()
    assert (cloud.progress.status, cloud.progress.node_id) == (Status.ERROR, "large")
    put_member(cloud.memory.shop, parse_member({**ann, "attributes": {"text": "x"}}))
    retried = retry_progress(cloud.memory.shop, cloud.progress.id)
    assert (retried.status, retried.end_reason, retried.expire_at) == (Status.READY, None, None)
    cloud.hop()
    assert cloud.progress.status is Status.ENDED
    assert "retried" in [step.outcome for step in cloud.progress.trail]


def test_only_an_error_is_retried(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    cloud.log(log())
    with pytest.raises(NotAllowed, match="is READY"):
        retry_progress(cloud.memory.shop, cloud.progress.id)


def test_a_rejected_event_that_is_right_by_now_enters_and_is_marked(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    cloud.log(log(at=after(days=1)))  # ahead of the clock
    rejected = cloud.only(RejectedEvent)
    assert replay_rejected(cloud.memory.shop, rejected.id).code == "rejected"
    assert cloud.only(RejectedEvent).replayed_at is None
    cloud.at(after(days=1))
    assert replay_rejected(cloud.memory.shop, rejected.id).notes == ("entered",)
    assert cloud.only(RejectedEvent).replayed_at == after(days=1)
    assert cloud.progress.trigger.occurred_at - timedelta(days=1) == after()
