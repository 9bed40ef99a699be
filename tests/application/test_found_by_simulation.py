"""What the deterministic simulation found (`tests/simulation`), each once more as a day of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from sojourn.application.lifecycle import edit_journey, end, pause, publish, resume
from sojourn.application.messages import EVENTS_TOPIC, RUNS_TOPIC, RunMessage
from sojourn.application.quota import give_back
from sojourn.application.records import Commit, CommitResult, Update
from sojourn.domain.effect import LEASE_SECONDS, Delivery, Effect, EffectStatus
from sojourn.domain.errors import Unavailable
from sojourn.domain.event import MAX_EMIT_DEPTH
from sojourn.domain.journey import Journey, QuotaShare
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud, MemoryCloud, instead
from tests.application.scripted import sent
from tests.builders import JOURNEY, after, definition, log, send, wait

Settings: TypeAlias = dict[str, Any]


class InstanceDies(BaseException):
    """As a SIGKILL would end it: nothing in the engine catches this."""


def die(*_: object) -> None:
    raise InstanceDies


def test_an_effect_whose_performer_died_is_performed_however_late_the_sweep_comes(memory_cloud: MemoryCloud) -> None:
    """The sweep's bump moved the end of the lease, so that every message found it leased, for ever."""
    cloud = memory_cloud
    cloud.publish(definition([send()]))
    cloud.log(log())
    cloud.hop()
    instead(cloud.mailbox, "deliver", die)
    with pytest.raises(InstanceDies):
        cloud.perform()
    assert cloud.only(Effect).status is EffectStatus.PERFORMING
    cloud.at(after(seconds=LEASE_SECONDS, minutes=5))
    cloud.sweep()
    assert [outcome.code for outcome in cloud.perform()] == ["done"]


def test_an_event_counts_that_came_between_an_awaited_delivery_and_its_being_noticed(cloud: Cloud) -> None:
    """`since` was when the hop ran, so slow processing lost the event for the wait that followed."""
    until_paid = {
        "id": "until-paid",
        "key": "wait_for_event",
        "settings": {"branches": [{"name": "paid", "event": "paid"}], "timeout": "1d"},
    }
    paths: list[tuple[str, str] | tuple[str, str, int]] = [
        ("start", "hello"),
        ("hello", "until-paid"),
        ("until-paid", "end", 0),
        ("until-paid", "hello", 1),
    ]
    cloud.publish(definition([send(await_result=True), until_paid], paths))
    cloud.log(log())
    cloud.hop()
    cloud.perform()
    cloud.log(log("paid", at=after(seconds=30)))
    cloud.at(after(minutes=2))
    cloud.hop()
    assert cloud.progress.status is Status.ENDED


def test_the_tick_goes_on_where_somebody_ended_a_journey_at_the_same_moment(memory_cloud: MemoryCloud) -> None:
    """Of two ticks at once, or of a tick and an operator, one was told NotAllowed and swept nobody."""
    cloud = memory_cloud
    cloud.publish(definition([wait()], schedule_end_at=after(days=3).isoformat()))
    cloud.at(after(days=3))
    due = cloud.store.journeys_to_end(after(days=3))
    end(cloud.shop, JOURNEY)
    instead(cloud.store, "journeys_to_end", lambda _: due)
    assert cloud.sweep().code == "swept"
    assert cloud.only(Journey).end_reason == "journey ended"


def test_everybody_hears_of_the_end_though_the_instance_died_as_it_told_them(memory_cloud: MemoryCloud) -> None:
    """The page was turned before its members were told, so a crash in between left them waiting."""
    cloud = memory_cloud
    cloud.publish(definition([wait()]))
    cloud.log(log())
    cloud.hop()
    end(cloud.shop, JOURNEY)
    instead(cloud.topics, "publish_many", die)
    with pytest.raises(InstanceDies):
        cloud.settle()
    cloud.sweep()
    cloud.settle()
    cloud.hop()
    assert cloud.progress.status is Status.CANCELED


