"""`enroll`: a firing takes its audience in, each member once, however its messages are delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest

from emulator.in_process import InProcessCloud
from sojourn.application.enroll import enroll
from sojourn.application.lifecycle import end, pause, publish_journey, resume
from sojourn.application.messages import ENROLLMENTS_TOPIC, RUNS_TOPIC, Delivered, EnrollMessage
from sojourn.application.outcome import Outcome
from sojourn.application.ports import Outgoing, Store
from sojourn.application.records import Create
from sojourn.application.workshop import Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.enrollment import PAGE_PATIENCE, PAUSE_PATIENCE, Enrollment
from sojourn.domain.errors import Unavailable
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud, MemoryCloud, instead
from tests.builders import BOT, JOURNEY, START, after, definition, wait

TICK = EnrollMessage(journey_id=JOURNEY, node_id="clock")
NINE = datetime(2026, 3, 3, 9, tzinfo=UTC)
PAGE = 20
MANY = 2 * PAGE + 1


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens between pages is the same whatever their size."""
    monkeypatch.setattr("sojourn.application.enroll.AUDIENCE_PAGE", PAGE)


def scheduled(*, settings: dict[str, object] | None = None, at: datetime | None = None, **of_journey: object) -> Definition:
    """A journey that a clock starts, every day at nine unless told otherwise."""
    when: dict[str, object] = {"at": at.isoformat()} if at else {"cron": "0 9 * * *"}
    clock = {"id": "clock", "key": "schedule", "settings": when | (settings or {})}
    paths = [("start", "pause"), ("clock", "pause"), ("pause", "end")]
    return definition([clock, wait()], paths, **of_journey)


def member(name: str, *, bot: str = BOT, **attributes: str) -> Member:
    return Member(bot, name, attributes, None, None, {}, 1, f"token-{name}", START)


def put(store: Store, *members: Member) -> None:
    store.commit_many([(Create(one),) for one in members])


def fire(cloud: Cloud, at: datetime, message: EnrollMessage = TICK) -> Outcome:
    cloud.at(at)
    return enroll(cloud.shop, [Delivered(message, at)])[0]


def pages(cloud: Cloud, *, copies: int = 1) -> list[Outcome]:
    """Deliver what the topic holds until it is empty."""
    outcomes: list[Outcome] = []
    while waiting := cloud.topics.take(ENROLLMENTS_TOPIC):
        messages = [EnrollMessage.model_validate_json(data) for data in waiting for _ in range(copies)]
        now = cloud.clock.now()
        outcomes += enroll(cloud.shop, [Delivered(message, now) for message in messages])
    return outcomes


def entered(cloud: Cloud) -> list[str]:
    """Who is on the journey; twice who entered twice."""
    return sorted(progress.member_id for progress in cloud.all(Progress))


def test_a_firing_takes_all_members_of_the_bot_and_nobody_else(cloud: Cloud) -> None:
    cloud.publish(scheduled())
    put(cloud.store, member("ann"), member("bob"), member("eve", bot="other"))
    assert fire(cloud, NINE) == Outcome("enrolled", notes=("entered", "entered"))
    assert entered(cloud) == ["ann", "bob"]
    assert {progress.trigger.occurred_at for progress in cloud.all(Progress)} == {NINE}
    cloud.hop()
    assert {progress.status for progress in cloud.all(Progress)} == {Status.WAITING}


def test_the_audience_is_who_satisfies_the_filter(cloud: Cloud) -> None:
    cloud.publish(scheduled(settings={"audience": {"filter": "member.attributes.tier == 'gold'"}}))
    put(cloud.store, member("ann", tier="gold"), member("bob", tier="tin"), member("eve"))
    assert sorted(fire(cloud, NINE).notes) == ["entered", "filter", "filter"]
    assert entered(cloud) == ["ann"]


def test_members_are_read_once_with_their_page(memory_cloud: MemoryCloud) -> None:
    memory_cloud.publish(scheduled(settings={"audience": {"filter": "member.attributes.tier == 'gold'"}}))
    store = memory_cloud.store
    put(store, *(member(f"m{number}", tier="gold") for number in range(20)))
    store.forget_counts()
    fire(memory_cloud, NINE)
    assert store.reads["Member"] == 0 and store.queries["Member"] == 1


def test_the_same_firing_published_or_delivered_again_enrolls_nobody_again(cloud: Cloud) -> None:
    cloud.publish(scheduled(repeat_journey_times=None, while_active="allow"))
    put(cloud.store, member("ann"))
    assert [fire(cloud, NINE + timedelta(seconds=late)).code for late in (0, 0, 40, 3_600)] == ["enrolled"] + ["duplicate"] * 3
    assert entered(cloud) == ["ann"]


def test_the_next_firing_enrolls_again_as_the_repeat_rule_says(cloud: Cloud) -> None:
    cloud.publish(scheduled(repeat_journey_times=2, while_active="allow"))
    put(cloud.store, member("ann"))
    notes = [fire(cloud, NINE + timedelta(days=days)).notes for days in range(3)]
    assert notes == [("entered",), ("entered",), ("repeat_limit",)]


