"""The life of a journey: what each status allows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sojourn.application.lifecycle import end, pause, publish_journey, resume
from sojourn.application.workshop import Workshop
from sojourn.domain.errors import NotAllowed, NotFound
from sojourn.domain.journey import Journey, JourneyStatus, JourneyVersion
from tests.application.conftest import Cloud
from tests.builders import definition, wait

SIMPLE = definition([wait()])


def test_publishing_again_from_paused_makes_the_next_version_and_keeps_listening_for_the_old(cloud: Cloud) -> None:
    shop = cloud.memory.shop
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
        ([pause], pause, "publish, resume, end"),
        ([end], pause, "nothing"),
        ([end], resume, "nothing"),
        ([pause, end], end, "nothing"),
    ],
)
def test_a_change_that_the_status_does_not_allow_names_those_that_it_does(
    cloud: Cloud, before: list[Callable[[Workshop, str], Journey]], change: Callable[[Workshop, str], Journey], allowed: str
) -> None:
    publish_journey(cloud.memory.shop, SIMPLE)
    for step in before:
        step(cloud.memory.shop, SIMPLE.id)
    status = cloud.only(Journey).status
    with pytest.raises(NotAllowed, match=f"is {status}: {change.__name__} is not allowed; allowed: {allowed}$"):
        change(cloud.memory.shop, SIMPLE.id)


def test_an_ongoing_journey_is_not_published_over(cloud: Cloud) -> None:
    publish_journey(cloud.memory.shop, SIMPLE)
    with pytest.raises(NotAllowed, match="is ONGOING: publish is not allowed"):
        publish_journey(cloud.memory.shop, SIMPLE)


def test_a_journey_that_is_not_there_is_named(cloud: Cloud) -> None:
    with pytest.raises(NotFound, match="no journey 'nowhere'"):
        pause(cloud.memory.shop, "nowhere")
