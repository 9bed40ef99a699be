"""What both drivers run: batches in which one bad message never fails its neighbours, and the lines that they leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from threading import Event, Thread

import pytest

from emulator.functions_table import REPOSITORY
from sojourn.adapters.memory_subscription import MemorySubscription
from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import EVENTS_TOPIC, RUNS_TOPIC
from sojourn.application.outcome import UNAVAILABLE, Outcome
from sojourn.application.ports import Outgoing, PulledMessage
from sojourn.application.workshop import Workshop
from sojourn.domain.errors import SettingsInvalid, Unavailable
from sojourn.domain.journey import RejectedEvent
from sojourn.domain.progress import Progress
from sojourn.runtime.application import InMemory, in_memory, install
from sojourn.runtime.envelope import Envelope
from sojourn.runtime.function import Function, entries
from sojourn.runtime.log import Fields, listening
from sojourn.runtime.summary import NAMES
from sojourn.runtime.tracing import Tracing
from sojourn.runtime.worker import load, run, work
from tests.builders import START, definition, log, send


@pytest.fixture
def cloud() -> Iterator[InMemory]:
    memory = in_memory(START)
    install(memory.shop, traced=Tracing("shop"))
    yield memory
    install(None)


@pytest.fixture
def lines() -> Iterator[list[Fields]]:
    heard: list[Fields] = []
    with listening(heard.append):
        yield heard


def envelopes(*data: bytes) -> list[Envelope]:
    return [Envelope(one, f"{number}") for number, one in enumerate(data)]


def picky(shop: Workshop, data: Sequence[bytes]) -> list[Outcome]:
    """A use case with a bug, a service that does not answer, and business as usual."""
    if b"bug" in data:
        raise ZeroDivisionError
    if b"down" in data and len(data) == 1:
        raise Unavailable("no answer")
    return [UNAVAILABLE if one == b"later" else Outcome("taken") for one in data]


def test_a_bug_fails_its_own_message_alone(cloud: InMemory) -> None:
    found = Function("ingest", entries(picky)).run(envelopes(b"a", b"bug", b"later", b"b"))
    assert [line.status for line in found] == [204, 500, 503, 204]
    assert [line.bug for line in found] == [False, True, False, False]


def test_a_service_that_does_not_answer_is_asked_for_the_whole_batch_again(cloud: InMemory) -> None:
    (line,) = Function("ingest", entries(picky)).run(envelopes(b"down"))
    assert (line.status, line.outcomes) == (503, Counter(unavailable=1))


def test_each_message_of_a_batch_has_its_own_trace_and_what_it_published(cloud: InMemory) -> None:
    publish_journey(cloud.shop, definition([send()]))
    found = Function("ingest", entries(ingest)).run(envelopes(*(log(member=f"m{n}", id=f"e{n}") for n in range(3)), b"{}"))
    traces = {progress.trace_id for progress in cloud.store.scan(Progress)}
    assert [line.published or None for line in found] == [Counter({RUNS_TOPIC: 1})] * 3 + [None]
    assert {line.trace.rpartition("/")[2] for line in found if line.trace} == traces
    sent = cloud.publisher.take_messages(RUNS_TOPIC)
    assert {(message.trace_id, message.span_id) for message in sent} == {
        (line.trace.rpartition("/")[2], line.span) for line in found if line.trace
    }


def test_a_worker_acknowledges_each_by_its_outcome_and_says_so_in_a_line_for_each_answer(
    cloud: InMemory, lines: list[Fields]
) -> None:
    source = MemorySubscription(cloud.publisher, EVENTS_TOPIC)
    cloud.publisher.publish_many([Outgoing(EVENTS_TOPIC, data) for data in (b"a", b"later", b"bug", b"b")])
    run(Function("ingest", entries(picky)), source, source.pull(100))
    assert source.outstanding == {}
    assert sorted(message.data for message in source.pull(100)) == [b"bug", b"later"]
    assert [(line[NAMES.status], line[NAMES.messages], line.get(NAMES.outcomes)) for line in lines] == [
        (204, 2, {"taken": 2}),
        (503, 1, {"unavailable": 1}),
        (500, 1, None),
    ]


def test_a_line_of_a_batch_names_the_traces_of_all(cloud: InMemory, lines: list[Fields]) -> None:
    publish_journey(cloud.shop, definition([send()]))
    source = MemorySubscription(cloud.publisher, EVENTS_TOPIC)
    cloud.publisher.publish_many([Outgoing(EVENTS_TOPIC, log(member=f"m{n}", id=f"e{n}")) for n in range(5)])
    run(Function("ingest", entries(ingest)), source, source.pull(100))
    (line,) = lines
    assert line[NAMES.traces] == tuple(progress.trace_id for progress in cloud.store.scan(Progress))
    assert (line[NAMES.published], line[NAMES.messages]) == ({RUNS_TOPIC: 5}, 5)
    assert NAMES.trace not in line


def test_what_is_no_message_is_kept_and_acknowledged(cloud: InMemory, lines: list[Fields]) -> None:
    function = load(REPOSITORY / "functions" / "run_journey" / "main.py")
    source = MemorySubscription(cloud.publisher, RUNS_TOPIC)
    cloud.publisher.publish_many([Outgoing(RUNS_TOPIC, b"hello"), Outgoing(RUNS_TOPIC, b'{"progress_id": "nobody"}')])
    run(function, source, source.pull(100))
    assert source.outstanding == {}
    assert source.pull(100) == []
    assert [kept.data for kept in cloud.store.scan(RejectedEvent)] == [b"hello"]


class Faltering(MemorySubscription):
    """A subscription that does not answer twice; then it has what it has, and asks the worker to stop."""

    faults = 2

    def __init__(self, cloud: InMemory, stopping: Event) -> None:
        super().__init__(cloud.publisher, EVENTS_TOPIC)
        self.stopping = stopping

    def pull(self, limit: int) -> list[PulledMessage]:
        if self.faults:
            self.faults -= 1
            raise Unavailable("no answer")
        self.stopping.set()
        return super().pull(limit)


def test_a_worker_outlasts_an_outage_and_finishes_what_it_has_when_it_is_to_stop(
    cloud: InMemory, lines: list[Fields], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sojourn.runtime.worker.PAUSE_SECONDS", 0.001)
    cloud.publisher.publish_many([Outgoing(EVENTS_TOPIC, b"a")])
    source = Faltering(cloud, Event())
    worker = Thread(target=work, args=(Function("ingest", entries(picky)), source, source.stopping))
    worker.start()
    worker.join(30)
    assert not worker.is_alive()
    assert source.outstanding == {}
    assert Counter(line[NAMES.status] for line in lines) == {503: 2, 204: 1}


def test_what_is_no_function_is_refused_by_name(tmp_path: object) -> None:
    with pytest.raises(SettingsInvalid, match=r"api/main.py: 0 functions"):
        load(REPOSITORY / "functions" / "api" / "main.py")
