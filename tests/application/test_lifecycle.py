"""The life of a journey: what each status allows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sojourn.application.lifecycle import (
    GONE,
    create_journey,
    delete_journey,
    edit_journey,
    end,
    pause,
    plan_publish,
    publish,
    publish_journey,
    resume,
)
from sojourn.application.messages import SWEEPS_TOPIC, RunMessage, SweepMessage
from sojourn.application.records import MAX_PAGE
from sojourn.application.sweep import sweep
from sojourn.application.workshop import Workshop
from sojourn.domain.effect import Effect
from sojourn.domain.errors import Changed, NotAllowed, NotFound
from sojourn.domain.journey import Journey, JourneyStatus, JourneyVersion, Migration
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud
from tests.builders import after, definition, log, send, wait

SIMPLE = definition([wait()])


def test_publishing_again_from_paused_makes_the_next_version_and_keeps_listening_for_the_old(cloud: Cloud) -> None:
    shop = cloud.shop
    publish_journey(shop, definition([wait()], exit_events=[{"event": "order"}]))
    pause(shop, SIMPLE.id)
    publish_journey(shop, definition([wait()], exit_events=[{"event": "left"}]))
    head = cloud.only(Journey)
    assert (head.status, head.version, head.listens) == (JourneyStatus.ONGOING, 2, ("left", "order"))
    assert sorted(version.version for version in cloud.all(JourneyVersion)) == [1, 2]


@pytest.mark.parametrize(
    ("before", "change", "allowed"),
    [
        ([], resume, "pause, end"),
        ([pause], pause, "edit, publish, resume, end"),
        ([end], pause, "nothing"),
        ([end], resume, "nothing"),
        ([pause, end], end, "nothing"),
    ],
)
def test_a_change_that_the_status_does_not_allow_names_those_that_it_does(
    cloud: Cloud, before: list[Callable[[Workshop, str], Journey]], change: Callable[[Workshop, str], Journey], allowed: str
) -> None:
    publish_journey(cloud.shop, SIMPLE)
    for step in before:
        step(cloud.shop, SIMPLE.id)
    status = cloud.only(Journey).status
    with pytest.raises(NotAllowed, match=f"is {status}: {change.__name__} is not allowed; allowed: {allowed}$"):
        change(cloud.shop, SIMPLE.id)


def test_the_life_of_a_journey_goes_from_draft_over_ongoing_and_paused_to_its_end(cloud: Cloud) -> None:
    life = [create_journey(cloud.shop, SIMPLE), publish(cloud.shop, SIMPLE.id)]
    life += [change(cloud.shop, SIMPLE.id) for change in (pause, resume, end)]
    assert [head.status for head in life] == ["DRAFT", "ONGOING", "PAUSED", "ONGOING", "ENDED"]
    assert cloud.only(Journey) == life[-1]


def test_an_ongoing_journey_is_not_published_over(cloud: Cloud) -> None:
    publish_journey(cloud.shop, SIMPLE)
    with pytest.raises(NotAllowed, match="is ONGOING: edit is not allowed"):
        publish_journey(cloud.shop, SIMPLE)


def test_a_journey_that_is_not_there_is_named(cloud: Cloud) -> None:
    with pytest.raises(NotFound, match="no journey 'nowhere'"):
        pause(cloud.shop, "nowhere")


def enter(cloud: Cloud, *members: str) -> None:
    cloud.log(*(log(member=name) for name in members))
    cloud.hop()


def standing(cloud: Cloud) -> dict[str, tuple[int, str | None, Status]]:
    return {one.member_id: (one.version, one.node_id, one.status) for one in cloud.all(Progress)}


TWO_WAITS = definition([wait("first"), wait("second", "2d")])
RENAMED = definition([wait("new"), send("thanks")])


def test_a_draft_is_edited_and_deleted_and_enters_nobody(cloud: Cloud) -> None:
    shop = cloud.shop
    create_journey(shop, SIMPLE)
    assert cloud.log(log())[0].code == "unwanted"
    with pytest.raises(NotAllowed, match="is there already"):
        create_journey(shop, SIMPLE)
    edited = edit_journey(shop, TWO_WAITS, rev=1)
    assert (edited.status, edited.rev, edited.version) == (JourneyStatus.DRAFT, 2, None)
    with pytest.raises(Changed, match="at revision 2, not 1"):
        delete_journey(shop, SIMPLE.id, rev=1)
    delete_journey(shop, SIMPLE.id, rev=2)
    assert cloud.all(Journey) == []


def test_what_was_published_is_never_deleted_and_stays_with_its_bot(cloud: Cloud) -> None:
    shop = cloud.shop
    publish_journey(shop, SIMPLE)
    pause(shop, SIMPLE.id)
    with pytest.raises(NotAllowed, match="delete is not allowed"):
        delete_journey(shop, SIMPLE.id)
    with pytest.raises(NotAllowed, match="belongs to bot 'bot-1'"):
        edit_journey(shop, SIMPLE.model_copy(update={"bot_id": "other"}))
    with pytest.raises(NotAllowed, match="no draft to publish"):
        publish(shop, SIMPLE.id)


def test_a_new_version_pins_those_on_the_way_by_default(cloud: Cloud) -> None:
    publish_journey(cloud.shop, TWO_WAITS)
    enter(cloud, "ann")
    pause(cloud.shop, TWO_WAITS.id)
    publish_journey(cloud.shop, RENAMED)
    cloud.settle()
    cloud.hop()
    cloud.at(after(seconds=6))
    enter(cloud, "bob")
    assert standing(cloud) == {"ann": (1, "first", Status.WAITING), "bob": (2, "new", Status.WAITING)}
    cloud.at(after(days=1))
    cloud.sweep()
    cloud.hop()
    assert standing(cloud)["ann"] == (1, "second", Status.WAITING)


def test_migrate_refuses_until_somebody_chose_for_those_whose_node_is_gone(cloud: Cloud) -> None:
    shop = cloud.shop
    publish_journey(shop, TWO_WAITS)
    enter(cloud, "ann", "bob")
    pause(shop, TWO_WAITS.id)
    edit_journey(shop, RENAMED)
    before = cloud.only(Journey)
    plan = plan_publish(shop, TWO_WAITS.id, Migration("migrate"))
    assert [(one.version, one.node_id, one.members, one.fate) for one in plan] == [(1, "first", 2, GONE)]
    with pytest.raises(NotAllowed, match="2 at 'first' of version 1"):
        publish(shop, TWO_WAITS.id, migration=Migration("migrate"))
    with pytest.raises(NotAllowed, match="the map names 'nowhere'"):
        publish(shop, TWO_WAITS.id, migration=Migration("migrate", {"first": "nowhere"}))
    assert cloud.only(Journey) == before


@pytest.mark.parametrize(
    ("migration", "expected"),
    [
        (Migration("migrate", {"first": "new"}), (2, "new", Status.WAITING)),
        (Migration("migrate", {"first": "thanks"}), (2, None, Status.ENDED)),
        (Migration("migrate", gone="cancel"), (2, None, Status.CANCELED)),
        (Migration("cancel"), (1, None, Status.CANCELED)),
    ],
    ids=["to another wait", "to a message", "gone", "cancel"],
)
def test_publishing_with_a_migration_moves_everybody(
    cloud: Cloud, migration: Migration, expected: tuple[int, str | None, Status]
) -> None:
    publish_journey(cloud.shop, TWO_WAITS)
    enter(cloud, "ann", "bob")
    pause(cloud.shop, TWO_WAITS.id)
    cloud.hop(RunMessage(progress_id=cloud.all(Progress)[0].id, head_rev=99))  # one of the two is parked
    publish_journey(cloud.shop, RENAMED, migration=migration)
    cloud.settle()
    cloud.hop()
    assert standing(cloud) == {"ann": expected, "bob": expected}
    if expected[2] is Status.WAITING:  # the wait goes on as it was
        assert {one.schedule_at for one in cloud.all(Progress)} == {after(days=1)}
        cloud.at(after(days=1))
        cloud.sweep()
        cloud.hop()
        assert {effect.node_id for effect in cloud.all(Effect)} == {"thanks"}


def test_a_resume_takes_up_a_backlog_page_by_page_and_spread_out(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sojourn.application.settling.RESUME_PER_MINUTE", a_minute := 300)
    shop, count = cloud.shop, MAX_PAGE + 100
    publish_journey(shop, SIMPLE)
    cloud.log(*(log(member=f"m{number}") for number in range(count)))
    pause(shop, SIMPLE.id)
    cloud.at(after(seconds=6))
    assert {outcome.code for outcome in cloud.hop()} == {"parked"}
    cloud.at(after(days=7))
    resume(shop, SIMPLE.id)
    first = sweep(shop, [SweepMessage(settle=SIMPLE.id)] * 2)  # the page twice
    assert [outcome.code for outcome in first] == ["settling", "settled"]  # the second took the next page
    cloud.settle()
    assert cloud.only(Journey).settling is None
    assert not any(one.parked for one in cloud.all(Progress))
    waiting = cloud.hop()
    assert a_minute <= len(waiting) < count
    cloud.at(after(days=7, minutes=10))
    cloud.sweep()
    cloud.hop()
    assert {one.status for one in cloud.all(Progress)} == {Status.WAITING}


def test_a_lost_settling_message_is_sent_again_by_the_tick(cloud: Cloud) -> None:
    publish_journey(cloud.shop, SIMPLE)
    enter(cloud, "ann")
    end(cloud.shop, SIMPLE.id, reason="enough")
    cloud.waiting(SWEEPS_TOPIC)
    cloud.at(after(minutes=1))
    cloud.sweep()
    cloud.settle()
    cloud.hop()
    assert standing(cloud)["ann"] == (1, None, Status.CANCELED)


def test_an_extended_wait_is_not_over_at_its_old_time_and_nobody_extends_it_twice(cloud: Cloud) -> None:
    publish_journey(cloud.shop, SIMPLE)
    enter(cloud, "ann")
    pause(cloud.shop, SIMPLE.id)
    cloud.at(after(hours=12))
    resume(cloud.shop, SIMPLE.id, extend_waits=True)
    cloud.at(after(hours=24))
    cloud.sweep()
    cloud.hop()
    assert (cloud.progress.status, cloud.progress.schedule_at) == (Status.WAITING, after(hours=36))
    cloud.hop(RunMessage(progress_id=cloud.progress.id))
    assert cloud.progress.schedule_at == after(hours=36)
    cloud.log(log(member="bob"))
    assert {one.extended for one in cloud.all(Progress)} == {1}
