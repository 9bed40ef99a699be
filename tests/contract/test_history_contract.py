"""Reports and timelines are the same on every store: what a fortnight of the shop left in memory, copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import pytest

from emulator.demo import InProcessDemo, play
from emulator.scenarios.shop import shop
from sojourn.application.catalog import Catalog
from sojourn.application.history import list_passages, timeline
from sojourn.application.ports import Store
from sojourn.application.records import Record
from sojourn.application.report import journey_report, product_metrics
from sojourn.application.workshop import Workshop
from sojourn.domain.journey import JourneyStatus
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress, Status
from tests.contract.records import put


@pytest.fixture(scope="module")
def fortnight() -> Iterator[Workshop]:
    """A cloud in memory after a shop's fortnight."""
    scenario = shop(3, members_per_bot=4)
    with InProcessDemo(scenario.start) as cloud:
        for _ in play(cloud, scenario):
            pass
        yield cloud.shop


@pytest.fixture
def copy(fortnight: Workshop, store: Store) -> Workshop:
    """The same documents in another store."""
    for kind in get_args(Record):
        if records := list(fortnight.store.scan(kind)):
            put(store, *records)
    return replace(fortnight, store=store, catalog=Catalog(store, fortnight.clock))


def test_reports_and_metrics_are_the_same(fortnight: Workshop, copy: Workshop) -> None:
    heads = fortnight.store.journeys(tuple(JourneyStatus))
    reports = [journey_report(fortnight, head.id) for head in heads]
    assert [journey_report(copy, head.id) for head in heads] == reports
    assert product_metrics(copy) == product_metrics(fortnight)
    assert sum(report.trigger for report in reports) == len(list(fortnight.store.scan(Progress))) > 10
    assert all(report.total.goals > 0 for report in reports[:1])


def test_timelines_and_lists_are_the_same(fortnight: Workshop, copy: Workshop) -> None:
    for member in fortnight.store.scan(Member):
        told, copied = (timeline(one, member.bot_id, member.member_id) for one in (fortnight, copy))
        assert sorted(copied.lines, key=repr) == sorted(told.lines, key=repr)
        assert {passage.id for passage in copied.passages} == {passage.id for passage in told.passages}
    (head, *_) = fortnight.store.journeys(tuple(JourneyStatus))
    for status in Status:
        assert list_passages(copy, head.id, status=status) == list_passages(fortnight, head.id, status=status)
