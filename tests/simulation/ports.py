"""The ports of one simulated instance: every call gives the baton away, and may go wrong in every way that the real one may."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from sojourn.adapters.memory import MemoryMailbox
from sojourn.application.ports import Outgoing
from sojourn.application.records import Commit, CommitResult, R, Stored
from sojourn.domain.effect import Delivery, Effect
from sojourn.domain.errors import Unavailable
from tests.simulation.baton import SECOND, moment

if TYPE_CHECKING:
    from tests.simulation.world import World

LATENCIES = (0, 0, 1, 1, 2, 3, 5, 8, 20, 60)
"""Milliseconds that a call of a port takes, each as likely as the other."""
STALLS = (6 * SECOND, 20 * SECOND, 50 * SECOND)
"""A worker that hangs, within the request's time of 60 s."""
SLOW_CALLS = (150, 400, 1_500)
"""Milliseconds that a call takes where the network is bad."""
SLOW = (5 * SECOND, 40 * SECOND, 200 * SECOND, 400 * SECOND)
"""A channel that takes its time; the last two are longer than a lease."""


class SimulatedClock:
    """True time, and the seconds by which this instance's clock is off."""

    def __init__(self, world: World, skew: int) -> None:
        self._world, self._skew = world, skew

    def now(self) -> datetime:
        return moment(self._world.baton.now + self._skew)


class SimulatedTokens:
    """Tokens from a counter: no two writes have the same."""

    def __init__(self, world: World) -> None:
        self._world = world

    def token(self) -> str:
        self._world.tokens += 1
        return f"t{self._world.tokens}"


class SimulatedStore:
    """The one store, as an instance reaches it. Methods that are not here are reads: they may be Unavailable."""

    def __init__(self, world: World, instance: str) -> None:
        self._world, self._instance = world, instance

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._read, name)

    def _read(self, name: str, *arguments: Any, **named: Any) -> Any:
        world = self._world
        world.breathe()
        if world.hits("read_unavailable"):
            world.note(f"{name} unavailable")
            world.doubt()
            raise Unavailable(f"simulated: {name}")
        return getattr(world.store, name)(*arguments, **named)

    def get_many(self, kind: type[R], ids: Sequence[str]) -> list[Stored[R] | None]:
        found: list[Stored[R] | None] = self._read("get_many", kind, ids)
        task = self._world.baton.current()
        if task is not None:
            task.seen.update((identifier, self._world.witness.serial) for identifier in ids)
        return found

    def commit_many(self, commits: Sequence[Commit]) -> list[CommitResult]:
        world = self._world
        world.breathe()
        world.crash("crash_before_commit")
        results = [self._commit(commit) for commit in commits]
        world.crash("crash_after_commit")
        world.breathe()
        return results

    def _commit(self, commit: Commit) -> CommitResult:
        world = self._world
        if world.hits("not_applied_answered_unknown"):
            world.note("commit not applied, answered UNKNOWN")
            world.doubt()
            return CommitResult.UNKNOWN
        result = world.commit(commit)
        for fault, answer in (
            ("applied_answered_unknown", CommitResult.UNKNOWN),
            ("applied_answered_conflict", CommitResult.CONFLICT),
        ):
            if result is CommitResult.APPLIED and world.hits(fault):
                world.note(f"but answered {answer.name}")
                world.doubt()
                return answer
        return result


class SimulatedPublisher:
    """Topics, as an instance reaches them. A message that was `not taken` may have been taken all the same."""

    def __init__(self, world: World) -> None:
        self._world = world

    def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
        world = self._world
        world.breathe()
        world.crash("crash_before_publish")
        taken = [self._publish(message) for message in messages]
        world.crash("crash_after_publish")
        world.breathe()
        return taken

    def _publish(self, message: Outgoing) -> bool:
        world = self._world
        task = world.baton.current()
        if task is not None:
            named = json.loads(message.data)
            task.paid.update(str(named[field]) for field in ("effect_id", "progress_id") if field in named)
        failed = world.hits("publish_fails")
        if failed and world.dice.random() < 0.5:
            world.note(f"publish to {message.topic} failed")
            return False
        world.pubsub.publish(message)
        return not failed


class SimulatedChannel(MemoryMailbox):
    """A way to the member. `idempotent`: who gets the same key twice has it once; else nobody may try twice when in doubt."""

    def __init__(self, world: World, name: str, *, idempotent: bool) -> None:
        super().__init__()
        self._world, self.name = world, name
        self.idempotent = idempotent
        self.resend_when_uncertain = idempotent

    def deliver(self, effect: Effect, message: JsonValue, *, url: str | None = None) -> Delivery:
        world = self._world
        world.witness.delivering(effect)
        world.breathe()
        world.crash("crash_around_delivery")
        if world.hits("channel_refuses"):
            return Delivery("permanent", "simulated: no such address")
        if world.hits("channel_busy"):
            return Delivery("retryable", "simulated: 503")
        if world.hits("channel_slow"):
            world.doubt()
            world.baton.wait(world.dice.choice(SLOW))
        silent = world.hits("channel_answer_lost")
        if not silent or world.dice.random() < 0.7:  # else it is the request that is lost
            world.arrived(effect, message, self)
        world.crash("crash_around_delivery")
        if silent:
            world.doubt()
            return Delivery("uncertain", "simulated: no answer in time")
        return Delivery("delivered", provider_id=f"provider-{effect.id}")
