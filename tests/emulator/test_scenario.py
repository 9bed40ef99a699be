"""The tea shop: the same for the same seed, with every kind of line that a log can hold."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from emulator.functions_table import REPOSITORY
from emulator.log_router.entry import LogSource, log_entry
from emulator.log_router.filter import compile_filter
from emulator.scenarios.oracle import demands
from emulator.scenarios.shop import BOTS, FILES, FOLDER, LogLine, Scenario, shop, write_log
from emulator.scenarios.shop_lines import Happening, Wrong, count_lines, read_line
from sojourn.domain.errors import EventRejected
from sojourn.domain.event import Event, read_log_entry
from sojourn.runtime.definition_file import load_definition

COMPETING = {"member.joined", "profile.completed", "order.completed", "account.closed"}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return shop()


@pytest.mark.parametrize("name", FILES)
def test_the_definitions_load_as_they_are(name: str) -> None:
    definition = load_definition(FOLDER / name)
    assert definition.nodes[0].key == "event"


def test_every_bot_has_both_journeys_in_its_own_zone(scenario: Scenario) -> None:
    found = {(definition.bot_id, definition.id, definition.settings.timezone) for definition in scenario.definitions}
    assert found == {(bot.id, f"{name}-{bot.id}", bot.timezone) for bot in BOTS for name in ("onboarding", "abandoned-cart")}


def test_the_same_seed_gives_the_same_shop() -> None:
    assert shop(3, members_per_bot=5) == shop(3, members_per_bot=5)
    assert shop(3, members_per_bot=5).lines != shop(4, members_per_bot=5).lines


def test_a_change_of_clocks_lies_within_the_fortnight(scenario: Scenario) -> None:
    zones = [ZoneInfo(bot.timezone) for bot in BOTS]
    offsets = [{moment.astimezone(zone).utcoffset() for moment in (scenario.start, scenario.end)} for zone in zones]
    assert [len(found) for found in offsets] == [1, 1, 2]


def test_most_of_some_thousand_lines_are_none_of_ours(scenario: Scenario) -> None:
    counts = count_lines(scenario.lines)
    assert 3_000 <= counts.seen <= 5_000
    assert counts.ours < counts.seen / 2
    assert min(counts.wrong, counts.repeated, counts.late, counts.out_of_order) >= 20


def test_the_lines_come_in_order_of_arrival_within_the_fortnight(scenario: Scenario) -> None:
    arrivals = [line.arrives_at for line in scenario.lines]
    assert arrivals == sorted(arrivals)
    assert scenario.start < arrivals[0] and arrivals[-1] <= scenario.end


def test_every_way_of_being_wrong_is_in_the_log(scenario: Scenario) -> None:
    reasons = set(demands(scenario).rejected.values())
    assert reasons == {"malformed", "unknown_version", "too_deep", "loop", "future", "oversized"}


def test_every_way_of_being_none_of_ours_is_in_the_log(scenario: Scenario) -> None:
    kinds = {_kind(line.raw) for line in scenario.lines if read_line(line) is None}
    assert kinds >= {"text", "bytes", "list", "int", "NoneType", "dict", "dict with metadata", "too long"}


def _kind(raw: bytes) -> str:
    if len(raw) > 256 * 1024:
        return "too long"
    try:
        value = json.loads(raw)
    except UnicodeDecodeError:
        return "bytes"
    except ValueError:
        return "text"
    return "dict with metadata" if isinstance(value, dict) and "metadata" in value else type(value).__name__


def test_engine_and_oracle_read_every_line_alike(scenario: Scenario) -> None:
    sink = compile_filter((REPOSITORY / "infra" / "journey_sink.filter").read_text())
    for number, line in enumerate(scenario.lines):
        now = scenario.step_of(line.arrives_at)
        entry = log_entry(line.raw, LogSource("tea-shop", line.service), received_at=now, sequence=number)
        data = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode()
        assert _told(read_line(line)) == (_read(data, now=now) if sink.matches(entry) else None), line.raw[:300]


def _told(reading: Happening | Wrong | None) -> object:
    if isinstance(reading, Happening):
        return reading.name, reading.bot_id, reading.member_id, reading.at
    return reading and reading.reason


def _read(data: bytes, *, now: datetime) -> object:
    try:
        event: Event | None = read_log_entry(data, now=now)
    except EventRejected as error:
        return error.reason
    return event and (event.name, event.bot_id, event.member_id, event.occurred_at)


@pytest.mark.parametrize("seed", range(5))
def test_events_of_a_member_that_compete_never_arrive_in_the_same_step(seed: int) -> None:
    scenario = shop(seed, members_per_bot=15)
    together: defaultdict[tuple[str, str, datetime], set[tuple[str, datetime]]] = defaultdict(set)
    for line in scenario.lines:
        reading = read_line(line)
        if isinstance(reading, Happening) and reading.name in COMPETING:
            slot = (reading.bot_id, reading.member_id, scenario.step_of(line.arrives_at))
            together[slot].add((reading.name, reading.at))
    assert together
    assert all(len(events) == 1 for events in together.values())


def test_a_step_ends_at_its_last_moment(scenario: Scenario) -> None:
    first = scenario.start + scenario.step
    assert scenario.step_of(first) == first
    assert scenario.step_of(scenario.start + scenario.step / 2) == first


def test_the_written_log_has_every_line(tmp_path: Path) -> None:
    scenario = shop(1, members_per_bot=2)
    write_log(scenario, tmp_path / "shop.log")
    assert (tmp_path / "shop.log").read_bytes().split(b"\n") == [*(line.raw for line in scenario.lines), b""]


def test_a_line_is_never_two(scenario: Scenario) -> None:
    assert not [line for line in scenario.lines if b"\n" in line.raw or not line.raw.strip()]
    assert all(isinstance(line, LogLine) for line in scenario.lines)