@pytest.mark.parametrize(
    ("cron", "timezone", "first", "again"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30Z", "2026-10-25T01:30Z"),
        ("30 1 * * *", "America/New_York", "2026-11-01T05:30Z", "2026-11-01T06:30Z"),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:45Z", "2026-04-04T15:15Z"),
        ("30 23 * * *", "Africa/Cairo", "2026-10-29T20:30Z", "2026-10-29T21:30Z"),
    ],
)
def test_a_time_that_clocks_show_twice_enrolls_once(cloud: Cloud, cron: str, timezone: str, first: str, again: str) -> None:
    """Cloud Scheduler publishes at both."""
    line: dict[str, object] = {"cron": cron, "timezone": timezone}
    cloud.publish(scheduled(settings=line, repeat_journey_times=None, while_active="allow"))
    put(cloud.store, member("ann"))
    codes = [fire(cloud, datetime.fromisoformat(moment)).code for moment in (first, again)]
    assert codes == ["enrolled", "duplicate"]
    assert (entered(cloud), cloud.only(Enrollment).fired_at) == (["ann"], datetime.fromisoformat(first))


def test_a_clock_that_is_a_little_behind_means_the_firing_that_is_due(cloud: Cloud) -> None:
    cloud.publish(scheduled())
    fire(cloud, NINE - timedelta(milliseconds=200))
    assert cloud.only(Enrollment).fired_at == NINE


@pytest.mark.parametrize("copies", [1, 2])
def test_pages_follow_each_other_and_pages_delivered_twice_do_not_multiply(cloud: Cloud, copies: int) -> None:
    cloud.publish(scheduled())
    put(cloud.store, *(member(f"m{number}") for number in range(MANY)))
    fire(cloud, NINE)
    outcomes = pages(cloud, copies=copies)
    assert len(set(entered(cloud))) == len(entered(cloud)) == MANY
    assert [outcome.code for outcome in outcomes if outcome.code != "duplicate"] == ["enrolling", "enrolled"]
    assert len(outcomes) == 2 * copies
    assert (cloud.only(Enrollment).members, cloud.only(Enrollment).done) == (MANY, True)


def test_a_lost_message_is_sent_again_by_the_tick(cloud: Cloud) -> None:
    cloud.publish(scheduled())
    put(cloud.store, *(member(f"m{number}") for number in range(MANY)))
    fire(cloud, NINE)
    cloud.waiting(ENROLLMENTS_TOPIC)
    cloud.at(NINE + PAGE_PATIENCE - timedelta(seconds=1))
    cloud.sweep()
    assert pages(cloud) == []
    cloud.at(NINE + PAGE_PATIENCE)
    cloud.sweep()
    assert [outcome.code for outcome in pages(cloud)] == ["enrolling", "enrolled"]
    assert len(entered(cloud)) == MANY


class Killed(Exception):
    """The function was killed."""


class KilledAt:
    """Ports of which one call, counted over both, never returns: before it does anything, or after."""

    def __init__(self, cloud: Cloud, at: int, *, after: bool) -> None:
        self._store, self._publisher = cloud.store, cloud.topics
        self._left, self._after = at, after

    def _maybe(self, *, after: bool) -> None:
        self._left -= not after
        if self._left == 0 and after is self._after:
            raise Killed

    def commit_many(self, commits: Sequence[tuple[Create, ...]]) -> object:
        self._maybe(after=False)
        result = self._store.commit_many(commits)
        self._maybe(after=True)
        return result

    def publish_many(self, messages: Sequence[Outgoing]) -> object:
        self._maybe(after=False)
        result = self._publisher.publish_many(messages)
        self._maybe(after=True)
        return result

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def workshop(cloud: Cloud, ports: KilledAt) -> Workshop:
    return replace(cloud.shop, store=ports, publisher=ports)  # type: ignore[arg-type]  # a double of both


def until_killed(cloud: Cloud, dying: Workshop) -> list[EnrollMessage]:
    """Fire, and deliver until the end; the messages that nobody acknowledged."""
    messages = [TICK]
    while messages:
        try:
            enroll(dying, [Delivered(message, NINE) for message in messages])
        except Killed:
            return messages
        messages = [EnrollMessage.model_validate_json(data) for data in cloud.topics.take(ENROLLMENTS_TOPIC)]
    raise AssertionError("nothing was killed")


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 7))
def test_killed_anywhere_and_every_page_delivered_twice_nobody_is_missed_or_enters_twice(
    cloud: Cloud, at: int, done: bool
) -> None:
    cloud.publish(scheduled(repeat_journey_times=None, while_active="allow"))
    put(cloud.store, *(member(f"m{number}") for number in range(MANY)))
    cloud.at(NINE)
    unacknowledged = until_killed(cloud, workshop(cloud, KilledAt(cloud, at, after=done)))
    enroll(cloud.shop, [Delivered(message, NINE) for message in (*unacknowledged, *unacknowledged)])
    pages(cloud, copies=2)
    for minutes in (3, 6):
        cloud.at(NINE + timedelta(minutes=minutes))
        cloud.sweep()
        pages(cloud, copies=2)
    assert len(set(entered(cloud))) == len(entered(cloud)) == MANY
    cloud.hop()
    assert {progress.status for progress in cloud.all(Progress)} == {Status.WAITING}
    assert cloud.only(Enrollment).done


