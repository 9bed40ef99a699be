"""One member followed from the log line to the last effect: every line, message and delivery says the same trace.

In-process with everything that a trace goes through, and on the local cloud, where Google's own Pub/Sub carries it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from emulator.clock_file import write_clock
from emulator.function_log import FunctionLine
from emulator.functions_table import FunctionsTable, load_functions_table
from emulator.in_process import InProcessCloud, call, load_functions
from emulator.local_cloud import LocalCloud, LocalCloudSettings
from emulator.traffic import Traffic
from sojourn.application.history import timeline
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import EVENTS_TOPIC, RUNS_TOPIC, SWEEPS_TOPIC, SweepMessage
from sojourn.application.sweep import sweep
from sojourn.application.workshop import Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.progress import Progress
from sojourn.runtime.application import compose
from sojourn.runtime.envelope import push_body
from sojourn.runtime.log import Fields, listening
from sojourn.runtime.settings import VARIABLES, read_settings
from sojourn.runtime.summary import NAMES
from tests.builders import BOT, MEMBER, START, after, definition, log, payload, send, wait

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
DEADLINE_SECONDS = 60.0
TELLS = {"id": "tell", "key": "emit_event", "settings": {"name": "welcomed"}}
STEPS = definition([send("first"), wait(duration="1m"), send("second"), TELLS])


def traced(data: bytes) -> bytes:
    """The LogEntry, logged by a producer that was itself in a trace."""
    return json.dumps(json.loads(data) | {"trace": f"projects/shop/traces/{TRACE}"}).encode()


def answering() -> Definition:
    """A second journey, which starts with what the first one emits."""
    nodes = [{"id": "start", "key": "event", "settings": {"name": "welcomed"}}, send("thanks"), {"id": "end", "key": "exit"}]
    paths = [{"source": "start", "target": "thanks", "index": 0}, {"source": "thanks", "target": "end", "index": 0}]
    head = {"id": "answer", "bot_id": BOT, "name": "An answer", "settings": {}}
    return Definition.model_validate(head | {"nodes": nodes, "node_paths": paths})


@pytest.fixture
def lines() -> list[Fields]:
    return []


@pytest.fixture
def cloud(lines: list[Fields]) -> Iterator[InProcessCloud]:
    """A cloud in memory whose lines are kept."""
    with InProcessCloud(START) as cloud, listening(lines.append):
        for journey in (STEPS, answering()):
            publish_journey(cloud.memory.shop, journey)
        yield cloud


def through(cloud: InProcessCloud, *entries: bytes) -> None:
    """A log line in, and on past the wait."""
    cloud.publish(EVENTS_TOPIC, entries)
    cloud.move_to(after(minutes=1))
    cloud.publish(SWEEPS_TOPIC, [b"{}"])


def told(lines: list[Fields]) -> list[tuple[str, object]]:
    """Function and trace of each line but the sweep's, which is about everybody."""
    return [(str(line[NAMES.function]), line.get(NAMES.trace)) for line in lines if line[NAMES.function] != "sweep"]


def test_every_line_of_a_member_is_in_the_trace_of_the_log_entry(cloud: InProcessCloud, lines: list[Fields]) -> None:
    through(cloud, traced(log()))
    functions = ["ingest", "run_journey", "perform", "run_journey", "perform", "perform", "ingest", "run_journey", "perform"]
    assert told(lines) == [(function, f"projects/sojourn-local/traces/{TRACE}") for function in functions]
    (sweep,) = (line for line in lines if line[NAMES.function] == "sweep")
    assert NAMES.trace not in sweep


def test_two_members_are_in_traces_of_their_own_that_follow_from_their_events(
    cloud: InProcessCloud, lines: list[Fields]
) -> None:
    through(cloud, log(), log(member="mary"))
    expected = {progress.trace_id for progress in cloud.memory.store.scan(Progress)}
    assert {str(trace).rpartition("/")[2] for _, trace in told(lines)} == expected
    assert len(expected) == 2


def test_each_line_is_a_span_of_its_own_and_messages_name_the_one_that_published_them(
    cloud: InProcessCloud, lines: list[Fields]
) -> None:
    ingest, published = load_functions(load_functions_table())[EVENTS_TOPIC][1], cloud.memory.publisher
    call(ingest, push_body(traced(log())))
    (message,) = published.take_messages(RUNS_TOPIC)
    (line,) = lines
    assert message.attributes == {"traceparent": f"00-{TRACE}-{line[NAMES.span]}-01"}
    published.publish_many([message])
    cloud.settle()
    spans = [line[NAMES.span] for line in lines]
    assert len(set(spans)) == len(spans) == 3


