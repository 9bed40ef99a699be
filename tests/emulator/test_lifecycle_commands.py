"""`sojourn journeys apply | pause | resume | end | delete | show`: what they print, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sojourn.application.ingest import ingest
from sojourn.application.messages import RUNS_TOPIC, RunMessage
from sojourn.application.run_journeys import run_journeys
from sojourn.cli.main import main
from sojourn.runtime.application import InMemory, in_memory, install
from tests.builders import JOURNEY, START, log

FILE = """
id: journey-1
bot_id: bot-1
name: A journey
nodes:
  - {id: start, key: event, settings: {name: joined}, next: WAIT}
  - {id: WAIT, key: wait, settings: {duration: 1d}, next: end}
  - {id: end, key: exit}
"""


@pytest.fixture
def memory() -> Iterator[InMemory]:
    cloud = in_memory(START)
    install(cloud.shop)
    yield cloud
    install(None)


@pytest.fixture
def sojourn(memory: InMemory, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main(["journeys", *arguments])
        return (int(exited.value.code or 0), *capsys.readouterr())

    return command


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    def written(wait: str) -> str:
        path = tmp_path / f"{wait}.yaml"
        path.write_text(FILE.replace("WAIT", wait))
        return str(path)

    return written


def test_a_journey_lives_on_the_command_line(sojourn: Callable[..., tuple[int, str, str]], file: Callable[[str], str]) -> None:
    statuses = []
    for arguments in (
        ["apply", file("pause")],
        ["apply", file("pause"), "--publish"],
        ["pause", JOURNEY],
        ["resume", JOURNEY, "--extend-waits"],
        ["end", JOURNEY, "--reason", "enough"],
        ["show", JOURNEY],
    ):
        code, out, err = sojourn(*arguments, "--json")
        assert (code, err) == (0, "")
        statuses.append(json.loads(out)["status"])
    assert statuses == ["DRAFT", "ONGOING", "PAUSED", "ONGOING", "ENDED", "ENDED"]


def test_a_dry_run_says_what_would_become_of_whom(
    sojourn: Callable[..., tuple[int, str, str]], file: Callable[[str], str], memory: InMemory
) -> None:
    sojourn("apply", file("old"), "--publish")
    ingest(memory.shop, [log()])
    run_journeys(memory.shop, [RunMessage.model_validate_json(data) for data in memory.publisher.take(RUNS_TOPIC)])
    sojourn("pause", JOURNEY)
    code, out, _ = sojourn("apply", file("new"), "--mode", "migrate", "--dry-run", "--json")
    assert code == 0
    assert json.loads(out) == [
        {"version": 1, "node_id": "old", "members": 1, "fate": "have no node: map it, or let them leave"}
    ]
    code, _, err = sojourn("apply", file("new"), "--publish", "--mode", "migrate")
    assert (code, "1 at 'old' of version 1" in err) == (1, True)
    code, out, _ = sojourn("apply", file("new"), "--publish", "--mode", "migrate", "--node", "old=new", "--json")
    assert (code, json.loads(out)["version"]) == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["pause", "nowhere"], 1, "no journey 'nowhere'"),
        (["resume", JOURNEY], 1, "is DRAFT: resume is not allowed; allowed: edit, publish, delete"),
        (["apply", "FILE", "--node", "a"], 2, "--node a: write OLD=NEW"),
        (["apply", "nothing.yaml"], 2, "nothing.yaml"),
    ],
)
def test_wrong_use_is_a_sentence_and_an_exit_code(
    sojourn: Callable[..., tuple[int, str, str]], file: Callable[[str], str], arguments: list[str], code: int, sentence: str
) -> None:
    sojourn("apply", file("pause"))
    found, _, err = sojourn(*(file("pause") if argument == "FILE" else argument for argument in arguments))
    assert (found, sentence in err) == (code, True), err
    assert "Traceback" not in err


def test_a_draft_is_deleted(sojourn: Callable[..., tuple[int, str, str]], file: Callable[[str], str]) -> None:
    sojourn("apply", file("pause"))
    assert sojourn("delete", JOURNEY)[:2] == (0, f"{JOURNEY} is deleted\n")
    assert sojourn("show", JOURNEY)[0] == 1