def test_an_entry_that_was_not_counted_is_found_where_entries_are_counted_now(cloud: Cloud) -> None:
    """Without a count the engine took the member for new, and lost the race against itself for ever."""
    key = "event.data.order"
    cloud.publish(definition([wait()], repeat_journey_times=None, entry_key=key))
    cloud.log(log(order=1))
    pause(cloud.shop, JOURNEY)
    edit_journey(cloud.shop, definition([wait()], repeat_journey_times=3, entry_key=key))
    publish(cloud.shop, JOURNEY)
    cloud.at(after(minutes=1))
    codes = [cloud.log(log(order=1))[0], cloud.log(log(order=1, id="another"))[0]]
    assert [outcome.notes for outcome in codes] == [("duplicate",), ("entry_key_taken",)]
    assert not any(outcome.retry for outcome in codes)


def test_a_first_hop_is_not_put_off_by_a_goal_that_came_before_it(cloud: Cloud) -> None:
    """Counting the goal made the entry's own message stale, and the sweep had to find the member a minute later."""
    cloud.publish(definition([send()], goal={"event": "bought"}))
    cloud.log(log())
    cloud.topics.take(RUNS_TOPIC)
    cloud.log(log("bought", at=after(seconds=1)))
    cloud.hop()
    cloud.hop()
    assert cloud.progress.goal is not None
    assert cloud.progress.status is Status.ENDED


def test_a_message_goes_back_into_the_quota_once_though_the_answer_was_unclear(memory_cloud: MemoryCloud) -> None:
    """The commit was taken for another's once somebody else had written the share, and was made again."""
    cloud = memory_cloud
    cloud.publish(definition([send()], message_quota=20))
    cloud.log(log())
    cloud.hop()
    instead(cloud.mailbox, "deliver", lambda *_, **__: Delivery("permanent", "no such address"))
    cloud.perform()
    failed = cloud.only(Effect)
    assert (failed.status, failed.quota_share) == (EffectStatus.FAILED, None)
    assert [share.used for share in cloud.all(QuotaShare)] == [0]
    give_back(cloud.shop, failed)
    assert [share.used for share in cloud.all(QuotaShare)] == [0]


def test_a_member_whose_unparking_was_in_doubt_is_unparked_when_the_page_is_taken_again(memory_cloud: MemoryCloud) -> None:
    """Settling took an unclear answer for a lost race, and left the member parked on a journey that goes on."""
    cloud = memory_cloud
    cloud.publish(definition([wait()]))
    cloud.log(log())
    pause(cloud.shop, JOURNEY)
    cloud.at(after(seconds=10))
    cloud.hop()
    assert [one.parked for one in cloud.all(Progress)] == [True]
    resume(cloud.shop, JOURNEY)
    instead(cloud.store, "commit_many", lambda commits: [CommitResult.UNKNOWN] * len(commits))
    with pytest.raises(Unavailable):
        cloud.settle()
    cloud.sweep()
    cloud.settle()
    assert [one.parked for one in cloud.all(Progress)] == [False]
    assert cloud.only(Journey).settling is None


def test_a_wait_that_the_sweep_took_up_too_early_and_late_ends_in_its_time(memory_cloud: MemoryCloud) -> None:
    """A bump put the next sweep an hour off, and the hop that found nothing due left it there, past the end of the wait."""
    cloud = memory_cloud
    cloud.publish(definition([wait(duration="1h")]))
    cloud.log(log())
    pause(cloud.shop, JOURNEY)
    cloud.at(after(seconds=10))
    cloud.hop()
    resume(cloud.shop, JOURNEY)
    cloud.settle()
    cloud.hop()
    cloud.hop()
    pause(cloud.shop, JOURNEY)
    cloud.at(after(seconds=20))
    cloud.hop(RunMessage(progress_id=cloud.progress.id))
    resume(cloud.shop, JOURNEY)
    cloud.settle()
    cloud.topics.take(RUNS_TOPIC)
    cloud.at(after(minutes=10))
    cloud.sweep()
    assert cloud.progress.sweep_count == 1
    cloud.hop()
    assert (cloud.progress.sweep_at, cloud.progress.sweep_count) == (cloud.progress.schedule_at, 0)