def test_a_page_that_the_store_does_not_give_is_asked_for_again(cloud: Cloud) -> None:
    def not_now(*_: object, **__: object) -> NoReturn:
        raise Unavailable("Firestore")

    cloud.publish(scheduled())
    put(cloud.store, member("ann"))
    instead(cloud.store, "find", not_now)
    with pytest.raises(Unavailable):
        fire(cloud, NINE)
    assert fire(cloud, NINE).code == "enrolled"


@pytest.mark.parametrize("change", [pause, end])
def test_a_firing_while_the_journey_is_not_ongoing_enrolls_nobody(cloud: Cloud, change: object) -> None:
    cloud.publish(scheduled())
    put(cloud.store, member("ann"))
    change(cloud.shop, JOURNEY)  # type: ignore[operator]
    assert fire(cloud, NINE).code in ("paused", "ended")
    assert not cloud.all(Progress) and not cloud.all(Enrollment)


def test_a_firing_that_a_pause_interrupts_goes_on_after_it(cloud: Cloud) -> None:
    cloud.publish(scheduled())
    put(cloud.store, *(member(f"m{number}") for number in range(MANY)))
    fire(cloud, NINE)
    pause(cloud.shop, JOURNEY)
    cloud.at(NINE + timedelta(seconds=10))
    assert [outcome.code for outcome in pages(cloud)] == ["paused"]
    cloud.at(NINE + timedelta(days=3))
    cloud.sweep()
    assert [outcome.code for outcome in pages(cloud)] == ["paused"]
    resume(cloud.shop, JOURNEY)
    cloud.at(NINE + timedelta(days=3) + PAUSE_PATIENCE)
    cloud.sweep()
    assert [outcome.code for outcome in pages(cloud)] == ["enrolling", "enrolled"]
    assert len(entered(cloud)) == MANY


def test_a_firing_that_the_end_interrupts_is_over(cloud: Cloud) -> None:
    cloud.publish(scheduled())
    put(cloud.store, *(member(f"m{number}") for number in range(MANY)))
    fire(cloud, NINE)
    end(cloud.shop, JOURNEY)
    cloud.at(NINE + timedelta(minutes=3))
    assert [outcome.code for outcome in pages(cloud)] == ["ended"]
    assert cloud.only(Enrollment).done and len(entered(cloud)) == PAGE


def test_a_trigger_that_the_published_version_does_not_have_enrolls_nobody(cloud: Cloud) -> None:
    cloud.publish(definition([wait()]))
    put(cloud.store, member("ann"))
    for node in ("clock", "start"):
        assert fire(cloud, NINE, EnrollMessage(journey_id=JOURNEY, node_id=node)).code == "no_trigger"
    assert fire(cloud, NINE, EnrollMessage(journey_id="unknown", node_id="clock")).code == "no_trigger"


def test_one_moment_fires_once_and_takes_its_job_away(cloud: Cloud) -> None:
    cloud.publish(scheduled(at=NINE))
    put(cloud.store, member("ann"))
    assert len(cloud.jobs.jobs("")) == 1
    assert fire(cloud, NINE + timedelta(seconds=2)).code == "enrolled"
    assert cloud.jobs.jobs("") == []
    put(cloud.store, member("bob"))
    assert fire(cloud, NINE.replace(year=2027)).code == "another_year"
    assert entered(cloud) == ["ann"]


def test_the_same_minute_of_an_earlier_year_does_not_count(cloud: Cloud) -> None:
    cloud.publish(scheduled(at=NINE.replace(year=2027)))
    put(cloud.store, member("ann"))
    assert fire(cloud, NINE).code == "another_year"
    assert cloud.all(Progress) == [] and len(cloud.jobs.jobs("")) == 1


def test_a_full_page_at_the_end_is_followed_by_an_empty_one(cloud: Cloud) -> None:
    cloud.publish(scheduled())
    put(cloud.store, *(member(f"m{number}") for number in range(PAGE)))
    assert fire(cloud, NINE).code == "enrolling"
    assert [outcome.code for outcome in pages(cloud)] == ["enrolled"]
    assert len(cloud.waiting(RUNS_TOPIC)) == PAGE


def test_in_process_the_clock_fires_the_job_and_everything_is_delivered_twice() -> None:
    count = MANY
    with InProcessCloud(START, copies=2, seed=7) as cloud:
        publish_journey(cloud.memory.shop, scheduled(repeat_journey_times=None, while_active="allow"))
        put(cloud.memory.store, *(member(f"m{number}") for number in range(count)))
        cloud.move_to(after(days=2, hours=1))
        found = list(cloud.memory.store.scan(Progress))
    assert len(found) == 2 * count  # at nine on both days
    assert len({(progress.member_id, progress.trigger.occurred_at) for progress in found}) == 2 * count
    assert {progress.trigger.occurred_at for progress in found} == {NINE, NINE + timedelta(days=1)}
