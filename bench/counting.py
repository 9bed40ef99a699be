"""What a use case asks of the world, counted at the ports: documents read and written, messages, bytes.

Documents are counted as Firestore bills them: a document that is not there and a query that finds nothing cost one read each,
an aggregation one read for each 1,000 index entries (https://cloud.google.com/firestore/pricing).
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sojourn.application.ports import Outgoing, Publisher, Store
from sojourn.application.records import Commit, CommitResult, Delete, Question, Tally

ENTRIES_PER_READ = 1_000
MINIMUM_BYTES = 1_000
"""What Pub/Sub bills for a message at least."""


@dataclass(slots=True)
class Operations:
    """What was asked for. `cpu_seconds` is this process's, with the clients of the services in it."""

    invocations: int = 0
    reads: int = 0
    writes: int = 0
    deletes: int = 0
    messages: int = 0
    message_bytes: int = 0
    cpu_seconds: float = 0.0

    def __add__(self, other: Operations) -> Operations:
        return Operations(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def per(self, number: int) -> dict[str, float]:
        """Each figure for one of `number`."""
        return {name: getattr(self, name) / number for name in self.__slots__}


@dataclass(slots=True)
class Ledger:
    """Operations by what the work was for; `stage` names what is going on now."""

    stages: dict[str, Operations] = field(default_factory=dict)
    published: list[Outgoing] = field(default_factory=list)
    _stage: str = ""

    @property
    def now(self) -> Operations:
        return self.stages.setdefault(self._stage, Operations())

    def work(self, stage: str, use_case: Callable[[], object]) -> None:
        """Run one invocation under the name of a stage."""
        self._stage = stage
        begin = time.process_time()
        use_case()
        self.now.cpu_seconds += time.process_time() - begin
        self.now.invocations += 1


class CountingStore:
    """A store that notes what it is asked in a ledger."""

    def __init__(self, inner: Store, ledger: Ledger) -> None:
        self._inner, self._ledger = inner, ledger

    def due(self, kind: Any, shard: int, **options: Any) -> Any:
        page = self._inner.due(kind, shard, **options)
        self._ledger.now.reads += max(len(page.found) + len(page.unreadable), 1)
        return page

    def __getattr__(self, name: str) -> Any:
        """Every query is a call that gives a list of documents."""
        query = getattr(self._inner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            found = query(*arguments, **options)
            self._ledger.now.reads += max(len(found), 1)
            return found

        return counted

    def get_many(self, kind: Any, ids: Sequence[str]) -> Any:
        self._ledger.now.reads += len(set(ids))
        return self._inner.get_many(kind, ids)

    def tally_many(self, questions: Sequence[Question]) -> list[Tally]:
        found = self._inner.tally_many(questions)
        self._ledger.now.reads += sum(max(math.ceil(tally.count / ENTRIES_PER_READ), 1) for tally in found)
        return found

    def commit_many(self, commits: Sequence[Commit]) -> list[CommitResult]:
        kinds = Counter(type(write) is Delete for commit in commits for write in commit)
        self._ledger.now.writes += kinds[False]
        self._ledger.now.deletes += kinds[True]
        return self._inner.commit_many(commits)


class CountingPublisher:
    """A publisher that notes, and keeps, what is published."""

    def __init__(self, inner: Publisher, ledger: Ledger) -> None:
        self._inner, self._ledger = inner, ledger

    def publish_many(self, messages: Sequence[Outgoing]) -> list[bool]:
        self._ledger.now.messages += len(messages)
        self._ledger.now.message_bytes += sum(max(len(message.data), MINIMUM_BYTES) for message in messages)
        self._ledger.published += messages
        return self._inner.publish_many(messages)


def counting_store(inner: Store, ledger: Ledger) -> Store:
    """A `Store` to the type checker too: its queries are found by name."""
    return cast(Store, CountingStore(inner, ledger))
