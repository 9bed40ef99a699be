"""The report: every figure adds up, over versions, nodes, days and reasons."""

from __future__ import annotations

import pytest

from sojourn.application.lifecycle import pause
from sojourn.application.report import journey_report, product_metrics
from sojourn.domain.definition import Definition
from sojourn.domain.errors import NotFound
from sojourn.domain.journey import JourneyStatus
from tests.application.conftest import Cloud, MemoryCloud
from tests.builders import JOURNEY, START, after, definition, log, send, wait

GOAL = {"event": "order", "revenue": "event.data.total", "window": "7d"}
BUY = definition([wait(), send()], goal=GOAL, exit_events=[{"event": "left"}])


def play(cloud: Cloud, of: Definition = BUY) -> None:
    """Five members: one waits, one leaves, three come to the end, two of whom buy; one is turned away."""
    cloud.publish(of)
    cloud.log(*(log(member=name) for name in ("ann", "bob", "cid", "dan")))
    cloud.hop()
    cloud.at(after(hours=1))
    cloud.log(log("left", member="bob", at=after(hours=1)), log("order", member="cid", at=after(hours=1), total=12.5))
    cloud.hop()
    cloud.at(after(days=1))
    cloud.log(log(member="eve", at=after(days=1)), log(member="ann", id="again", at=after(days=1)))
    cloud.hop()
    cloud.sweep()
    cloud.hop()
    cloud.perform()
    cloud.at(after(days=1, hours=1))
    cloud.log(log("order", member="dan", at=after(days=1, hours=1), total=7))
    cloud.hop()


def test_the_seeds_figures(cloud: Cloud) -> None:
    play(cloud)
    report = journey_report(cloud.shop, JOURNEY)
    assert (report.trigger, report.in_progress, report.exit, report.revenue) == (5, 1, 4, 19.5)
    total = report.total
    assert (total.completed, total.canceled, total.error, total.goals) == (3, 1, 0, 2)


def test_a_node_s_passages_are_standing_there_or_left_or_passed(cloud: Cloud) -> None:
    play(cloud)
    nodes = {node.node_id: node for node in journey_report(cloud.shop, JOURNEY).nodes}
    assert list(nodes) == ["start", "pause", "hello", "end"]
    figures = {name: (node.reached, node.standing, node.left, node.passed) for name, node in nodes.items()}
    assert figures == {"start": (5, 0, 0, 5), "pause": (5, 1, 1, 3), "hello": (3, 0, 0, 3), "end": (3, 0, 0, 3)}


def test_entries_by_day_and_refusals_by_reason(cloud: Cloud) -> None:
    play(cloud)
    report = journey_report(cloud.shop, JOURNEY)
    assert report.days == {"2026-03-03": 1, "2026-03-02": 4}
    assert report.refused == {"repeat_limit": 1}


def test_versions_are_told_apart_and_add_up(cloud: Cloud) -> None:
    cloud.publish(BUY)
    cloud.log(log(member="ann"))
    pause(cloud.shop, JOURNEY)
    cloud.publish(definition([wait(), send("second")]))
    cloud.at(after(minutes=1))
    cloud.log(log(member="bob", at=after(minutes=1)))
    report = journey_report(cloud.shop, JOURNEY)
    assert {version: passages.trigger for version, passages in report.versions.items()} == {1: 1, 2: 1}
    assert report.trigger == 2
    assert [node.node_id for node in report.nodes] == ["start", "pause", "second", "end", "hello"]


def test_what_became_of_the_messages_of_a_node(cloud: Cloud) -> None:
    cloud.publish(definition([send(), wait()], exit_events=[{"event": "left"}]))
    cloud.log(*(log(member=f"m{number}") for number in range(4)))
    cloud.hop()
    cloud.log(log("left", member="m0", at=after(minutes=1)))
    cloud.hop()
    cloud.perform()
    (hello,) = [node for node in journey_report(cloud.shop, JOURNEY).nodes if node.node_id == "hello"]
    assert hello.effects is not None
    assert (hello.effects.sent, hello.effects.under_way, hello.effects.failed, hello.effects.dead) == (3, 0, 0, 0)
    assert hello.effects.skipped == {"the member left": 1}


def test_a_member_in_error_stands_in_error_where_it_went_wrong(cloud: Cloud) -> None:
    large = {"id": "large", "key": "update_member", "settings": {"attributes": {"x": "{{ event.data.text }}"}}}
    cloud.publish(definition([large]))
    cloud.log(log(text="x" * 100_000))
    cloud.hop()
    report = journey_report(cloud.shop, JOURNEY)
    (node,) = [node for node in report.nodes if node.node_id == "large"]
    assert (node.reached, node.failed, node.standing, node.passed) == (1, 1, 0, 0)
    assert (report.trigger, report.in_progress, report.exit, report.total.error) == (1, 0, 0, 1)


def test_counts_read_no_documents_of_members(memory_cloud: MemoryCloud) -> None:
    play(memory_cloud)
    memory_cloud.store.forget_counts()
    journey_report(memory_cloud.shop, JOURNEY)
    assert set(memory_cloud.store.reads) <= {"Journey", "JourneyVersion"}


def test_no_journey_has_no_report(cloud: Cloud) -> None:
    with pytest.raises(NotFound, match="'nowhere'"):
        journey_report(cloud.shop, "nowhere")


def test_product_metrics(cloud: Cloud) -> None:
    assert product_metrics(cloud.shop).bots == 0
    play(cloud)
    other = BUY.model_copy(update={"id": "other", "bot_id": "bot-2"})
    cloud.publish(other)
    cloud.publish(other.model_copy(update={"id": "another"}))
    pause(cloud.shop, "another")
    found = product_metrics(cloud.shop)
    assert (found.bots, found.journeys, found.active_journeys) == (2, 3, 2)
    assert (found.passages_triggered, found.passages_completed) == (5, 3)


def test_who_enters_twice_is_two_passages(cloud: Cloud) -> None:
    cloud.publish(definition([send()], repeat_journey_times=None))
    for number in range(2):
        cloud.log(log(id=f"e{number}"))
        cloud.hop()
    found = product_metrics(cloud.shop)
    assert (found.passages_triggered, found.passages_completed) == (2, 2)


def test_the_report_says_when_and_of_what(cloud: Cloud) -> None:
    cloud.publish(BUY)
    report = journey_report(cloud.shop, JOURNEY)
    assert (report.at, report.status, report.name) == (START, JourneyStatus.ONGOING, "A journey")
    assert (report.days, report.refused, report.trigger) == ({}, {}, 0)
