"""The functions of `functions/*/main.py`, called as the cloud calls them: every answer, and the line it leaves in the log."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import NoReturn

import functions_framework
import pytest

from emulator.functions_table import REPOSITORY, load_functions_table
from emulator.in_process import Function, call, load_main
from sojourn.adapters.memory import MemoryStore
from sojourn.application.catalog import Catalog
from sojourn.application.messages import EffectMessage, EnrollMessage, Message, RunMessage, SweepMessage
from sojourn.domain.errors import Unavailable
from sojourn.domain.journey import RejectedEvent
from sojourn.runtime.application import InMemory, in_memory, install
from sojourn.runtime.envelope import push_body
from tests.builders import START, entry, log
from tests.functions.bodies import NO_ENVELOPE, payload_file

NAMES = sorted(load_functions_table().functions)
FUNCTIONS: dict[str, Function] = {
    name: getattr(load_main(REPOSITORY / "functions" / name / "main.py"), spec.entry_point)
    for name, spec in load_functions_table().functions.items()
}


def written(message: Message) -> bytes:
    return message.to("topic").data


GOOD: dict[str, bytes] = {
    "ingest": log(),
    "run_journey": written(RunMessage(progress_id="nobody", rev=1)),
    "perform": written(EffectMessage(effect_id="nothing")),
    "sweep": written(SweepMessage()),
    "enroll": written(EnrollMessage(journey_id="nothing", node_id="start")),
}
NO_MESSAGE: dict[str, bytes] = {
    "nothing": b"",
    "text": b"hello",
    "bytes": b"\x00\xff\xfe",
    "list": b"[]",
    "null": b"null",
    "100,000 brackets": b"[" * 100_000,
    "300 KiB": b'{"v": "' + b"x" * 300 * 1024 + b'"}',
    "half a surrogate pair": b'{"progress_id": "\\ud800"}',
    "a wrong field of ours": entry().replace(b'"joined"', b"5"),
}


@pytest.fixture
def cloud() -> Iterator[InMemory]:
    """A cloud in memory that the functions of this process belong to."""
    memory = in_memory(START)
    install(memory.shop)
    yield memory
    install(None)


def stand_on(cloud: InMemory, store: MemoryStore) -> None:
    """Put another store under the functions."""
    install(replace(cloud.shop, store=store, catalog=Catalog(store, cloud.clock)))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The lines on stdout, each a JSON object with the engine's label."""
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(line["logging.googleapis.com/labels"] == {"sojourn.engine": "true"} for line in found)
    assert all(line["severity"] and line["message"] for line in found)
    return found


