"""Attempts at their time: by whoever moves a clock of his own, or by threads and the real time.

The lock is never held while an attempt is under way, so that jobs can be looked at and changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Condition, Thread
from typing import TypeAlias

from grpc import StatusCode

from emulator.scheduler.job import Attempt, Outcome
from emulator.scheduler.jobs import Jobs

Clock: TypeAlias = Callable[[], datetime]
"""The moment, aware."""
Send: TypeAlias = Callable[[Attempt], Outcome]

LONGEST_WAIT_SECONDS = 30.0
"""Time on the wall may be set, and stands still while a laptop sleeps: a wait is no longer than this."""


def real_time() -> datetime:
    """The moment, UTC."""
    return datetime.now(UTC)


class Engine:
    """The jobs and what sends their attempts."""

    def __init__(self, jobs: Jobs, *, send: Send, clock: Clock) -> None:
        self.clock = clock
        self._jobs, self._send = jobs, send
        self._changed = Condition()
        self._stopping = False
        self._thread: Thread | None = None

    @contextmanager
    def changing(self) -> Iterator[Jobs]:
        """The jobs, for this thread alone; what has become due is noticed afterwards."""
        with self._changed:
            yield self._jobs
            self._changed.notify_all()

    def next_due(self) -> datetime | None:
        """When there will be something for `run_due`; None if never, as long as no job changes."""
        with self._changed:
            return self._jobs.next_due()

    def run_due(self) -> int:
        """Send what is due by the clock, in this thread, one attempt after another; answers how many there were."""
        attempts = self._begin_due()
        for attempt in attempts:
            self._perform(attempt)
        return len(attempts)

    def start(self) -> None:
        """Send what is due from now on, each attempt in a thread of its own."""
        self._thread = Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing any more; attempts in flight are left to end with the process."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()

    def _begin_due(self) -> list[Attempt]:
        with self._changed:
            return self._jobs.begin_due(self.clock())

    def _run(self) -> None:
        with self._changed:
            while not self._stopping:
                for attempt in self._begin_due():
                    Thread(target=self._perform, args=(attempt,), name=attempt.job.name, daemon=True).start()
                self._changed.wait(self._seconds_to_next())

    def _seconds_to_next(self) -> float:
        due = self._jobs.next_due()
        left = (due - self.clock()).total_seconds() if due else LONGEST_WAIT_SECONDS
        return min(max(left, 0.0), LONGEST_WAIT_SECONDS)

    def _perform(self, attempt: Attempt) -> None:
        """Whatever goes wrong, the execution ends: otherwise its job would never run again."""
        outcome = Outcome(StatusCode.INTERNAL, "the emulator failed, see its output")
        try:
            outcome = self._send(attempt)
        finally:
            with self._changed:
                attempt.of.finish(outcome, now=self.clock())
                self._changed.notify_all()
