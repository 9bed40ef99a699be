"""What is said about capacity is what the script prints, and what the script says of a wave is what the use cases do."""

from __future__ import annotations

from dataclasses import astuple, replace

import pytest

from emulator.functions_table import REPOSITORY
from infra.capacity import drain_minutes, ramp_minutes, read, shards, tables
from infra.wave import WAVES, Wave, predict, schedule, simulate

INPUTS, PRICES = read()
ASSUMED = INPUTS.assumed
SMALLER = 10
PAGE_OF_A_TICK = 500


def test_the_tables_are_what_the_script_prints() -> None:
    text = (REPOSITORY / "infra" / "capacity.md").read_text()
    assert [table for table in tables(INPUTS, PRICES) if table not in text] == [], "make capacity, and put its tables in"


def test_every_wave_was_simulated() -> None:
    assert set(INPUTS.waves) == {wave.name for wave in WAVES}


def test_five_thousand_writes_a_second_take_half_an_hour_from_cold() -> None:
    assert ramp_minutes(5_000, ASSUMED) == 30
    assert ramp_minutes(500, ASSUMED) == ramp_minutes(100, ASSUMED) == 0


@pytest.mark.parametrize(("members", "rate", "minutes"), [(30_000, 500, 1), (150_000 + 225_000, 5_000, 10), (300_000, 100, 50)])
def test_a_wave_drains_as_fast_as_the_ramp_allows_and_no_faster_than_the_rate(members: int, rate: int, minutes: float) -> None:
    assert drain_minutes(members, rate, ASSUMED) == pytest.approx(minutes)


@pytest.mark.parametrize(("writes", "parts"), [(10, 8), (4_500, 9), (8_000, 16), (8_001, 32), (20_000, 48)])
def test_shards_come_in_whole_groups_once_a_sweep_fans_out(writes: float, parts: int) -> None:
    assert shards(writes, ASSUMED) == parts


def test_who_does_not_move_is_published_ever_more_seldom() -> None:
    assert schedule(200) == [0, 1, 2, 3, 5, 9, 17, 33, 65, 125, 185]


@pytest.mark.slow
@pytest.mark.parametrize("wave", WAVES[:-1], ids=lambda wave: wave.name)
def test_a_wave_runs_as_the_model_says(wave: Wave) -> None:
    """Nobody is published more often than that, so a backlog grows by a known factor and then ends."""
    smaller = replace(wave, members=wave.members // SMALLER, per_minute=wave.per_minute // SMALLER)
    said, done = predict(smaller), simulate(smaller)
    assert astuple(done) == pytest.approx(astuple(said), rel=0.05 if wave.shuffled else 0.001)


@pytest.mark.slow
def test_a_sweep_that_is_cut_off_publishes_nobody_twice() -> None:
    wave = replace(WAVES[-1], members=4_000, per_minute=2_000, sweep_per_minute=2_000)
    said, done = predict(wave), simulate(wave)
    assert (done.most, done.messages) == (said.most, said.messages)
    assert done.drained <= said.drained * (1 + PAGE_OF_A_TICK / 2_000) + 1
