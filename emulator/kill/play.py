"""The run. Each minute: set the clock, press the tick, route what arrives, kill whose turn it is, until all is at rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from threading import Event
from time import monotonic

from emulator.errors import NotQuiet
from emulator.kill.killer import Killer, plan_kills
from emulator.kill.oracle import Fault, Found, judge
from emulator.kill.receiver import Receiver
from emulator.kill.recovery import KINDS, SHARE_WANTED, Kill, Recovery, recovered
from emulator.kill.scenario import ORDERS, TRIAL, Happening, Scenario, journeys
from emulator.kill.stage import Stage, patiently
from emulator.local_cloud import Say
from sojourn.application.doctor import examine
from sojourn.application.lifecycle import publish_journey
from sojourn.application.records import Question
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.engine import MAX_NODES_PER_HOP
from sojourn.domain.journey import RejectedEvent
from sojourn.domain.progress import Progress, Status

FIRST_KILL_MINUTE = 2
CALM_MINUTES = 8
"""Kills end before the last arrivals, when hardly anything is on its way."""
PATIENCE_MINUTES = 20
"""How long after the last arrival members may take to their end; who takes longer is stuck."""
DOCTOR_AFTER_MINUTES = 4
"""How long after the last entry most members are on their way."""
REST_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Ordeal:
    """What members and functions are put through. `hangs`: calls that the receiver lets hang at most."""

    seed: int
    kills: int
    hangs: int
    max_nodes_per_hop: int = MAX_NODES_PER_HOP


@dataclass(frozen=True, slots=True)
class Result:
    """What became of it all."""

    scenario: Scenario
    found: Found
    faults: tuple[Fault, ...]
    kills: tuple[Kill, ...]
    minutes: int
    seconds: float

    @property
    def right(self) -> bool:
        """Nobody stuck, lost or doubled, and what the kills left lying has moved soon."""
        return not self.faults and recovered(self.kills, KINDS).share >= SHARE_WANTED


def run(scenario: Scenario, ordeal: Ordeal, *, say: Say, watch: Callable[[int], None] = lambda minute: None) -> Result:
    """Set the stage, play, judge; `watch` is told of each minute that is over."""
    last_minute = scenario.last_minute - CALM_MINUTES
    killer = Killer(plan_kills(ordeal.seed, kills=ordeal.kills, first_minute=FIRST_KILL_MINUTE, last_minute=last_minute))
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver(ordeal.seed, hangs=ordeal.hangs))
        stage = Stage(receiver, max_nodes_per_hop=ordeal.max_nodes_per_hop, hear=killer.hear, say=say)
        play = Play(scenario, stack.enter_context(stage), receiver, killer)
        for minute in play.minutes():
            watch(minute)
        return play.result()


class Play:
    """One run on a stage that is set."""

    def __init__(self, scenario: Scenario, stage: Stage, receiver: Receiver, killer: Killer) -> None:
        self._scenario, self._stage, self._receiver, self._killer = scenario, stage, receiver, killer
        self._recovery = Recovery(stage.shop)
        self._minute, self._began = 0, monotonic()
        self._findings: list[Fault] = []

    def minutes(self) -> Iterator[int]:
        """Play until nothing is left to happen, or patience is over."""
        for definition in journeys(self._receiver.url):
            patiently(partial(publish_journey, self._stage.shop, definition))
        while not patiently(self._is_over):
            self._minute += 1
            self._play()
            if self._minute == self._scenario.entry_minutes + DOCTOR_AFTER_MINUTES:
                self._ask_doctor()
            yield self._minute
        self._ask_doctor()

    def result(self) -> Result:
        """Read everything, and judge."""
        store, kills = self._stage.shop.store, tuple(self._recovery.kills)
        progress, effects = patiently(lambda: tuple(store.scan(Progress))), patiently(lambda: tuple(store.scan(Effect)))
        rejected = patiently(lambda: tuple(store.scan(RejectedEvent)))
        killed_at = tuple(kill.at for kill in kills if kill.function == "perform")
        found = Found(progress, effects, rejected, tuple(self._receiver.calls), killed_at)
        faults = (*judge(self._scenario, found), *self._findings)
        return Result(self._scenario, found, faults, kills, self._minute, monotonic() - self._began)

    def _ask_doctor(self) -> None:
        """Does everything that is on its way have a future? It must at any moment, whoever was killed just before."""
        reports = patiently(lambda: list(examine(self._stage.shop)))
        findings = (finding for report in reports for finding in report.findings)
        texts = (f"minute {self._minute}: {finding.ailment}, {finding.subject}: {finding.sentence}" for finding in findings)
        self._findings += (Fault("found by the doctor", text) for text in texts)

    @property
    def _arrivals(self) -> tuple[Happening, ...]:
        return self._scenario.arrivals.get(self._minute, ())

    def _is_over(self) -> bool:
        last = self._scenario.last_minute
        if self._minute < last or not self._killer.done:
            return self._minute >= last + PATIENCE_MINUTES
        return self._minute >= last + PATIENCE_MINUTES or not self._left_to_do()

    def _left_to_do(self) -> int:
        live = tuple(status.value for status in Status if not status.terminal)
        pending = tuple(status.value for status in EffectStatus if not status.terminal)
        questions = [Question(Progress, {"journey_id": name, "status": live}) for name in (TRIAL, ORDERS)]
        questions.append(Question(Effect, {"status": pending}))
        return sum(tally.count for tally in self._stage.shop.store.tally_many(questions))

    def _play(self) -> None:
        stage = self._stage
        stage.move_to(self._minute)
        stage.tick()
        stage.route(one.line for one in self._arrivals)
        self._killer.arm(self._minute)
        deadline = monotonic() + REST_TIMEOUT_SECONDS
        while not stage.at_rest:
            self._kill()
            if monotonic() > deadline:
                raise NotQuiet(f"not at rest within {REST_TIMEOUT_SECONDS:g} s\n{stage.table()}")
        stage.next_minute()
        patiently(partial(self._recovery.look, self._minute))

    def _kill(self) -> None:
        """Kill whose turn it is, if it is anybody's."""
        kill = self._killer.next()
        if kill is not None:
            Event().wait(kill.pause_seconds)
            at = monotonic()
            self._stage.kill(kill.function)
            patiently(partial(self._recovery.killed, kill.function, self._minute, self._arrivals, at=at))
