"""`sojourn journeys simulate`: what it prints, its exit codes, and that a file needs no cloud."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator.scenarios.shop import FOLDER
from sojourn.application.lifecycle import create_journey
from sojourn.application.members import MemberRecord, put_member
from sojourn.cli.main import main
from sojourn.runtime.application import InMemory, in_memory, install
from sojourn.runtime.definition_file import load_definition
from tests.builders import START

Simulate = Callable[..., tuple[int, str, str]]
ONBOARDING, CART = str(FOLDER / "onboarding.yaml"), str(FOLDER / "abandoned_cart.yaml")
ANN = '{"member_id": "ann", "attributes": {"first_name": "Ann"}, "timezone": "Europe/Berlin"}'
MONDAY = "2026-03-02T21:30"


@pytest.fixture
def simulate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Simulate:
    """Run the command where there is no cloud; exit code, standard output and standard error."""
    for variable in ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SOJOURN_STATE_DIR", str(tmp_path / "state"))

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["journeys", "simulate", *arguments])
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


@pytest.fixture
def cloud() -> Iterator[InMemory]:
    """A cloud with the shop's onboarding as a draft, and a member."""
    memory = in_memory(START)
    create_journey(memory.shop, load_definition(Path(ONBOARDING)))
    known = MemberRecord(bot_id="tea-shop", member_id="mei", attributes={"first_name": "Mei"}, timezone="Asia/Taipei")
    put_member(memory.shop, known)
    install(memory.shop)
    yield memory
    install(None)


def test_it_tells_where_a_member_goes_on_their_own_clock_and_what_is_sent(simulate: Simulate) -> None:
    code, out, err = simulate(ONBOARDING, "--member", ANN, "--at", MONDAY, "--event", 'order.completed@2h={"total": 42.5}')
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "Onboarding, version 1, with ann"
    assert lines[1] == "time in Europe/Berlin node outcome reason"
    assert "Mon 2026-03-02 23:30 order.completed: heard" in lines
    assert "first_order ordered journey.goal_reached (journey.goal_reached = true)" in lines
    assert (
        "Mon 2026-03-02 21:30 welcome message over mailbox done Welcome, Ann! "
        "Your first pot of tea is on us: show the code HELLO." in lines
    )
    assert lines[-1] == "ENDED after 1d, goal reached, revenue 42.50"


def test_an_event_that_nobody_listens_for_is_told(simulate: Simulate) -> None:
    _, out, _ = simulate(ONBOARDING, "--event", "ordr.completed@1h")
    assert "ordr.completed: nobody listens" in out


def test_a_member_who_does_not_enter_is_exit_code_1_with_the_reason(simulate: Simulate) -> None:
    code, out, _ = simulate(CART, "--event", 'cart.updated={"items": 0, "cart_id": "c-1"}')
    assert code == 1
    assert "does not enter: filter: event.data.items > 0 (event.data.items = 0)" in out


def test_events_and_more_come_from_a_file(simulate: Simulate, tmp_path: Path) -> None:
    events = tmp_path / "events.yaml"
    events.write_text("- {name: profile.completed, at: 2026-03-04T12:00:00, data: {favourite: oolong, since: 2026-01-01}}")
    _, out, _ = simulate(ONBOARDING, "--member", ANN, "--at", MONDAY, "--events", str(events))
    assert "You like oolong?" in out
    script = tmp_path / "script.json"
    script.write_text(
        json.dumps({"members": 20, "member": {"attributes": {}}, "results": {"welcome": {"outcome": "permanent"}}})
    )
    code, out, _ = simulate(ONBOARDING, "--events", str(script), "--until", "10d", "--timezone", "Asia/Tokyo")
    assert code == 0
    assert "Onboarding  20 entered: 20 ended" in out
    assert "gentle: 1" in out
    assert "failed" in out
    assert "time in Asia/Tokyo" in out


def test_json_is_what_the_api_answers(simulate: Simulate, cloud: InMemory) -> None:
    code, out, _ = simulate("onboarding", "--member", "mei", "--json")
    found = json.loads(out)
    assert (code, found["journey_id"], found["timezone"]) == (0, "onboarding", "Asia/Taipei")
    assert found["effects"][0]["payload"]["message"].startswith("Welcome, Mei!")
    assert not list(cloud.publisher.published)


def test_a_rehearsal_that_is_not_over_says_where_it_stopped(simulate: Simulate) -> None:
    code, out, _ = simulate(ONBOARDING, "--member", ANN, "--at", MONDAY, "--until", "2026-03-03T12:00")
    assert code == 0
    assert out.splitlines()[-2:] == [
        "WAITING at settle_in until Tue 2026-03-03 21:30",
        "the rehearsal stopped on Tue 2026-03-03 12:00",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere.yaml"], 2, "nowhere.yaml: cannot be read: No such file or directory"),
        (["onboarding"], 1, "no local cloud is running"),
        ([ONBOARDING, "--member", '{"attributes"'], 2, "--member: not JSON"),
        ([ONBOARDING, "--member", "none.json"], 2, "none.json: cannot be read"),
        ([ONBOARDING, "--member", '{"tier": "gold"}'], 2, "member.tier: Extra inputs are not permitted, not 'gold'"),
        ([ONBOARDING, "--event", "x@soon"], 2, "events.0.after: 'soon' is no duration"),
        ([ONBOARDING, "--event", "x@2026-02-30"], 2, "events.0.at: a moment is written 2026-03-02T21:30"),
        ([ONBOARDING, "--event", "x={1}"], 2, "--event x: not JSON"),
        ([ONBOARDING, "--event", "=1"], 2, "event.name: String should have at least 1 character"),
        ([ONBOARDING, "--event", "a", "--event", "b"], 2, "--event: a and b cannot both start; write NAME@WHEN"),
        ([ONBOARDING, "--event", "a"], 2, "event.name: no trigger 'a'; there are joined (member.joined)"),
        ([ONBOARDING, "--timezone", "Mars"], 2, "member.timezone: 'Mars' is no IANA time zone"),
        ([ONBOARDING, "--at", "tomorrow"], 2, "at: a moment is written"),
        ([], 2, "Missing argument 'FILE|JOURNEY'"),
    ],
)
def test_wrong_use_is_a_sentence_and_an_exit_code(simulate: Simulate, arguments: list[str], code: int, sentence: str) -> None:
    found, _, err = simulate(*arguments)
    assert (found, sentence in err) == (code, True), err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nothing"], 1, "no journey 'nothing'"),
        (["onboarding", "--member", "bob"], 1, "no member 'bob' of bot 'tea-shop'"),
        (["onboarding", "--member", "mei", "--timezone", "Asia/Tokyo"], 2, "member 'mei' is a real one"),
    ],
)
def test_wrong_use_of_a_cloud_is_a_sentence_and_an_exit_code(
    simulate: Simulate, cloud: InMemory, arguments: list[str], code: int, sentence: str
) -> None:
    found, _, err = simulate(*arguments)
    assert (found, sentence in err) == (code, True), err


def test_faults_of_a_file_are_named_with_file_and_line(simulate: Simulate, tmp_path: Path) -> None:
    events = tmp_path / "events.yaml"
    events.write_text("- name: x\n  name: y\n")
    code, _, err = simulate(ONBOARDING, "--events", str(events))
    assert (code, err.replace("\n", " ").startswith(f"{events}: line 2: 0.name: 'name' is here twice")) == (2, True), err
    events.write_text("just words")
    assert simulate(ONBOARDING, "--events", str(events))[2] == f"{events}: neither a list of events nor a script\n"