def test_every_function_of_the_table_is_tested() -> None:
    assert set(NAMES) == set(GOOD) == set(FUNCTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_handled_is_answered_204_without_a_body(
    name: str, cloud: InMemory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(FUNCTIONS[name], push_body(GOOD[name])) == ("", 204)
    (line,) = lines(capsys)
    assert (line["function"], line["status"], line["severity"]) == (name, 204, "INFO")
    assert line["outcomes"]
    assert list(cloud.store.scan(RejectedEvent)) == []


@pytest.mark.parametrize("payload", ["wrapped_push", "emulator_push", "eventarc_push"])
def test_a_real_push_of_a_log_entry_is_taken_in(payload: str, cloud: InMemory) -> None:
    assert call(FUNCTIONS["ingest"], payload_file(payload)) == ("", 204)
    assert list(cloud.store.scan(RejectedEvent)) == []


@pytest.mark.parametrize("body", NO_ENVELOPE.values(), ids=NO_ENVELOPE.keys())
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_envelope_is_answered_400_and_logged(
    name: str, body: bytes, cloud: InMemory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(FUNCTIONS[name], body) == ("400", 400)
    (line,) = lines(capsys)
    assert (line["status"], line["severity"]) == (400, "ERROR")
    assert str(line["error"]).startswith(("body: ", "message.data: "))
    assert not cloud.store.writes


@pytest.mark.parametrize("data", NO_MESSAGE.values(), ids=NO_MESSAGE.keys())
@pytest.mark.parametrize("name", NAMES)
def test_data_that_is_no_message_is_kept_whole_and_once(
    name: str, data: bytes, cloud: InMemory, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert call(FUNCTIONS[name], push_body(data)) == ("", 204)
    (kept,) = cloud.store.scan(RejectedEvent)
    assert (kept.data, kept.created_at) == (data, START)
    assert 0 < len(kept.detail) <= 500
    assert [line["outcomes"] for line in lines(capsys)] == [{"rejected": 1, kept.reason: 1}] * 2


@pytest.mark.parametrize("payload", ["empty_data", "attributes_only"])
@pytest.mark.parametrize("name", NAMES)
def test_a_push_without_data_is_kept_and_not_sent_again(name: str, payload: str, cloud: InMemory) -> None:
    assert call(FUNCTIONS[name], payload_file(payload)) == ("", 204)
    assert [kept.data for kept in cloud.store.scan(RejectedEvent)] == [b""]


def test_an_entry_that_is_none_of_ours_is_counted_and_not_kept(cloud: InMemory, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(FUNCTIONS["ingest"], push_body(b'{"textPayload": "hello"}')) == ("", 204)
    assert [line["outcomes"] for line in lines(capsys)] == [{"not_ours": 1}]
    assert not cloud.store.writes


class FailingStore(MemoryStore):
    """A store of which every request fails with the same error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def _fail(self, *_: object, **__: object) -> NoReturn:
        raise self._error

    get_many = commit_many = journeys = journeys_to_end = due = _fail


DOWN = Unavailable("Firestore: deadline exceeded")
BUG = ZeroDivisionError("a secret of the house")


@pytest.mark.parametrize("data", ["good", "garbage"])
@pytest.mark.parametrize("name", NAMES)
def test_a_store_that_does_not_answer_is_503_so_that_the_message_comes_again(
    name: str, data: str, cloud: InMemory, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_on(cloud, FailingStore(DOWN))
    assert call(FUNCTIONS[name], push_body(GOOD[name] if data == "good" else b"garbage")) == ("503", 503)
    (line,) = lines(capsys)
    assert (line["severity"], line["error"]) == ("WARNING", "Unavailable")


@pytest.mark.parametrize("name", NAMES)
def test_a_bug_is_500_with_the_stack_in_the_log_and_not_in_the_answer(
    name: str, cloud: InMemory, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_on(cloud, FailingStore(BUG))
    assert call(FUNCTIONS[name], push_body(GOOD[name])) == ("500", 500)
    (line,) = lines(capsys)
    assert (line["severity"], line["error"]) == ("ERROR", "ZeroDivisionError")
    assert "in _fail" in str(line["stack_trace"])
    assert "a secret of the house" not in str(line)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", NAMES)
def test_a_health_check_is_200_and_leaves_no_line(name: str, method: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(FUNCTIONS[name], b"", method=method) == ("ok", 200)
    assert lines(capsys) == []


@pytest.mark.parametrize("name", NAMES)
def test_under_the_functions_framework_the_answers_are_the_same(
    name: str, cloud: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])  # the framework adds the function's folder
    monkeypatch.setitem(sys.modules, "main", sys)  # and its module, by the name of its file
    source = REPOSITORY / "functions" / name / "main.py"
    spec = load_functions_table().functions[name]
    app = functions_framework.create_app(spec.entry_point, str(source), "http")  # type: ignore[no-untyped-call]
    client = app.test_client()
    answers = [client.post("/", data=body) for body in (push_body(GOOD[name]), push_body(b"garbage"), b"garbage")]
    assert [(answer.status_code, answer.data) for answer in answers] == [(204, b""), (204, b""), (400, b"400")]
    assert client.get("/").status_code == client.head("/").status_code == 200
    stand_on(cloud, FailingStore(BUG))
    assert client.post("/", data=push_body(GOOD[name])).data == b"500"
