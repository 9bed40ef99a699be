"""One baton, many greenlets: whoever has it runs, until a call of a port gives it away. The seed decides who gets it next.

::

    heap of (moment, dice, what) ─▶ pop ─▶ the clock is there ─▶ a task runs to its next call of a port ─▶ heap
                                                              └▶ something happens: a message comes, an operator acts

Time is whole milliseconds since `builders.START`, and stands still while anything runs.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import TypeAlias

from greenlet import getcurrent, greenlet

from tests.builders import START

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

Action: TypeAlias = Callable[[], None]


class Crash(BaseException):
    """The instance dies here. No use case may catch it, as none can catch a SIGKILL."""


def moment(milliseconds: int) -> datetime:
    """The moment that many milliseconds after START."""
    return START + timedelta(milliseconds=milliseconds)


def milliseconds(of: datetime) -> int:
    """The other way round."""
    return round((of - START) / timedelta(milliseconds=1))


@dataclass(eq=False)
class Task:
    """A use case at work in an instance.

    `seen`: for each document that it read, how many commits there had been by then. `owed`: what its commits ask it to publish,
    with the passage and the revision that say so; `paid`: what it has published, or tried to.
    """

    name: str
    kind: str
    instance: str
    began: int
    seen: dict[str, int] = field(default_factory=dict)
    messages: list[object] = field(default_factory=list)
    owed: dict[str, tuple[str, int]] = field(default_factory=dict)
    paid: set[str] = field(default_factory=set)
    over: bool = False
    process: greenlet | None = None


class Baton:
    """The heap of what happens next. Tasks call `wait` at every port."""

    def __init__(self, dice: Random) -> None:
        self.now = 0
        self.steps = 0
        self._dice = dice
        self._heap: list[tuple[int, float, int, Action]] = []
        self._hub = getcurrent()
        self._running: Task | None = None
        self._resumed = False
        """Whoever runs was resumed by the heap: nobody else has something left to do at this step."""
        self.comes_next: Callable[[int], bool] = lambda _: False
        """Whether nothing but the heap decides what happens at that moment, and it is not later than the next look around."""

    @property
    def next_at(self) -> int | None:
        """When the next thing happens, as far as is known."""
        return self._heap[0][0] if self._heap else None

    def at(self, when: int, action: Action) -> None:
        """Let `action` happen then; what happens at the same moment has its order from the dice."""
        heapq.heappush(self._heap, (max(when, self.now), self._dice.random(), self.steps + len(self._heap), action))

    def step(self) -> None:
        """The next thing happens."""
        self.now, _, _, action = heapq.heappop(self._heap)
        self.steps += 1
        action()

    def start(self, task: Task, work: Action) -> None:
        """Run `work` as `task`, from now."""

        def run() -> None:
            try:
                work()
            except Crash:
                pass
            finally:
                task.over = True

        task.process = greenlet(run, parent=self._hub)
        self._switch(task, None)

    def kill(self, task: Task) -> None:
        """The instance of the task died while it waited at a port."""
        if task.process is not None and not task.over and task.process is not getcurrent():
            self._switch(task, Crash())

    def current(self) -> Task | None:
        """The task that has the baton; None: nobody, the world itself."""
        return self._running

    def wait(self, duration: int) -> None:
        """Give the baton away for so many milliseconds. Who is next oneself keeps it: that is most of the time."""
        task = self._running
        if task is None:
            return
        when, dice, order = self.now + duration, self._dice.random(), self.steps + len(self._heap)
        if self._resumed and (not self._heap or (when, dice, order) < self._heap[0][:3]) and self.comes_next(when):
            self.now = when
            self.steps += 1
            return
        heapq.heappush(self._heap, (when, dice, order, lambda: self._resume(task)))
        self._hub.switch()

    def _resume(self, task: Task) -> None:
        if not task.over:
            self._resumed = True
            self._switch(task, None)
            self._resumed = False

    def _switch(self, task: Task, crash: Crash | None) -> None:
        assert task.process is not None
        before, self._running = self._running, task
        if crash is None:
            task.process.switch()
        else:
            task.process.throw(crash)
        self._running = before
