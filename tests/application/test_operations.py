"""What is asked of a journey from outside, while members move: nobody's step is lost, and nobody is moved twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sojourn.application.operations import advance_member, cancel_member, enroll_member, list_page, passages
from sojourn.application.records import Commit, CommitResult
from sojourn.domain.errors import NotAllowed
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud, instead
from tests.builders import JOURNEY, MEMBER, after, definition, log, send, wait


def waiting(cloud: Cloud) -> None:
    """A member at the first of two waits."""
    cloud.publish(definition([wait("first"), send(), wait("second")]))
    cloud.log(log())
    cloud.hop()
    assert cloud.progress.node_id == "first"


def move_before_the_next_commit(cloud: Cloud) -> None:
    """Whoever commits next finds that the member went on to the second wait in between."""

    def overtaken(commits: Sequence[Commit]) -> list[CommitResult]:
        cloud.at(after(days=1))
        cloud.sweep()
        cloud.settle()
        cloud.hop()
        return cloud.store.commit_many(commits)

    instead(cloud.store, "commit_many", overtaken)


def test_a_member_who_moved_on_meanwhile_is_canceled_where_they_are_now(cloud: Cloud) -> None:
    waiting(cloud)
    move_before_the_next_commit(cloud)
    (progress,) = cancel_member(cloud.shop, JOURNEY, MEMBER, reason="asked by phone")
    assert (progress.status, progress.end_reason) == (Status.CANCELED, "canceled by an operator: asked by phone")
    assert [step.node_id for step in progress.trail][-1] == "second"
    assert cloud.progress == progress


def test_a_wait_that_began_meanwhile_is_the_one_that_is_due(cloud: Cloud) -> None:
    waiting(cloud)
    move_before_the_next_commit(cloud)
    (progress,) = advance_member(cloud.shop, JOURNEY, MEMBER)
    assert (progress.node_id, progress.schedule_at) == ("second", after(days=1))
    cloud.hop()
    assert cloud.progress.status is Status.ENDED


def test_an_advance_whose_message_is_lost_is_found_by_the_sweep(cloud: Cloud) -> None:
    waiting(cloud)
    advance_member(cloud.shop, JOURNEY, MEMBER)
    assert len(cloud.waiting("journey-runs")) == 1
    cloud.sweep()
    cloud.settle()
    cloud.hop()
    assert cloud.progress.node_id == "second"


def test_nobody_is_enrolled_by_hand_through_a_trigger_for_events(cloud: Cloud) -> None:
    waiting(cloud)
    with pytest.raises(NotAllowed, match="no trigger of key 'api'"):
        enroll_member(cloud.shop, JOURNEY, "bob", data={})


def test_a_page_says_where_the_next_begins_and_the_last_that_there_is_none(cloud: Cloud) -> None:
    cloud.publish(definition([wait()]))
    for member in ("a", "b", "c"):
        cloud.log(log(member=member))
    shop, where = cloud.shop, {"journey_id": JOURNEY}
    first = list_page(shop, Progress, where, after=None, limit=2)
    last = list_page(shop, Progress, where, after=first.after, limit=2)
    assert [len(first.items), len(last.items), last.after] == [2, 1, None]
    assert {progress.member_id for page in (first, last) for progress in page.items} == {"a", "b", "c"}
    assert passages(shop, JOURNEY, "a")[0].member_id == "a"
