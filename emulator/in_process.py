"""The whole cloud in one process: topics are lists, the real functions are called with real push bodies, time stands still.

Nothing is mocked: `functions/*/main.py` are loaded as the functions framework loads them, and each message goes through the
push envelope, the use case and the answer. `infra/functions.json` says which function a topic feeds.
"""

from __future__ import annotations

import importlib.util
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from flask import Request
from werkzeug.test import EnvironBuilder

from emulator.errors import FunctionFailed, NotQuiet
from emulator.functions_table import REPOSITORY, FunctionsTable, load_functions_table
from sojourn.application.ports import Outgoing
from sojourn.application.workshop import Limits
from sojourn.runtime.application import InMemory, in_memory, install
from sojourn.runtime.envelope import push_body
from sojourn.runtime.log import Fields, listening
from sojourn.runtime.settings import Settings
from sojourn.runtime.summary import NAMES
from sojourn.runtime.tracing import Tracing

Function: TypeAlias = Callable[[Request], tuple[str, int]]

MAX_DELIVERIES = 1_000_000
"""Deliveries until a cloud that will not come to rest is given up."""


class InProcessCloud:
    """Pub/Sub, the functions and the stores, in memory. `copies` deliveries of each message, in an order that `seed` shuffles.

    A context manager: the functions of this process belong to it until it is left.
    """

    def __init__(self, start: datetime, *, limits: Limits = Limits(), copies: int = 1, seed: int | None = None) -> None:
        self.memory: InMemory = in_memory(start, limits)
        self.outcomes: Counter[str] = Counter()
        self._copies = copies
        self._dice = random.Random(seed) if seed is not None else None
        self._table = load_functions_table()
        self._functions = load_functions(self._table)
        self._stack = ExitStack()

    def __enter__(self) -> InProcessCloud:
        install(self.memory.shop, traced=Tracing(Settings().project))
        self._stack.enter_context(listening(self._hear))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        install(None)

    def _hear(self, line: Fields) -> None:
        outcomes = line.get(NAMES.outcomes)
        self.outcomes.update(outcomes if isinstance(outcomes, Counter) else {})
        if "stack_trace" in line:
            failed = FunctionFailed(f"the function {line[NAMES.function]} failed: {line.get('error')}")
            failed.add_note(str(line["stack_trace"]))
            raise failed
        self._check_permission(line)

    def _check_permission(self, line: Fields) -> None:
        """A function publishes only where the table says, as its account in the cloud may nowhere else."""
        spec, published = self._table.functions.get(str(line.get(NAMES.function))), line.get(NAMES.published)
        if spec is None or not isinstance(published, Counter):
            return
        if forbidden := published.keys() - set(spec.publishes):
            raise FunctionFailed(
                f"the function {line[NAMES.function]} published to {sorted(forbidden)}; functions.json does not say so"
            )

    def move_to(self, now: datetime) -> None:
        """Set the clock; on the way there jobs fire, each at its moment."""
        clock = self.memory.clock
        while strike := self.memory.jobs.due(since=clock.now(), until=now):
            moment, messages = strike
            clock.set(moment)
            self.memory.publisher.publish_many(messages)
            self.settle()
        clock.set(now)

    def publish(self, topic: str, data: Sequence[bytes]) -> None:
        """Publish, and deliver until nothing is left to deliver."""
        self.memory.publisher.publish_many([Outgoing(topic, item) for item in data])
        self.settle()

    def settle(self) -> None:
        """Deliver what the topics hold, and what that brings forth, until all is quiet."""
        delivered = 0
        while deliveries := self._deliveries():
            for message in deliveries:
                self._deliver(message)
            delivered += len(deliveries)
            if delivered > MAX_DELIVERIES:
                raise NotQuiet(f"more than {MAX_DELIVERIES:,} deliveries: the functions feed each other for ever")

    def _deliveries(self) -> list[Outgoing]:
        take = self.memory.publisher.take_messages
        waiting = [message for topic in self._functions for message in take(topic) for _ in range(self._copies)]
        if self._dice is not None:
            self._dice.shuffle(waiting)
        return waiting

    def _deliver(self, message: Outgoing) -> None:
        name, function = self._functions[message.topic]
        _, status = call(function, push_body(message.data, attributes=message.attributes))
        if status != 204:
            raise FunctionFailed(f"the function {name} answered {status} to {message.data[:200]!r}")


def load_functions(table: FunctionsTable) -> dict[str, tuple[str, Function]]:
    """For each topic the function that it feeds, loaded from its `main.py`."""
    return {
        spec.topic: (name, getattr(load_main(REPOSITORY / "functions" / name / "main.py"), spec.entry_point))
        for name, spec in table.functions.items()
    }


def load_main(path: Path) -> ModuleType:
    """Import a function's source file under a name of its own, as the functions framework does."""
    spec = importlib.util.spec_from_file_location(f"function_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(function: Function, body: bytes, *, method: str = "POST") -> tuple[str, int]:
    """Call a function with a real request."""
    return function(request_of(body, method=method))


def request_of(body: bytes, *, method: str = "POST") -> Request:
    """A real request, as a server makes one of what came over the wire."""
    builder = EnvironBuilder(method=method, data=body, content_type="application/json")
    try:
        return Request(builder.get_environ())
    finally:
        builder.close()
