"""`sojourn doctor` and `sojourn drain`: what they print, as text and as JSON, and their exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import RUNS_TOPIC, SWEEPS_TOPIC, RunMessage, SweepMessage
from sojourn.application.ports import DeadLetter
from sojourn.application.records import Update
from sojourn.application.run_journeys import run_journeys
from sojourn.application.sweep import sweep
from sojourn.domain.audit import AuditEntry
from sojourn.domain.progress import STUCK_AFTER, Progress
from sojourn.runtime.application import InMemory, in_memory, install
from tests.builders import BOT, JOURNEY, START, definition, log, wait
from tests.emulator.conftest import Command


@pytest.fixture
def memory() -> Iterator[InMemory]:
    """A cloud in memory with one member who waits; the commands look into it."""
    cloud = in_memory(START)
    publish_journey(cloud.shop, definition([wait()]))
    ingest(cloud.shop, [log()])
    run_journeys(cloud.shop, [RunMessage.model_validate_json(data) for data in cloud.publisher.take(RUNS_TOPIC)])
    install(cloud.shop)
    yield cloud
    install(None)


def change(memory: InMemory, **changes: Any) -> None:
    """The member's document as somebody made it."""
    (progress,) = memory.store.scan(Progress)
    (stored,) = memory.store.get_many(Progress, [progress.id])
    assert stored is not None
    memory.store.commit_many([(Update(replace(progress, **changes), stored.version),)])


def test_where_all_is_well_it_says_what_it_looked_at(sojourn: Command) -> None:
    said = sojourn("doctor")
    assert (said.code, said.out.strip(), said.err.strip()) == (
        0,
        "journeys 1, passages 1, effects on their way 0: all is well",
        "",
    )


def test_a_member_without_a_future_is_shown_and_with_repair_set_right(memory: InMemory, sojourn: Command) -> None:
    change(memory, sweep_at=None)
    said = sojourn("doctor", "--journey", JOURNEY)
    assert said.code == 1 and "no_future" in said.out and "ann" in said.out and "1 found, 0 repaired" in said.out
    assert "nothing will ever look at it again" in said.out
    said = sojourn("doctor", "--repair")
    assert said.code == 0 and "1 found, 1 repaired" in said.out
    assert [entry.action for entry in memory.store.scan(AuditEntry)][-1] == "doctor.no_future"
    assert sojourn("doctor").code == 0


def test_what_a_machine_may_not_repair_comes_with_what_to_do(memory: InMemory, sojourn: Command) -> None:
    change(memory, sweep_count=STUCK_AFTER)
    said = sojourn("doctor", "--repair", "--bot", BOT)
    assert said.code == 1 and "look at the dead letters" in said.out


def test_a_journey_that_is_not_there_is_not_found(sojourn: Command) -> None:
    said = sojourn("doctor", "--journey", "nothing")
    assert said.code == 1 and "no journey 'nothing'" in said.err


def test_as_json_everything_is_there(memory: InMemory, sojourn: Command) -> None:
    change(memory, sweep_at=None)
    said = sojourn("doctor", "--json")
    assert said.code == 1
    assert said.json["looked"] == {"journeys": 1, "progress": 1}
    assert (said.json["found"], said.json["repaired"]) == ({"no_future": 1}, {})
    (finding,) = said.json["findings"]
    assert (finding["ailment"], finding["member_id"], finding["repaired"]) == ("no_future", "ann", False)


def test_the_daily_check_can_be_watched(memory: InMemory, sojourn: Command) -> None:
    said = sojourn("doctor", "--daily")
    assert said.code == 1 and "03:00 UTC" in said.err
    change(memory, sweep_at=None)
    memory.clock.set(START.replace(hour=3) + timedelta(days=1))
    sweep(memory.shop, [SweepMessage()])
    assert "under way, in journeys" in sojourn("doctor", "--daily").out
    while messages := [SweepMessage.model_validate_json(data) for data in memory.publisher.take(SWEEPS_TOPIC)]:
        sweep(memory.shop, messages)
    said = sojourn("doctor", "--daily")
    assert said.code == 0 and "no_future" in said.out and "repaired" in said.out
    assert (
        "begun at 2026-03-03 03:00:00 UTC, over at 2026-03-03 03:00:00: journeys 1, passages 1, effects on their way 0; 1 found"
        in said.out
    )
    assert sojourn("doctor", "--daily", "--json").json["found"] == {"no_future": 1}


def test_dead_letters_are_drained_at_once(memory: InMemory, sojourn: Command) -> None:
    assert sojourn("drain").out.strip() == "0 letters"
    for number in range(3):
        memory.dead_letters.put(DeadLetter(f"{number}", SWEEPS_TOPIC, "sweep", 5, START, b"{}"))
    assert sojourn("drain").out.strip() == "3 letters: dropped 3"
    assert sojourn("drain", "--json").json == {}
