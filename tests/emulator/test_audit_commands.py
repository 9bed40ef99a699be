"""The audit on the command line: no command that changes something can be added without its entry, and entries can be read."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest
import typer
from pydantic import JsonValue

from sojourn.application.ingest import reject
from sojourn.application.lifecycle import create_journey, pause, publish
from sojourn.application.messages import RUNS_TOPIC, RunMessage
from sojourn.application.operations import enroll_member
from sojourn.application.run_journeys import run_journeys
from sojourn.cli.main import app, main
from sojourn.cli.stores import PRINCIPAL, principal
from sojourn.domain.audit import AuditEntry
from sojourn.domain.breaker import Breaker, BreakerState, breaker_id
from sojourn.domain.effect import EffectStatus
from sojourn.domain.journey import RejectedEvent
from sojourn.domain.loading import parse_definition
from sojourn.domain.progress import Status
from sojourn.runtime.application import InMemory, in_memory, install
from tests.api.conftest import WELCOME
from tests.builders import BOT, START, after, log
from tests.contract.records import a_progress, an_effect, put

Command: TypeAlias = Callable[[str], tuple[int, str, str]]
"""A line to an exit code and what was said."""

DEAD = replace(an_effect(), status=EffectStatus.DEAD, reason="no answer")
STUCK = replace(a_progress("stuck"), status=Status.ERROR, end_reason="too large")
RESTING = Breaker(breaker_id("mailbox"), "mailbox", BreakerState.OPEN, START, "9 of 10 calls failed", START, after(days=1))
AT_NINE: list[JsonValue] = [
    {"id": "start", "key": "schedule", "settings": {"cron": "0 9 * * *"}, "next": "end"},
    {"id": "end", "key": "exit"},
]
LOST = an_effect("lost")
"""Nothing would ever look at it again."""

CHANGES: dict[str, tuple[str, int]] = {
    "journeys publish": ("FILE", 2),
    "journeys apply": ("FILE", 1),
    "journeys pause": ("ongoing", 1),
    "journeys resume": ("paused", 1),
    "journeys end": ("ongoing", 1),
    "journeys delete": ("draft", 1),
    "journeys reconcile": ("", 1),
    "members put": (f"{BOT} bob", 1),
    "members import": ("MEMBERS", 2),
    "progress enroll": ("ongoing bob", 1),
    "progress cancel": ("ongoing ann", 1),
    "progress advance": ("ongoing ann", 1),
    "progress retry": (STUCK.id, 1),
    "progress abandon": (STUCK.id, 1),
    "progress retry-all": ("", 1),
    "progress abandon-all": ("", 1),
    "effects retry": (DEAD.id, 1),
    "effects abandon": (DEAD.id, 1),
    "effects retry-all": ("", 1),
    "effects abandon-all": ("", 1),
    "rejected replay": ("REJECTED", 2),
    "rejected abandon": ("REJECTED", 1),
    "rejected replay-all": ("", 2),
    "rejected abandon-all": ("", 1),
    "channels reset": ("mailbox", 1),
    "doctor": ("--repair", 2),
}
"""How each command that changes something is called, and how many entries that makes."""
READS = {
    *("demo", "up", "down", "status", "schema", "logs route", "drain"),
    *("journeys validate", "journeys report", "journeys show", "journeys simulate"),
    *("members show", "progress show", "progress list", "progress record", "effects show", "effects list"),
    *("rejected show", "rejected list"),
    *("channels list", "audit list"),
}
"""Commands that change nothing, or only do what log lines and the minute tick do all the time."""


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[InMemory]:
    """Journeys in every status, a member who waits, and something of everything that can go wrong."""
    cloud = in_memory(START)
    install(cloud.shop)
    names = ("draft", "ongoing", "paused")
    for definition in (*({**WELCOME, "id": name} for name in names), {**WELCOME, "id": "scheduled", "nodes": AT_NINE}):
        create_journey(cloud.shop, parse_definition(definition))
    for name in ("ongoing", "paused", "scheduled"):
        publish(cloud.shop, name)
    for job in cloud.jobs.jobs(""):
        cloud.jobs.delete(job.name)
    pause(cloud.shop, "paused")
    enroll_member(cloud.shop, "ongoing", "ann", data={})
    run_journeys(cloud.shop, [RunMessage.model_validate_json(data) for data in cloud.publisher.take(RUNS_TOPIC)])
    put(cloud.store, DEAD, STUCK, RESTING, LOST)
    reject(cloud.shop, log(), "malformed", "a bug that is mended by now")
    (tmp_path / "FILE.json").write_text(json.dumps({**WELCOME, "id": "new"}))
    (tmp_path / "MEMBERS.jsonl").write_text(json.dumps({"bot_id": BOT, "member_id": "bob"}))
    yield cloud
    install(None)


@pytest.fixture
def sojourn(memory: InMemory, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    (rejected,) = memory.store.scan(RejectedEvent)
    names = {
        "REJECTED": rejected.id,
        "FILE": str(tmp_path / "FILE.json"),
        "MEMBERS": str(tmp_path / "MEMBERS.jsonl"),
    }

    def command(line: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([names.get(word, word) for word in line.split()])
        return (int(exited.value.code or 0), *capsys.readouterr())

    return command


def commands(of: object, path: str = "") -> Iterator[str]:
    """Every command by its words."""
    inner: Mapping[str, object] = getattr(of, "commands", {})
    for name, one in inner.items():
        yield from commands(one, f"{path} {name}")
    if not inner:
        yield path.strip()


def test_every_command_is_known_here() -> None:
    found = set(commands(typer.main.get_command(app)))
    assert found == CHANGES.keys() | READS, "say in CHANGES how it is called, or in READS that it changes nothing"


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_on_the_command_line_is_recorded_with_who_made_it(
    sojourn: Command, memory: InMemory, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PRINCIPAL, "olga@example.com")
    arguments, count = CHANGES[name]
    code, _, err = sojourn(f"{name} {arguments}")
    assert code == 0, err
    found = [entry for entry in memory.store.scan(AuditEntry) if entry.principal == "cli:olga@example.com"]
    assert len(found) == count, [entry.action for entry in found]


def test_without_a_name_the_user_of_the_machine_is_told_and_what_proves_nothing_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(PRINCIPAL, raising=False)
    monkeypatch.setattr(getpass, "getuser", lambda: "olga")
    assert principal().startswith("cli:olga@")


def test_a_machine_without_a_name_for_its_user_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.delenv(PRINCIPAL, raising=False)
    monkeypatch.setattr(getpass, "getuser", nobody)
    assert principal().partition("@")[0].removeprefix("cli:").isdecimal()


def test_a_list_shows_who_changed_what_and_how(sojourn: Command, memory: InMemory) -> None:
    memory.clock.set(after(minutes=1))
    sojourn("journeys pause ongoing")
    sojourn("progress cancel ongoing ann --because moot")
    code, out, _ = sojourn("audit list --subject journeys/ongoing")
    assert code == 0
    for word in ("cli:", "journey.pause", "status ONGOING → PAUSED", "journey.create", "engine"):
        assert word in out
    (entry,) = json.loads(sojourn("audit list --subject journeys/ongoing/members/ann --limit 1 --json")[1])
    assert (entry["action"], json.loads(entry["after"])["end_reason"]) == ("member.cancel", "canceled by an operator: moot")


def test_a_list_comes_in_pages(sojourn: Command, memory: InMemory) -> None:
    found: list[str] = []
    after = ""
    while page := json.loads(sojourn(f"audit list --limit 3 --json {after}")[1]):
        found += [entry["id"] for entry in page]
        after = f"--after {found[-1]}"
    assert sorted(found) == sorted(entry.id for entry in memory.store.scan(AuditEntry))
    assert "there may be more: --after" in sojourn("audit list --limit 3")[1]


def test_an_unknown_place_is_a_sentence(sojourn: Command) -> None:
    code, out, err = sojourn("audit list --after nothing")
    assert (code, out, err) == (1, "", "no audit entry 'nothing'\n")