def test_a_journey_that_emits_what_it_waits_for_is_stopped_after_a_few_rounds(cloud: Cloud) -> None:
    """Depth was counted from the trigger alone, so the member went round at full speed until the visits ended in ERROR."""
    listens = {"branches": [{"name": "again", "event": "again"}], "timeout": "1d"}
    nodes = [
        {"id": "say", "key": "emit_event", "settings": {"name": "again"}},
        {"id": "listen", "key": "wait_for_event", "settings": listens},
    ]
    paths: list[tuple[str, str] | tuple[str, str, int]] = [("start", "say"), ("say", "listen"), ("listen", "say", 0)]
    cloud.publish(definition(nodes, [*paths, ("listen", "end", 1)]))
    cloud.log(log())
    for _ in range(3 * MAX_EMIT_DEPTH):
        cloud.hop()
        cloud.perform()
        cloud.log(*cloud.topics.take(EVENTS_TOPIC))
    assert (cloud.progress.status, cloud.progress.node_id) == (Status.WAITING, "listen")
    assert cloud.progress.visits["say"] == MAX_EMIT_DEPTH + 1
    ended = sorted((effect.status, effect.reason or "") for effect in cloud.all(Effect))
    assert [status for status, _ in ended] == [EffectStatus.DONE] * MAX_EMIT_DEPTH + [EffectStatus.FAILED]
    assert ended[-1][1] == "journeys emitted 8 events in a row: a loop"


def test_an_effect_that_was_parked_as_the_journey_went_on_is_performed_at_once(cloud: Cloud) -> None:
    """The second look sent a message instead, and where that was lost nobody would ever unpark the effect."""
    message = sent(cloud)
    pause(cloud.shop, JOURNEY)
    cloud.at(after(seconds=6))

    def resumed(commits: Sequence[Commit]) -> list[CommitResult]:
        resume(cloud.shop, JOURNEY)  # finds nothing parked yet
        return cloud.store.commit_many(commits)

    instead(cloud.store, "commit_many", resumed)
    assert [outcome.code for outcome in cloud.perform(message)] == ["done"]


ONCE: Settings = {}
THRICE: Settings = {"repeat_journey_times": 3, "while_active": "allow"}
ALONE: Settings = {"repeat_journey_times": None}
ALWAYS: Settings = {"repeat_journey_times": None, "while_active": "allow"}


@pytest.mark.parametrize(
    ("before", "entered", "now", "then"),
    [
        (ONCE, ["e1"], ALONE, {"e1": "duplicate", "e2": "already_active"}),
        (THRICE, ["e1", "e2"], ALONE, {"e2": "duplicate", "e3": "already_active"}),
        (ONCE, ["e1"], ALWAYS, {"e1": "duplicate", "e2": "entered"}),
        (ALWAYS, ["e1", "e2"], ONCE, {"e1": "duplicate", "e3": "repeat_limit"}),
        (ONCE, ["e1"], THRICE, {"e2": "entered", "e1": "duplicate", "e3": "entered", "e4": "repeat_limit"}),
        (ALWAYS, ["e1", "e2", "e3"], THRICE, {"e4": "repeat_limit"}),
    ],
)
def test_where_a_version_changes_the_rules_of_entry_earlier_passages_count_by_the_new_ones(
    cloud: Cloud, before: Settings, entered: list[str], now: Settings, then: dict[str, str]
) -> None:
    """Ids and counts were the old version's: an event let a member in twice, or beside a passage that was on the way."""
    cloud.publish(definition([wait()], **before))
    assert [outcome.notes for outcome in cloud.log(*(log(id=name) for name in entered))] == [("entered",)] * len(entered)
    over = [p for p in cloud.all(Progress) if p.trigger.id == entered[-1] and len(entered) > 1]
    for stored in filter(None, cloud.store.get_many(Progress, [progress.id for progress in over])):
        left = replace(stored.value, status=Status.CANCELED, node_id=None, sweep_at=None, shard=None)
        cloud.store.commit_many([(Update(left, stored.version),)])  # others are still on the way
    pause(cloud.shop, JOURNEY)
    cloud.publish(definition([wait()], **now))
    cloud.at(after(seconds=10))
    assert {name: cloud.log(log(id=name))[0].notes for name in then} == {name: (code,) for name, code in then.items()}


def test_where_versions_have_the_same_rules_of_entry_no_passage_is_looked_for(memory_cloud: MemoryCloud) -> None:
    cloud = memory_cloud
    cloud.publish(definition([wait()], repeat_journey_times=None))
    pause(cloud.shop, JOURNEY)
    cloud.publish(definition([wait(duration="2d")], repeat_journey_times=None))
    assert cloud.only(Journey).entry_rules_since == 1
    instead(cloud.store, "newest", die)
    assert cloud.log(log())[0].notes == ("entered",)
