"""What every `Clock` promises; and what the one that reads a file says of a file that is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from emulator.clock_file import write_clock
from sojourn.adapters.memory import ManualClock
from sojourn.adapters.system import FileClock, SystemClock
from sojourn.application.ports import Clock
from sojourn.domain.errors import SettingsInvalid
from tests.contract.records import NOON, minutes


@pytest.fixture(params=["manual", "system", "file"])
def clock(request: pytest.FixtureRequest, tmp_path: Path) -> Clock:
    (tmp_path / "now").write_text("2026-11-20T20:00:00+08:00")
    clocks: dict[str, Clock] = {"manual": ManualClock(NOON), "system": SystemClock(), "file": FileClock(tmp_path / "now")}
    return clocks[request.param]


def test_a_moment_is_aware_and_utc(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC


def test_time_does_not_go_back(clock: Clock) -> None:
    assert clock.now() <= clock.now()


def test_the_machine_s_clock_is_used() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_whoever_replaces_the_file_moves_the_time(tmp_path: Path) -> None:
    path = tmp_path / "now"
    path.write_text("2026-11-20T12:00:00Z\n")
    clock = FileClock(path)
    assert clock.now() == NOON
    write_clock(path, minutes(5))
    assert clock.now() == minutes(5)


@pytest.mark.parametrize(
    ("text", "problem"), [("", "not a moment"), ("soon", "not a moment"), ("2026-11-20T12:00:00", "no time zone")]
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "now").write_text(text)
    with pytest.raises(SettingsInvalid, match=f"clock file .*now: .*{problem}"):
        FileClock(tmp_path / "now").now()


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "now").write_bytes(b"\xff")
    with pytest.raises(SettingsInvalid, match="not a moment"):
        FileClock(tmp_path / "now").now()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"clock file .*nowhere: No such file"):
        FileClock(tmp_path / "nowhere").now()
