"""`run_journeys`: what a hop costs, and that no duplicate, race or unclear answer is ever seen twice or loses anybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sojourn.application.lifecycle import end, pause, resume
from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC, RunMessage
from sojourn.application.records import Commit, CommitResult, Create, Update
from sojourn.application.workshop import Limits
from sojourn.domain.effect import Effect
from sojourn.domain.journey import MemberEvent
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud, MemoryCloud, instead
from tests.builders import after, definition, log, member, send, wait

SIMPLE = definition([wait(), send()])
LISTENING = definition(
    [
        {"id": "w", "key": "wait_for_event", "settings": {"branches": [{"name": "b", "event": "opened"}], "timeout": "1d"}},
        send(),
    ],
    [("start", "w"), ("w", "hello", 0), ("w", "end", 1), ("hello", "end")],
)


def enter(cloud: Cloud) -> Progress:
    cloud.log(log())
    return cloud.progress


def test_a_hop_without_effects_writes_one_document_and_reads_one(memory_cloud: MemoryCloud) -> None:
    memory_cloud.publish(SIMPLE)
    enter(memory_cloud)
    memory_cloud.hop()
    memory_cloud.log(log(member="bob"))
    store = memory_cloud.store
    store.forget_counts()
    memory_cloud.hop()
    assert (dict(store.reads), dict(store.writes), dict(store.queries)) == ({"Progress": 1}, {"Progress": 1}, {})


def test_a_hop_reads_the_member_only_where_the_definition_does(memory_cloud: MemoryCloud) -> None:
    cloud = memory_cloud
    branches = {"branches": [{"name": "gold", "condition": "member.attributes.tier == 'gold'"}]}
    of = definition(
        [{"id": "b", "key": "branch", "settings": branches}, wait()],
        [("start", "b"), ("b", "end", 0), ("b", "pause", 1), ("pause", "end")],
    )
    cloud.publish(of)
    cloud.store.commit_many([(Create(member(tier="gold")),)])
    cloud.shop.catalog.head(of.id), cloud.shop.catalog.definition(of.id, 1)
    enter(cloud)
    store = cloud.store
    store.forget_counts()
    cloud.hop()
    assert (dict(store.reads), dict(store.writes)) == ({"Progress": 1, "Member": 1}, {"Progress": 1})
    assert cloud.progress.status is Status.ENDED


def test_a_hop_with_effects_commits_them_with_the_progress_and_then_publishes(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    enter(cloud)
    assert [outcome.code for outcome in cloud.hop()] == ["advanced"]
    assert (cloud.progress.status, cloud.progress.rev) == (Status.ENDED, 2)
    assert cloud.waiting(EFFECTS_TOPIC) == [{"v": 1, "effect_id": cloud.only(Effect).id}]


@pytest.mark.parametrize("max_nodes", [1, 2, 32])
def test_the_limit_of_nodes_changes_the_number_of_hops_and_nothing_else(cloud: Cloud, max_nodes: int) -> None:
    cloud.shop = replace(cloud.shop, limits=Limits(max_nodes_per_hop=max_nodes))
    cloud.publish(definition([send("one"), send("two"), send("three")]))
    enter(cloud)
    hops = 0
    while cloud.hop():
        hops += 1
    assert hops == {1: 5, 2: 3, 32: 1}[max_nodes]
    assert sorted(effect.node_id for effect in cloud.all(Effect)) == ["one", "three", "two"]
    assert [step.node_id for step in cloud.progress.trail] == ["start", "one", "two", "three", "end"]


def test_messages_that_are_gone_stale_early_or_late_change_nothing(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    entered = enter(cloud)
    first = RunMessage(progress_id=entered.id, rev=1)
    cloud.hop()
    before = cloud.progress
    codes = [outcome.code for outcome in cloud.hop(first, RunMessage(progress_id="gone", rev=1))]
    codes += [outcome.code for outcome in cloud.hop(RunMessage(progress_id=entered.id, rev=2))]
    assert codes == ["stale", "gone", "nothing_due"]
    cloud.at(after(days=1))
    assert [outcome.code for outcome in cloud.hop(*[RunMessage(progress_id=entered.id, rev=2)] * 3)] == [
        "advanced",
        "duplicate",
        "duplicate",
    ]
    assert before.rev == 2
    assert len(cloud.all(Effect)) == 1


def test_a_batch_answers_for_each_message_by_itself(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    cloud.log(*(log(member=f"m{number}") for number in range(5)))
    waiting = [RunMessage.model_validate(message) for message in cloud.waiting(RUNS_TOPIC)]
    codes = [outcome.code for outcome in cloud.hop(*waiting, RunMessage(progress_id="gone"), *waiting)]
    assert codes == ["advanced"] * 5 + ["gone"] + ["stale"] * 5


def test_an_applied_commit_whose_answer_is_lost_is_known_by_its_token(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    enter(cloud)
    instead(cloud.store, "commit_many", lambda commits: [CommitResult.UNKNOWN for _ in cloud.store.commit_many(commits)])
    assert cloud.hop()[0].code == "advanced"
    assert len(cloud.waiting(EFFECTS_TOPIC)) == 1


def test_a_refused_retry_of_an_own_commit_is_known_by_its_token(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    enter(cloud)
    commit_many = cloud.store.commit_many
    instead(cloud.store, "commit_many", lambda commits: commit_many(commits) and commit_many(commits))
    assert cloud.hop()[0].code == "advanced"
    assert cloud.progress.rev == 2


def test_a_commit_that_was_not_applied_is_tried_again(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    enter(cloud)
    instead(cloud.store, "commit_many", lambda commits: [CommitResult.UNKNOWN for _ in commits])
    assert cloud.hop()[0].code == "advanced"
    assert cloud.progress.status is Status.ENDED


def test_a_store_that_never_says_asks_for_the_message_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.publish(SIMPLE)
    enter(cloud)
    monkeypatch.setattr(cloud.store, "commit_many", lambda commits: [CommitResult.UNKNOWN for _ in commits])
    assert cloud.hop()[0].retry


def test_a_lost_race_is_discarded_with_its_effects(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    entered = enter(cloud)
    message = RunMessage(progress_id=entered.id, rev=1)

    def somebody_is_faster(commits: Sequence[Commit]) -> list[CommitResult]:
        cloud.hop(message)
        return cloud.store.commit_many(commits)

    instead(cloud.store, "commit_many", somebody_is_faster)
    assert cloud.hop(message)[0].code == "duplicate"
    assert len(cloud.all(Effect)) == 1
    assert len(cloud.waiting(EFFECTS_TOPIC)) == 1


def test_a_publish_that_fails_after_the_commit_is_repaired_by_the_sweep(cloud: Cloud) -> None:
    cloud.publish(definition([send()]))
    enter(cloud)
    instead(cloud.topics, "publish_many", lambda messages: [False for _ in messages])
    assert cloud.hop()[0].retry
    cloud.at(after(minutes=2))
    cloud.sweep()
    assert [outcome.code for outcome in cloud.perform()] == ["done"]


def test_an_event_between_the_look_and_the_commit_is_seen_by_the_second_look(cloud: Cloud) -> None:
    cloud.publish(LISTENING)
    enter(cloud)

    def meanwhile(commits: Sequence[Commit]) -> list[CommitResult]:
        assert cloud.log(log("opened", at=after(seconds=1)))[0].code == "unwanted"  # nobody listens yet
        assert len(cloud.all(MemberEvent)) == 1
        return cloud.store.commit_many(commits)

    instead(cloud.store, "commit_many", meanwhile)
    cloud.hop()
    assert cloud.progress.status is Status.ENDED
    assert cloud.progress.context["w"]["branch"] == "b"


def test_a_signal_that_loses_a_race_is_looked_at_again(cloud: Cloud) -> None:
    cloud.publish(LISTENING)
    entered = enter(cloud)
    cloud.hop()
    cloud.log(log("opened", at=after(seconds=1)))

    def a_sweep_bumps(commits: Sequence[Commit]) -> list[CommitResult]:
        stored = cloud.store.get_many(Progress, [entered.id])[0]
        assert stored is not None
        bumped = cloud.shop.stamp_progress(stored.value, rev=stored.value.rev)
        assert cloud.store.commit_many([(Update(bumped, stored.version),)]) == [CommitResult.APPLIED]
        return cloud.store.commit_many(commits)

    instead(cloud.store, "commit_many", a_sweep_bumps)
    assert cloud.hop()[0].code == "advanced"
    assert cloud.progress.status is Status.ENDED


def test_a_member_on_a_paused_journey_is_parked_and_taken_up_on_resume(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    enter(cloud)
    pause(cloud.shop, SIMPLE.id)
    assert cloud.hop()[0].code == "parked"
    assert (cloud.progress.parked, cloud.progress.sweep_at, cloud.progress.status) == (True, None, Status.READY)
    cloud.at(after(days=3))
    assert "requeued" not in cloud.sweep().notes
    resume(cloud.shop, SIMPLE.id)
    cloud.settle()
    assert cloud.hop()[0].code == "advanced"
    assert (cloud.progress.status, cloud.progress.schedule_at) == (Status.WAITING, after(days=4))


def test_a_resume_between_the_head_and_the_park_is_seen_by_the_second_look(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    enter(cloud)
    pause(cloud.shop, SIMPLE.id)

    def resumed(commits: Sequence[Commit]) -> list[CommitResult]:
        resume(cloud.shop, SIMPLE.id)  # finds nobody parked yet
        return cloud.store.commit_many(commits)

    instead(cloud.store, "commit_many", resumed)
    cloud.hop()
    assert (cloud.progress.parked, cloud.progress.status) == (False, Status.WAITING)


def test_an_event_on_a_paused_journey_counts_on_resume(cloud: Cloud) -> None:
    cloud.publish(LISTENING)
    enter(cloud)
    cloud.hop()
    pause(cloud.shop, LISTENING.id)
    cloud.at(after(hours=1))
    cloud.log(log("opened", at=after(hours=1)))
    assert cloud.hop()[0].code == "parked"
    cloud.at(after(days=2))
    resume(cloud.shop, LISTENING.id)
    cloud.settle()
    cloud.at(after(days=2, minutes=1))
    cloud.hop()
    assert cloud.progress.context["w"]["branch"] == "b"  # the event, not the timeout that fell due meanwhile


def test_a_wait_that_is_not_due_is_armed_again_after_a_resume(cloud: Cloud) -> None:
    cloud.publish(LISTENING)
    enter(cloud)
    cloud.hop()
    pause(cloud.shop, LISTENING.id)
    cloud.at(after(hours=1))
    cloud.hop(RunMessage(progress_id=cloud.progress.id))
    resume(cloud.shop, LISTENING.id)
    cloud.settle()
    cloud.at(after(hours=1, seconds=6))
    assert cloud.hop()[0].code == "nothing_due"
    cloud.at(after(hours=1, minutes=2))
    cloud.sweep()
    assert cloud.hop()[0].code == "rearmed"
    assert (cloud.progress.parked, cloud.progress.sweep_at) == (False, after(days=1))


def test_ending_a_journey_cancels_who_is_on_the_way(cloud: Cloud) -> None:
    cloud.publish(SIMPLE)
    enter(cloud)
    cloud.hop()
    cloud.at(after(minutes=1))
    end(cloud.shop, SIMPLE.id, reason="enough")
    cloud.settle()
    assert cloud.hop()[0].notes == ("canceled",)
    assert (cloud.progress.status, cloud.progress.end_reason, cloud.progress.sweep_at) == (Status.CANCELED, "enough", None)
