"""Failures told apart: may pass, never will, in part, our own; whose attempts they cost, and who hears of the kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import JsonValue

from sojourn.application.lifecycle import pause
from sojourn.application.messages import RUNS_TOPIC
from sojourn.application.ports import Outgoing, Store
from sojourn.application.repair import retry_effect
from sojourn.application.report import journey_report
from sojourn.domain.delivery import MAX_SETBACKS
from sojourn.domain.effect import LEASE_SECONDS, Delivery, Effect, EffectStatus, Rest
from sojourn.domain.errors import Unavailable
from sojourn.domain.journey import QuotaShare
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud
from tests.application.scripted import BROKEN, DONE, ScriptedChannel, sent, use
from tests.builders import JOURNEY, after, definition, send, wait

REFUSED = Delivery("permanent", "410 Gone")
IN_PART = Delivery("partial", "1 parts did not arrive: phone", result={"id": "m1"}, rest=Rest(undelivered=("phone",)))


class Unreliable:
    """A store that does not answer when it is asked for a kind of document."""

    def __init__(self, store: Store, kind: type) -> None:
        self._store, self._kind = store, kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get_many(self, kind: type, ids: list[str]) -> Any:
        if kind is self._kind:
            raise Unavailable("Firestore: simulated")
        return self._store.get_many(kind, ids)


def killed() -> Delivery:
    raise KeyboardInterrupt


def die(cloud: Cloud, channel: ScriptedChannel, *messages: Any) -> None:
    """A performer that does not come back from the channel."""
    channel.instead = killed
    with pytest.raises(KeyboardInterrupt):
        cloud.perform(*messages)


@pytest.mark.parametrize(
    ("delivery", "code", "note"),
    [
        (BROKEN, "pending", "transient_failure"),
        (REFUSED, "failed", "permanent_failure"),
        (IN_PART, "pending", "partial_failure"),
        (Delivery("system", "401 Unauthorized"), "pending", "system_failure"),
    ],
    ids=["transient", "permanent", "partial", "system"],
)
def test_the_kind_is_on_the_effect_in_the_log_and_in_the_report(cloud: Cloud, delivery: Delivery, code: str, note: str) -> None:
    outcome = cloud.perform(sent(cloud, ScriptedChannel(delivery)))[0]
    assert (outcome.code, outcome.notes) == (code, (note,))
    kind = note.removesuffix("_failure")
    assert cloud.only(Effect).failure == kind
    (node,) = (node for node in journey_report(cloud.shop, JOURNEY).nodes if node.effects is not None)
    assert node.effects is not None and node.effects.failures == {kind: 1}


def test_an_unknown_channel_is_named_and_costs_the_member_nothing(cloud: Cloud) -> None:
    message = sent(cloud, of=definition([send(channel="pigeon"), wait()]))
    assert cloud.perform(message)[0].code == "pending"
    waits = cloud.only(Effect)
    assert (waits.reason, waits.attempts) == ("no channel 'pigeon'; there are mailbox, webhook", 0)
    channel = ScriptedChannel()
    use(cloud, channel, "pigeon")
    assert waits.sweep_at is not None
    cloud.at(waits.sweep_at)
    cloud.sweep()
    assert cloud.perform()[0].code == "done"
    assert (cloud.only(Effect).failure, cloud.only(Effect).setbacks) == (None, 0)


def test_it_never_gives_up(cloud: Cloud) -> None:
    message = sent(cloud, ScriptedChannel(*[Delivery("system", "401")] * 30, attempts=3))
    for _ in range(30):
        assert cloud.perform(message)[0].code == "pending"
        later = cloud.only(Effect).not_before
        assert later is not None
        cloud.at(later)
    assert cloud.perform(message)[0].code == "done"


def test_a_store_that_does_not_answer_leaves_the_effect_as_it_was(memory_cloud: Cloud) -> None:
    cloud = memory_cloud
    message = sent(cloud)
    before, reliable = cloud.only(Effect), cloud.shop
    cloud.shop = replace(reliable, store=Unreliable(reliable.store, Progress))  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        cloud.perform(message)
    cloud.shop = reliable
    assert cloud.only(Effect) == before
    assert cloud.perform(message)[0].code == "done"


def test_what_is_our_own_fails_as_ours(memory_cloud: Cloud) -> None:
    cloud = memory_cloud
    node = {"id": "say", "key": "emit_event", "settings": {"name": "tier.reached"}}
    message = sent(cloud, of=definition([node]))

    class Silent:
        def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
            return [False] * len(messages)

    reliable = cloud.shop
    cloud.shop = replace(reliable, publisher=Silent())
    assert cloud.perform(message)[0].code == "pending"
    cloud.shop = reliable
    assert (cloud.only(Effect).failure, cloud.only(Effect).attempts) == ("system", 0)
    cloud.at(after(minutes=2))
    assert cloud.perform(message)[0].code == "done"


def test_the_node_s_stands_in_for_the_channel_s(cloud: Cloud) -> None:
    retry: JsonValue = {"kind": "fixed", "first_delay": "5m", "max_attempts": 2, "jitter": 0}
    message = sent(cloud, ScriptedChannel(BROKEN, BROKEN, attempts=9), of=definition([send(retry=retry), wait()]))
    cloud.perform(message)
    assert cloud.only(Effect).not_before == after(minutes=5)
    cloud.at(after(minutes=5))
    assert cloud.perform(message)[0].code == "dead"


def test_a_provider_s_retry_after_is_kept(cloud: Cloud) -> None:
    asked = replace(BROKEN, retry_after=timedelta(minutes=20))
    cloud.perform(sent(cloud, ScriptedChannel(asked)))
    later = cloud.only(Effect).not_before
    assert later is not None and after(minutes=20) <= later <= after(minutes=22)


def test_only_the_rest_is_sent_again(cloud: Cloud) -> None:
    channel = ScriptedChannel(IN_PART, DONE)
    message = sent(cloud, channel)
    cloud.perform(message)
    cloud.at(after(minutes=1))
    assert cloud.perform(message)[0].code == "done"
    first, second = channel.effects
    assert (first.rest, first.delivery_key) == (None, first.id)
    assert (second.rest, second.delivery_key) == (Rest(("phone",), answers=1), f"{first.id}-1")


def test_what_is_lost_for_good_is_in_the_result_of_what_is_done(cloud: Cloud) -> None:
    lost = replace(IN_PART, rest=Rest(failed=("phone (unregistered)",)))
    assert cloud.perform(sent(cloud, ScriptedChannel(lost)))[0].code == "done"
    done = cloud.only(Effect)
    assert (done.failure, done.reason) == ("partial", "did not arrive: phone (unregistered)")
    assert done.result == {"id": "m1"}


def test_a_message_of_which_some_arrived_keeps_its_place_in_the_quota(cloud: Cloud) -> None:
    of = definition([send(), wait()], message_quota=5)
    message = sent(cloud, ScriptedChannel(IN_PART, attempts=1), of=of)
    assert cloud.perform(message)[0].code == "dead"
    assert cloud.only(QuotaShare).used == 1
    retry_effect(cloud.shop, message.effect_id)
    assert cloud.perform()[0].code == "done"
    assert cloud.only(QuotaShare).used == 1


def test_a_pause_does_not_make_it_forgotten_that_a_message_may_be_out(cloud: Cloud) -> None:
    channel = ScriptedChannel(idempotent=False, resend=False)
    message = sent(cloud, channel)
    die(cloud, channel, message)
    pause(cloud.shop, JOURNEY)
    cloud.at(after(seconds=LEASE_SECONDS))
    assert cloud.perform(message)[0].code == "skipped"
    assert channel.asked == []


def test_performers_that_die_cost_no_attempt(cloud: Cloud) -> None:
    channel = ScriptedChannel(attempts=1)
    message = sent(cloud, channel)
    for lost in range(1, 4):
        die(cloud, channel, message)
        cloud.at(after(seconds=lost * LEASE_SECONDS))
    assert cloud.perform(message)[0].code == "done"
    assert cloud.only(Effect).attempts == 1


def test_what_kills_one_performer_after_the_other_is_dead_at_last(memory_cloud: Cloud) -> None:
    cloud = memory_cloud
    channel = ScriptedChannel()
    message = sent(cloud, channel)
    for lost in range(1, MAX_SETBACKS + 2):
        die(cloud, channel, message)
        cloud.at(after(seconds=lost * LEASE_SECONDS))
    assert cloud.perform(message)[0].code == "dead"
    dead = cloud.only(Effect)
    assert (dead.failure, dead.reason) == ("system", "21 performers in a row did not come back from it")


@pytest.mark.parametrize(
    ("delivery", "kind"), [(REFUSED, "permanent"), (BROKEN, "transient"), (DONE, "none")], ids=["failed", "dead", "done"]
)
def test_a_node_that_awaits_the_result_sees_the_kind(cloud: Cloud, delivery: Delivery, kind: str) -> None:
    branches = [{"name": name, "condition": f"context.hello.failure == '{name}'"} for name in ("permanent", "transient")]
    nodes: list[dict[str, object]] = [
        send(await_result=True),
        {"id": "why", "key": "branch", "settings": {"branches": branches}},
    ]
    paths = [("start", "hello", 0), ("hello", "why", 0), *(("why", "end", index) for index in range(3))]
    cloud.perform(sent(cloud, ScriptedChannel(delivery, attempts=1), of=definition(nodes, paths)))
    cloud.hop()
    assert cloud.progress.status is Status.ENDED
    assert cloud.progress.context["hello"]["failure"] == (None if kind == "none" else kind)
    (taken,) = (step.outcome for step in cloud.progress.trail if step.node_id == "why")
    assert taken == ("else" if kind == "none" else kind)


def test_a_failed_message_that_an_operator_retries_takes_from_the_quota_again(cloud: Cloud) -> None:
    of = definition([send(), wait()], message_quota=5)
    message = sent(cloud, ScriptedChannel(REFUSED), of=of)
    assert cloud.perform(message)[0].code == "failed"
    assert cloud.only(QuotaShare).used == 0
    retried = retry_effect(cloud.shop, message.effect_id)
    assert (retried.status, retried.failure) == (EffectStatus.PENDING, None)
    assert cloud.perform()[0].code == "done"
    assert cloud.only(QuotaShare).used == 1
    assert cloud.waiting(RUNS_TOPIC) == []
