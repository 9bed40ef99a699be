"""One job: its state, its next start, and the execution that is outstanding.

    tick ──begin──▶ attempt in flight ──finish──▶ done                     OK, or no retry left
                         ▲                   └──▶ waiting for its retry    until the next tick at the latest
                         └──────begin─────────────────┘

There is one execution at most. A tick that comes while an attempt is in flight starts when that has ended; of several
such ticks the first counts, the others are lost. Nothing here knows the time: every call is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from google.cloud.scheduler_v1.types import Job
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from emulator.scheduler.cron import Cron
from emulator.scheduler.english import Interval
from emulator.scheduler.errors import FailedPrecondition
from emulator.scheduler.rules import JobProto, complete

State = Job.State
NEVER_ATTEMPTED = -1
"""The code of the status of a job that has not run yet; the real service answers it too."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt went."""

    code: StatusCode = StatusCode.OK
    message: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What to send: a copy of the job, the start it stands for, and which try this is, from 1."""

    of: ScheduledJob
    job: JobProto
    scheduled_at: datetime
    started_at: datetime
    number: int

    @property
    def is_unix_cron(self) -> bool:
        """Only then does the target hear of its schedule time."""
        return isinstance(self.of.schedule, Cron)


@dataclass(slots=True)
class _Execution:
    scheduled_at: datetime
    started_at: datetime
    attempts: int = 0
    retry_at: datetime | None = None
    """None while an attempt is in flight."""


class ScheduledJob:
    """The state machine of a job. Jobs come in with their name; Refused is raised for any that may not be."""

    def __init__(self, job: JobProto, *, now: datetime) -> None:
        self._state = State.ENABLED
        self._tick = now
        self._status = Status(code=NEVER_ATTEMPTED)
        self._last_attempt_at: datetime | None = None
        self._forced_at: datetime | None = None
        self._execution: _Execution | None = None
        self.replace(job, now=now)

    def replace(self, job: JobProto, *, now: datetime) -> None:
        """Take the job as it is now. An attempt in flight ends as it began; a retry that waits is given up."""
        self.schedule = complete(job)
        self._job, self._updated_at = job, now
        self._reschedule(now)

    def described(self) -> JobProto:
        """A copy with the fields that only the service sets."""
        job = type(self._job)()
        job.CopyFrom(self._job)
        job.state = self._state
        job.status.CopyFrom(self._status)
        job.user_update_time.FromDatetime(self._updated_at)
        retry_at = self._execution.retry_at if self._execution else None
        job.schedule_time.FromDatetime(retry_at or self._tick)
        if self._last_attempt_at:
            job.last_attempt_time.FromDatetime(self._last_attempt_at)
        return job

    def pause(self) -> None:
        """Start nothing any more. Raises FailedPrecondition."""
        self._need(State.ENABLED, "PauseJob")
        self._state, self._forced_at = State.PAUSED, None
        self._give_up_retry()

    def resume(self, *, now: datetime) -> None:
        """Go on with the first tick after now. Raises FailedPrecondition."""
        self._need(State.PAUSED, "ResumeJob")
        self._state = State.ENABLED
        self._reschedule(now)

    def force(self, *, now: datetime) -> None:
        """Start now, or when the attempt in flight has ended, in place of its retries. Raises FailedPrecondition."""
        self._need(State.ENABLED, "RunJob")
        self._forced_at = self._forced_at or now
        self._give_up_retry()

    def due_at(self) -> datetime | None:
        """When `begin` is to be called next; None while paused or while an attempt is in flight."""
        if self._state != State.ENABLED:
            return None
        if self._execution:
            return self._execution.retry_at
        return self._forced_at or self._tick

    def begin(self, *, now: datetime) -> Attempt:
        """Start what is due: a retry, a forced execution or a tick."""
        execution = self._execution = self._execution or self._new_execution(now)
        execution.attempts, execution.retry_at = execution.attempts + 1, None
        self._last_attempt_at = now
        job = self.described()
        return Attempt(self, job, scheduled_at=execution.scheduled_at, started_at=now, number=execution.attempts)

    def finish(self, outcome: Outcome, *, now: datetime) -> None:
        """End the attempt in flight; a failed one is retried if the job's retry config, state and schedule let it."""
        execution = self._execution
        assert execution is not None, "an attempt that was begun"
        self._status = Status(code=outcome.code.value[0], message=outcome.message)
        execution.retry_at = self._retry_at(execution, now) if outcome.code != StatusCode.OK else None
        if execution.retry_at is None:
            self._end(now)

    def _new_execution(self, now: datetime) -> _Execution:
        forced_at, self._forced_at = self._forced_at, None
        execution = _Execution(forced_at or self._tick, started_at=now)
        if forced_at is None:
            self._tick = self.schedule.next_after(now)
        return execution

    def _retry_at(self, execution: _Execution, now: datetime) -> datetime | None:
        config = self._job.retry_config
        retry_at = now + backoff(config, retry=execution.attempts)
        # "If specified with retry_count, the job will be retried until both limits are reached."
        within = retry_at - execution.started_at <= config.max_retry_duration.ToTimedelta()
        more = config.retry_count and (execution.attempts <= config.retry_count or within)
        is_before_tick = isinstance(self.schedule, Interval) or retry_at < self._tick
        return retry_at if more and is_before_tick and self._state == State.ENABLED and not self._forced_at else None

    def _end(self, now: datetime) -> None:
        self._execution = None
        if isinstance(self.schedule, Interval):
            self._tick = self.schedule.next_after(now)

    def _reschedule(self, now: datetime) -> None:
        self._tick = self.schedule.next_after(now)
        self._give_up_retry()

    def _give_up_retry(self) -> None:
        if self._execution and self._execution.retry_at:
            self._execution = None

    def _need(self, state: Any, call: str) -> None:
        if self._state != state:
            raise FailedPrecondition(f"Job.state must be {state.name} for {call}.")


def backoff(config: Any, *, retry: int) -> timedelta:
    """How long the retry of that number waits, from 1: doubled `max_doublings` times, then grown in equal steps, capped."""
    doublings = min(retry - 1, config.max_doublings)
    steps = max(retry - config.max_doublings, 1)
    longest = config.max_backoff_duration.ToTimedelta()
    # Compared in seconds: a timedelta of 2**5000 minutes does not exist.
    seconds = config.min_backoff_duration.ToTimedelta().total_seconds() * 2.0 ** min(doublings, 64) * steps
    return longest if seconds >= longest.total_seconds() else timedelta(seconds=seconds)
