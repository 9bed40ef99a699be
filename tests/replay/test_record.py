"""`sojourn progress record`: a member of a store becomes a golden history that says nothing of who it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import JsonValue

from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import RUNS_TOPIC, RunMessage
from sojourn.application.records import Create
from sojourn.application.run_journeys import run_journeys
from sojourn.cli.main import main
from sojourn.domain.member import Member
from sojourn.runtime.application import InMemory, in_memory, install
from sojourn.runtime.golden import Golden, read_golden
from sojourn.runtime.pseudonym import Pseudonyms
from sojourn.runtime.replay import answered, states
from tests.builders import BOT, START, after, log
from tests.replay.journeys import CART_SETTINGS, END, LISTENING, event, send, start
from tests.replay.script import Node, parsed

ANN, ADDRESS, ORDER = "ann.lee@example.com", "U7f3c9-line", "order-of-ann-55"
TEXT = "Welcome back, dear {{ member.attributes.first_name }}"
SECRETS = (ANN, "Annabelle", ADDRESS, ORDER, "886912345678", "1985-04-12", "Welcome back", "hook-key", "Roosevelt Road", BOT)
NODES: tuple[Node, ...] = (
    start("cart"),
    LISTENING,
    send("remind", "tell", TEXT),
    {"id": "tell", "key": "webhook", "settings": {"url": "https://crm.example.com/in?key=hook-key"}, "next": "cart"},
    send("thanks", "end", {"text": TEXT, "order": "{{ context.cart.data.order }}"}),
    END,
)

Record = Callable[..., tuple[int, str, str]]


@pytest.fixture
def memory() -> Iterator[InMemory]:
    """Ann, who waits with a full cart; somebody else, who has left."""
    cloud = in_memory(START)
    install(cloud.shop)
    attributes: dict[str, JsonValue] = {"first_name": "Annabelle", "phone": 886912345678, "born": "1985-04-12", "plan": "gold"}
    ann = Member(BOT, ANN, attributes, "Asia/Taipei", "zh-TW", {"line": ADDRESS}, 1, "t", START)
    cloud.store.commit_many([(Create(ann),)])
    publish_journey(cloud.shop, parsed(NODES, CART_SETTINGS))
    cloud.clock.set(after(minutes=1))
    ingest(cloud.shop, [log(member=ANN, total=42, order=ORDER, address={"street": "Roosevelt Road"}, born="1985-04-12")])
    settle(cloud)
    cloud.clock.set(after(hours=1))
    ingest(cloud.shop, [log("cart.updated", at=after(hours=1), member=ANN, items=2, order=ORDER)])
    settle(cloud)
    yield cloud
    install(None)


def settle(cloud: InMemory) -> None:
    while waiting := cloud.publisher.take(RUNS_TOPIC):
        run_journeys(cloud.shop, [RunMessage.model_validate_json(data) for data in waiting])


@pytest.fixture
def record(memory: InMemory, capsys: pytest.CaptureFixture[str]) -> Record:
    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main(["progress", "record", BOT, *arguments])
        return (int(exited.value.code or 0), *capsys.readouterr())

    return command


def recorded(record: Record, *arguments: str) -> Golden:
    code, out, err = record(ANN, *arguments)
    assert (code, err) == (0, "")
    return read_golden(out)


def test_what_is_recorded_is_a_golden_that_replays(record: Record) -> None:
    golden = recorded(record)
    assert answered(golden) == golden
    assert golden.about == "version 1 of journey-1, WAITING at cart"
    assert len(golden.probes) > 5


def test_nothing_tells_who_it_was_nor_what_was_written_to_them(record: Record) -> None:
    _, out, _ = record(ANN)
    assert [secret for secret in SECRETS if secret in out] == []


def test_with_raw_everything_is_there(record: Record) -> None:
    _, out, _ = record(ANN, "--raw")
    assert [secret for secret in SECRETS if secret not in out] == []
    assert answered(read_golden(out)) == read_golden(out)


def test_what_the_engine_compares_compares_as_before(record: Record) -> None:
    """Each probe leaves the member where it would have left ann."""
    masked, raw = recorded(record), recorded(record, "--raw")
    (one,), (other,) = states(masked), states(raw)
    assert one.progress.visits == other.progress.visits
    assert [sorted(probe.changes) for probe in masked.probes] == [sorted(probe.changes) for probe in raw.probes]
    assert [len(probe.effects) for probe in masked.probes] == [len(probe.effects) for probe in raw.probes]
    assert one.member is not None and one.member.attributes["plan"] != "gold"  # no word of this definition
    assert one.member.attributes["born"] == one.progress.trigger.data["born"] != "1985-04-12"


def test_two_recordings_use_different_words(record: Record) -> None:
    assert record(ANN)[1] != record(ANN)[1]


def test_it_is_written_to_a_file(record: Record, tmp_path: Path) -> None:
    file = tmp_path / "ann.json"
    assert record(ANN, "--output", str(file), "--journey", "journey-1") == (0, "", "")
    assert read_golden(file.read_text()).about.startswith("version 1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bob"], "member 'bob' of bot 'bot-1' never entered a journey"),
        ([ANN, "--journey", "other"], f"member '{ANN}' of bot 'bot-1' never entered 'other'"),
    ],
)
def test_who_never_entered_cannot_be_recorded(arguments: list[str], message: str, record: Record) -> None:
    code, out, err = record(*arguments)
    assert (code, out, " ".join(err.split())) == (1, "", message)


NAMES = Pseudonyms({"bot_id": BOT, "id": "j", "nodes": [{"id": "cart", "key": "wait"}], "name": "gold"}, "salt")


@pytest.mark.parametrize("value", ["cart", "gold", "DONE", "", None, True, 5, -999_999, 1.5, {"a_name": 3}, [[]]], ids=str)
def test_what_tells_nothing_stays(value: JsonValue) -> None:
    assert NAMES.value(value) == value


@pytest.mark.parametrize(
    "value", ["ann", BOT, 1_000_000, 10**12, -(10**9), "a@b", "2026-03-02", "2026-03-02T09:00:00+08:00"], ids=str
)
def test_what_may_tell_something_is_another_the_same_every_time(value: JsonValue) -> None:
    assert NAMES.value(value) != value
    assert NAMES.value([value, {"k": value}]) == [NAMES.value(value), {"k": NAMES.value(value)}]


def test_names_of_fields_that_are_no_names_go_too() -> None:
    assert NAMES.fields({"first_name": 1}) == {"first_name": 1}
    assert "ann" not in json.dumps(NAMES.fields({"ann@example.com": 2}))


def test_events_and_ids_of_the_member_agree() -> None:
    moved = NAMES.event(event("joined"))
    assert (moved.data["bot_id"], moved.data["member_id"]) == (moved.bot_id, moved.member_id)
