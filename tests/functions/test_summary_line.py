"""The summary line: the names of one file, counters that can occur, measures that mean what they say, nobody's data.

The functions run in-process, on a cloud in memory whose clock the tests move; only `queue_seconds` knows the wall clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from emulator.functions_table import load_functions_table
from emulator.in_process import InProcessCloud, call, load_functions
from sojourn.application.catalog import Catalog
from sojourn.application.lifecycle import pause, publish_journey, resume
from sojourn.application.messages import EFFECTS_TOPIC, EVENTS_TOPIC, RUNS_TOPIC, SWEEPS_TOPIC, EffectMessage, RunMessage
from sojourn.application.outcome import Measure
from sojourn.application.ports import DeadLetter
from sojourn.application.records import Page
from sojourn.application.repair import retry_effect, retry_progress
from sojourn.domain.breaker import BreakerPolicy
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Delivery, Effect
from sojourn.domain.errors import Unavailable
from sojourn.domain.progress import Progress, Status
from sojourn.runtime.application import install
from sojourn.runtime.envelope import push_body
from sojourn.runtime.log import Fields, listening
from sojourn.runtime.summary import NAMES, SUMMARY
from tests.application.conftest import instead
from tests.application.scripted import BROKEN, DONE, ScriptedChannel
from tests.builders import JOURNEY, MEMBER, START, after, definition, log, send, wait

MINUTE = timedelta(minutes=1)
FUNCTIONS = load_functions(load_functions_table())
REFUSED = Delivery("permanent", "410 Gone")


@dataclass
class Heard:
    """A cloud in memory, and every line that its functions write."""

    cloud: InProcessCloud
    lines: list[dict[str, Any]] = field(default_factory=list)
    now: datetime = START

    def journey(self, of: Definition, channel: ScriptedChannel | None = None) -> None:
        shop = self.cloud.memory.shop
        publish_journey(shop, of)
        install(replace(shop, channels={"mailbox": channel or ScriptedChannel()}))

    def log(self, name: str = "joined", *, ago: timedelta = timedelta(), text: str = "") -> None:
        self.cloud.publish(EVENTS_TOPIC, [log(name, at=self.now - ago, text=text)])

    def pass_time(self, passed: timedelta) -> None:
        """The clock moves on, and the minute tick comes."""
        self.now += passed
        self.cloud.move_to(self.now)
        self.cloud.publish(SWEEPS_TOPIC, [b"{}"])

    def sweep_alone(self, passed: timedelta) -> None:
        """The same, but nobody takes up what the sweep publishes."""
        self.now += passed
        self.cloud.move_to(self.now)
        call(FUNCTIONS[SWEEPS_TOPIC][1], push_body(b"{}"))
        for topic in (RUNS_TOPIC, EFFECTS_TOPIC):
            self.cloud.memory.publisher.take(topic)

    def only(self, kind: type[Any]) -> Any:
        (record,) = self.cloud.memory.store.scan(kind)
        return record

    @property
    def counts(self) -> Counter[str]:
        """By word, over all lines."""
        return sum((Counter(line.get(NAMES.outcomes, {})) for line in self.lines), Counter())

    def measured(self, name: str) -> list[float]:
        return [line[NAMES.measures][name] for line in self.lines if name in line.get(NAMES.measures, {})]


@pytest.fixture
def heard() -> Iterator[Heard]:
    with InProcessCloud(START) as cloud:
        found = Heard(cloud)

        def hear(line: Fields) -> None:
            found.lines.append(line)

        with listening(hear):
            yield found


# Counters


def _to_the_end(heard: Heard) -> None:
    heard.journey(definition([send()]))
    heard.log()


def _out_of_it(heard: Heard) -> None:
    heard.journey(definition([wait()], exit_events=[{"event": "left"}]))
    heard.log()
    heard.log("left")


def _into_an_error(heard: Heard) -> None:
    heard.journey(definition([send(message="{{ trigger.data.text }}")]))
    heard.log(text="x" * 70_000)


def _over_the_quota(heard: Heard) -> None:
    heard.journey(definition([send("one"), send("two")], message_quota=1))
    heard.log()


def _to_whom_is_gone(heard: Heard) -> None:
    heard.journey(definition([send()]), ScriptedChannel(REFUSED))
    heard.log()


def _in_vain(heard: Heard) -> None:
    heard.journey(definition([send()]), ScriptedChannel(BROKEN, attempts=1))
    heard.log()


def _for_a_fault_of_ours(heard: Heard) -> None:
    heard.journey(definition([send()]), ScriptedChannel(Delivery("system", "401 Unauthorized")))
    heard.log()


def _over_a_broken_channel(heard: Heard) -> None:
    channel = ScriptedChannel(BROKEN)
    channel.breaker = BreakerPolicy(minimum_calls=1)
    heard.journey(definition([send()]), channel)
    heard.log()


def _too_often(heard: Heard) -> None:
    limit = {"share": 0.25, "members": 1, "window": "30m"}
    heard.journey(definition([send()], pause_on_failures=limit), ScriptedChannel(REFUSED))
    heard.pass_time(timedelta(minutes=10))
    heard.log()
    heard.pass_time(MINUTE)


def _malformed(heard: Heard) -> None:
    heard.cloud.publish(EVENTS_TOPIC, [b"{"])


def _past_the_wait(heard: Heard) -> None:
    heard.journey(definition([wait()]))
    heard.log()
    heard.pass_time(timedelta(days=1))


def _nowhere(heard: Heard) -> None:
    heard.journey(definition([wait()]))
    heard.log()
    heard.sweep_alone(timedelta(days=1))
    for _ in range(11):
        heard.sweep_alone(timedelta(hours=1))


def _past_what_nobody_can_read(heard: Heard) -> None:
    instead(heard.cloud.memory.store, "due", lambda *arguments, **bounds: Page([], unreadable=["spoilt"]))
    heard.pass_time(MINUTE)


def _unanswered(heard: Heard) -> None:
    data = RunMessage(progress_id="nobody").to(RUNS_TOPIC).data
    heard.cloud.memory.dead_letters.put(DeadLetter("1", RUNS_TOPIC, "run_journey", 20, START, data))
    heard.pass_time(MINUTE)


def _without_a_store(heard: Heard) -> None:
    shop = heard.cloud.memory.shop

    class Down:
        def __getattr__(self, name: str) -> Any:
            raise Unavailable("Firestore: simulated")

    install(replace(shop, store=Down(), catalog=Catalog(Down(), shop.clock)))
    call(FUNCTIONS[EFFECTS_TOPIC][1], push_body(EffectMessage(effect_id="e").to(EFFECTS_TOPIC).data))


HAPPENS: dict[str, Callable[[Heard], None]] = {
    "entered": _to_the_end,
    "advanced": _to_the_end,
    "ended": _to_the_end,
    "done": _to_the_end,
    "canceled": _out_of_it,
    "error": _into_an_error,
    "skipped": _over_the_quota,
    "failed": _to_whom_is_gone,
    "dead": _in_vain,
    "system_failure": _for_a_fault_of_ours,
    "breaker_opened": _over_a_broken_channel,
    "journey_paused": _too_often,
    "rejected": _malformed,
    "requeued": _past_the_wait,
    "stuck": _nowhere,
    "unreadable": _past_what_nobody_can_read,
    "dead_lettered": _unanswered,
    "unavailable": _without_a_store,
}


def test_every_counter_of_the_file_is_tested_and_every_measure_is_in_it() -> None:
    assert SUMMARY.outcomes.keys() == HAPPENS.keys()
    assert SUMMARY.measures.keys() == set(get_args(Measure))


@pytest.mark.parametrize("word", HAPPENS)
def test_a_counter_counts_what_can_happen(heard: Heard, word: str) -> None:
    HAPPENS[word](heard)
    assert heard.counts[word] > 0


def test_who_ended_is_counted_once_whatever_they_reach_later(heard: Heard) -> None:
    heard.journey(definition([send()], goal={"event": "bought", "window": "7d"}))
    heard.log()
    heard.log("bought")
    assert (heard.counts["advanced"], heard.counts["ended"]) == (2, 1)


def test_who_enters_because_a_journey_says_so_is_counted_too(heard: Heard) -> None:
    other = {"id": "other", "bot_id": "bot-1", "name": "Other", "settings": {}}
    nodes = [{"id": "by", "key": "api"}, {"id": "end", "key": "exit"}]
    publish_journey(
        heard.cloud.memory.shop,
        Definition.model_validate(other | {"nodes": nodes, "node_paths": [{"source": "by", "target": "end", "index": 0}]}),
    )
    heard.journey(definition([{"id": "go", "key": "enroll_journey", "settings": {"journey_id": "other"}}]))
    heard.log()
    assert (heard.counts["entered"], heard.counts["ended"], heard.counts["done"]) == (2, 2, 1)


# Measures


def test_a_message_that_waited_to_be_pushed_says_how_long(heard: Heard) -> None:
    pushed = push_body(log(), published_at=datetime.now(UTC) - timedelta(seconds=90))
    assert call(FUNCTIONS[EVENTS_TOPIC][1], pushed) == ("", 204)
    (waited,) = heard.measured("queue_seconds")
    assert 90 <= waited < 150


def test_a_clock_that_is_behind_pubsub_s_makes_no_negative_wait(heard: Heard) -> None:
    call(FUNCTIONS[EVENTS_TOPIC][1], push_body(log(), published_at=datetime.now(UTC) + timedelta(hours=1)))
    assert heard.measured("queue_seconds") == [0.0]


def test_a_sweep_says_how_late_the_oldest_was_and_one_that_finds_nothing_says_nothing(heard: Heard) -> None:
    heard.journey(definition([wait(duration="10m")]))
    heard.log()
    heard.pass_time(MINUTE)
    assert heard.measured("sweep_lag_seconds") == []
    heard.pass_time(timedelta(minutes=9, seconds=20))
    assert heard.measured("sweep_lag_seconds") == [20.0]


def test_a_reaction_is_measured_from_the_log_line(heard: Heard) -> None:
    heard.journey(definition([send()]))
    heard.now = after(minutes=1)
    heard.cloud.move_to(heard.now)
    heard.log(ago=timedelta(seconds=3))
    assert heard.measured("reaction_seconds") == [3.0]


def test_a_reaction_is_measured_from_the_moment_that_a_wait_was_due(heard: Heard) -> None:
    heard.journey(definition([wait(duration="10m"), send()]))
    heard.log()
    heard.pass_time(timedelta(minutes=10, seconds=42))
    assert heard.measured("reaction_seconds") == [42.0]


def test_a_reaction_is_measured_from_the_event_that_was_waited_for(heard: Heard) -> None:
    branch = {"name": "yes", "event": "bought"}
    nodes: list[dict[str, object]] = [
        {"id": "for", "key": "wait_for_event", "settings": {"timeout": "7d", "branches": [branch]}},
        send(),
    ]
    paths: list[tuple[str, str, int]] = [("start", "for", 0), ("for", "hello", 0), ("for", "end", 1), ("hello", "end", 0)]
    heard.journey(definition(nodes, paths))
    heard.log()
    heard.pass_time(timedelta(hours=1))
    heard.log("bought", ago=timedelta(seconds=5))
    assert heard.measured("reaction_seconds") == [5.0]


def test_a_delivery_that_was_put_off_is_no_reaction(heard: Heard) -> None:
    heard.journey(definition([send()]), ScriptedChannel(BROKEN, DONE))
    heard.log()
    heard.pass_time(timedelta(hours=1))
    assert heard.counts["done"] == 1
    assert heard.measured("reaction_seconds") == []


def test_what_a_pause_held_up_is_no_reaction(heard: Heard) -> None:
    heard.journey(definition([wait(duration="10m"), send()]))
    shop = heard.cloud.memory.shop
    heard.log()
    pause(shop, JOURNEY)
    heard.pass_time(timedelta(minutes=11))
    assert heard.only(Progress).parked
    resume(shop, JOURNEY)
    heard.pass_time(timedelta(minutes=1))
    heard.pass_time(timedelta(minutes=5))
    assert heard.counts["done"] == 1
    assert heard.measured("reaction_seconds") == []


@pytest.mark.parametrize("kind", [Effect, Progress])
def test_what_an_operator_set_right_is_no_reaction(heard: Heard, kind: type) -> None:
    shop, channel = heard.cloud.memory.shop, ScriptedChannel(*([REFUSED] if kind is Effect else []))
    heard.journey(definition([send()]), channel)
    if kind is Effect:
        heard.log()
        retry_effect(shop, heard.only(Effect).id)
    else:
        _in_error(heard)
        retry_progress(shop, heard.only(Progress).id)
    heard.pass_time(MINUTE)
    assert heard.counts["done"] == 1
    assert heard.measured("reaction_seconds") == []


def _in_error(heard: Heard) -> None:
    """A member who entered, whose first message was dead-lettered until it was believed."""
    call(FUNCTIONS[EVENTS_TOPIC][1], push_body(log()))
    (run,) = heard.cloud.memory.publisher.take(RUNS_TOPIC)
    for _ in range(20):
        heard.sweep_alone(timedelta(minutes=5))
    heard.cloud.memory.dead_letters.put(DeadLetter("1", RUNS_TOPIC, "run_journey", 20, START, run))
    heard.sweep_alone(MINUTE)
    assert heard.only(Progress).status is Status.ERROR


# The line


def test_a_line_has_the_fields_of_the_file_and_a_duration(heard: Heard) -> None:
    _to_the_end(heard)
    assert [line[NAMES.function] for line in heard.lines] == ["ingest", "run_journey", "perform"]
    named = {NAMES.function, NAMES.status, NAMES.outcomes, NAMES.duration_ms, NAMES.trace, NAMES.span}
    assert all(named <= line.keys() for line in heard.lines)
    assert all(isinstance(line[NAMES.duration_ms], int) for line in heard.lines)
    assert {line[NAMES.status] for line in heard.lines} == {204}


def test_no_line_says_who_was_written_to_what(heard: Heard) -> None:
    heard.journey(definition([send(message="Dear {{ trigger.data.text }}")]), ScriptedChannel(REFUSED))
    heard.log(text="Canary")
    heard.cloud.publish(EVENTS_TOPIC, [log(text="Canary", at=after(days=9)), b'{"Canary"'])
    assert heard.counts["rejected"] == 2
    told, effect = str(heard.lines), heard.only(Effect)
    assert effect.payload.message == "Dear Canary"
    assert [word for word in (MEMBER, "Canary", JOURNEY, effect.id, effect.progress_id, "410 Gone") if word in told] == []