def test_the_sweep_publishes_again_in_the_member_s_trace(cloud: InProcessCloud) -> None:
    cloud.publish(EVENTS_TOPIC, [traced(log())])
    cloud.move_to(after(minutes=1))
    sweep(cloud.memory.shop, [SweepMessage()])
    (message,) = cloud.memory.publisher.take_messages(RUNS_TOPIC)
    assert message.trace_id == TRACE


def test_an_event_that_is_waited_for_does_not_change_the_trace(lines: list[Fields]) -> None:
    branch = {"name": "yes", "event": "bought"}
    nodes: list[Mapping[str, object]] = [
        {"id": "for", "key": "wait_for_event", "settings": {"timeout": "7d", "branches": [branch]}},
        send(),
    ]
    paths: list[tuple[str, str, int]] = [("start", "for", 0), ("for", "hello", 0), ("for", "end", 1), ("hello", "end", 0)]
    with InProcessCloud(START) as cloud, listening(lines.append):
        publish_journey(cloud.memory.shop, definition(nodes, paths))
        cloud.publish(EVENTS_TOPIC, [traced(log())])
        cloud.publish(EVENTS_TOPIC, [log("bought")])
        (progress,) = cloud.memory.store.scan(Progress)
        found = timeline(cloud.memory.shop, BOT, MEMBER)
    traces = [str(trace).rpartition("/")[2] for _, trace in told(lines)]
    assert traces[2] not in (TRACE, "None")
    assert traces == [TRACE, TRACE, traces[2], TRACE, TRACE]
    assert (progress.trace_id, [passage.trace_id for passage in found.passages]) == (TRACE, [TRACE])


class Keeping(Traffic):
    """Traffic that keeps every line."""

    def __init__(self, table: FunctionsTable) -> None:
        super().__init__(table)
        self.lines: list[FunctionLine] = []

    def record(self, function: str, line: FunctionLine) -> None:
        self.lines.append(line)
        super().record(function, line)


@pytest.mark.emulators
@pytest.mark.slow
def test_on_the_local_cloud_too(tmp_path: Path) -> None:
    table = load_functions_table()
    four = {name: table.functions[name] for name in ("ingest", "run_journey", "perform", "sweep")}
    clock, now = tmp_path / "clock", datetime.now(UTC)
    write_clock(clock, now)
    settings = LocalCloudSettings(
        state_dir=tmp_path / "state",
        project="trace-test",
        ticking=False,
        environment={VARIABLES["clock_file"]: str(clock)},
        table=table.model_copy(update={"functions": four, "services": {}}),
    )
    cloud = LocalCloud(settings, say=lambda source, text: None)
    cloud.traffic = kept = Keeping(settings.table)
    with cloud:
        shop = compose(read_settings(cloud.environment))
        publish_journey(shop, definition([send("first"), wait(duration="1m"), send("second")]))
        route(cloud, payload(metadata={"event_id": "e1"}))
        cloud.wait_quiet(DEADLINE_SECONDS)
        write_clock(clock, now + timedelta(minutes=2))
        cloud.tick()
        cloud.wait_quiet(DEADLINE_SECONDS)
        told_by = [(line.function, line.trace) for line in kept.lines if line.function != "sweep"]
        assert sorted(told_by) == sorted(
            (function, f"projects/trace-test/traces/{TRACE}")
            for function in ("ingest", "run_journey", "run_journey", "perform", "perform")
        )
        assert [letter.letter.node_id for letter in cloud.mailbox.messages] == ["first", "second"]
        assert trace_of(shop) == TRACE


def route(cloud: LocalCloud, line: Mapping[str, object]) -> None:
    """An application's line on stdout, in its trace, as the log router of the local cloud takes it."""
    text = json.dumps({**line, "logging.googleapis.com/trace": f"projects/shop/traces/{TRACE}"})
    answer = httpx.post(cloud.addresses.log_router_url, content=text, trust_env=False, timeout=DEADLINE_SECONDS)
    assert answer.json() == {"seen": 1, "passed": 1}


def trace_of(shop: Workshop) -> str:
    (passage,) = timeline(shop, BOT, MEMBER).passages
    return passage.trace_id
