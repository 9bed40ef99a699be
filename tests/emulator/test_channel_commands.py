"""`sojourn channels list | reset`: what they print, and their exit codes; and what a journey that paused itself shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from sojourn.application.lifecycle import pause, publish_journey
from sojourn.cli.main import main
from sojourn.domain.breaker import BreakerPolicy, opened
from sojourn.runtime.application import InMemory, in_memory, install
from tests.builders import JOURNEY, START, definition, wait
from tests.contract.records import put

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def memory() -> Iterator[InMemory]:
    cloud = in_memory(START)
    install(cloud.shop)
    yield cloud
    install(None)


@pytest.fixture
def sojourn(memory: InMemory, capsys: pytest.CaptureFixture[str]) -> Command:
    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([*arguments])
        return (int(exited.value.code or 0), *capsys.readouterr())

    return command


def at_rest(memory: InMemory) -> None:
    put(
        memory.store, replace(opened(None, "mailbox", BreakerPolicy(), "10 of 12 calls failed within 1m", now=START), token="t")
    )


def test_the_list_says_which_rest_and_why(memory: InMemory, sojourn: Command) -> None:
    at_rest(memory)
    code, out, _ = sojourn("channels", "list")
    assert code == 0
    heading, first, second = out.splitlines()
    assert heading.split()[:2] == ["channel", "state"]
    assert first.split()[:4] == ["mailbox", "OPEN", "2026-03-02", "09:00:30"] and "10 of 12 calls failed" in first
    assert second.split() == ["webhook", "CLOSED"]
    listed = json.loads(sojourn("channels", "list", "--json")[1])
    assert [(one["channel"], one["state"], one["until"]) for one in listed] == [
        ("mailbox", "OPEN", "2026-03-02T09:00:30Z"),
        ("webhook", "CLOSED", None),
    ]


def test_a_reset_is_done_at_once_and_an_unknown_channel_is_refused(memory: InMemory, sojourn: Command) -> None:
    at_rest(memory)
    assert sojourn("channels", "reset", "mailbox")[:2] == (0, "channel mailbox is CLOSED\n")
    assert json.loads(sojourn("channels", "reset", "mailbox", "--json")[1])["reason"] == "reset"
    code, _, err = sojourn("channels", "reset", "pigeon")
    assert code == 1 and "no channel 'pigeon'" in err


def test_a_journey_that_paused_itself_shows_why(memory: InMemory, sojourn: Command) -> None:
    publish_journey(memory.shop, definition([wait()]))
    pause(memory.shop, JOURNEY, reason="2 of 8 members failed")
    assert "2 of 8 members failed" in sojourn("journeys", "show", JOURNEY)[1]
    assert json.loads(sojourn("journeys", "show", JOURNEY, "--json")[1])["pause_reason"] == "2 of 8 members failed"
    assert "paused because 2 of 8 members failed" in " ".join(sojourn("journeys", "report", JOURNEY)[1].split())
