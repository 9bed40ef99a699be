"""When which function is killed: the dice of the seed choose the minute, the function and the moment within the minute.

A moment is "after so many more lines of that function, and some milliseconds": a function says one line for each message, so
the kill falls while others are in its hands. How many lines a minute has, the minute before tells.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from random import Random
from threading import Lock

from emulator.kill.stage import FUNCTIONS

POLL_SECONDS = 0.02
PAUSE_SECONDS = 0.03
"""Several times what a message takes: the kill falls anywhere in the next ones."""
SWEEP_PAUSE_SECONDS = 0.3
"""A tick takes longer to come and to be worked off."""


@dataclass(frozen=True, slots=True)
class PlannedKill:
    """In `minute`, after `share` of the lines that the function says in a minute, and `pause_seconds`."""

    minute: int
    function: str
    share: float
    pause_seconds: float


def plan_kills(seed: int, *, kills: int, first_minute: int, last_minute: int) -> tuple[PlannedKill, ...]:
    """Every function as often as the others, at any moment of those minutes, spread over as many of them as there are."""
    dice = Random(f"kills {seed}")
    functions = (list(FUNCTIONS) * (kills // len(FUNCTIONS) + 1))[:kills]
    dice.shuffle(functions)
    span = range(first_minute, last_minute + 1)
    minutes = [minute for _ in range(kills // len(span) + 1) for minute in dice.sample(span, len(span))][:kills]
    planned = [_planned(dice, function, minute) for function, minute in zip(functions, minutes, strict=True)]
    return tuple(sorted(planned, key=lambda kill: kill.minute))


def _planned(dice: Random, function: str, minute: int) -> PlannedKill:
    longest = SWEEP_PAUSE_SECONDS if function == "sweep" else PAUSE_SECONDS
    return PlannedKill(minute, function, dice.uniform(0.05, 0.6), dice.uniform(0, longest))


class Killer:
    """Says when. `hear` is called from many threads, everything else from one."""

    def __init__(self, plan: Sequence[PlannedKill]) -> None:
        self._plan = list(plan)
        self._lock = Lock()
        self._heard: Counter[str] = Counter()
        self._heard_before: Counter[str] = Counter()
        self._armed: defaultdict[str, list[tuple[int, PlannedKill]]] = defaultdict(list)
        self._ready: SimpleQueue[PlannedKill] = SimpleQueue()

    @property
    def done(self) -> bool:
        """Whether every kill of the plan has been handed out."""
        with self._lock:
            return not self._plan and not any(self._armed.values()) and self._ready.empty()

    def arm(self, minute: int) -> None:
        """The minute begins: its kills wait for their moment."""
        with self._lock:
            last_minute = self._heard - self._heard_before
            self._heard_before = self._heard.copy()
            while self._plan and self._plan[0].minute <= minute:
                kill = self._plan.pop(0)
                at = self._heard[kill.function] + int(kill.share * last_minute[kill.function])
                self._armed[kill.function].append((at, kill))
        for function in FUNCTIONS:
            self._trigger(function)

    def hear(self, function: str) -> None:
        """The function has said a line."""
        with self._lock:
            self._heard[function] += 1
        self._trigger(function)

    def next(self) -> PlannedKill | None:
        """The kill whose moment has come; waits a little for one."""
        try:
            return self._ready.get(timeout=POLL_SECONDS)
        except Empty:
            return None

    def _trigger(self, function: str) -> None:
        with self._lock:
            heard = self._heard[function]
            due = [kill for at, kill in self._armed[function] if at <= heard]
            self._armed[function] = [(at, kill) for at, kill in self._armed[function] if at > heard]
        for kill in due:
            self._ready.put(kill)
