"""Calls that are in the process at the same time become one batch, without anybody waiting for company.

::

    thread 1 ─▶ runs its own            ─▶ answers
    thread 2 ─▶ waits ─┐
    thread 3 ─▶ waits ─┴▶ thread 2 runs both ─▶ answers both

Nothing is delayed on purpose: while `places` batches run, whoever comes waits; the first to find a place takes all who wait.
So batches grow with the load, by themselves, and a call that is alone runs at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


@dataclass(eq=False, slots=True)
class _Ticket(Generic[T, U]):
    """A call: taken into some thread's batch, then over, with an answer unless that batch broke."""

    item: T
    taken: bool = False
    over: bool = False
    answers: list[U] = field(default_factory=list)


class Coalescer(Generic[T, U]):
    """`run` answers for each item of a batch of at most `most`; at most `places` batches run at the same time."""

    def __init__(self, run: Callable[[Sequence[T]], Sequence[U]], *, most: int, places: int) -> None:
        self._run, self._most, self._free = run, most, places
        self._waiting: deque[_Ticket[T, U]] = deque()
        self._changed = Condition()

    def submit(self, item: T) -> U:
        """The answer for one item. Where `run` raises, so does the call that ran it; those that waited RuntimeError."""
        own: _Ticket[T, U] = _Ticket(item)
        with self._changed:
            self._waiting.append(own)
        while batch := self._next_batch(own):
            self._answer(batch)
        if not own.answers:
            raise RuntimeError("the batch that this call was in broke off")
        return own.answers[0]

    def _next_batch(self, own: _Ticket[T, U]) -> list[_Ticket[T, U]]:
        """The batch that this thread must run, which others' items may fill; none once its own is over."""
        with self._changed:
            self._changed.wait_for(lambda: own.over or (self._free and not own.taken))
            if own.over:
                return []
            self._free -= 1
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            for ticket in batch:
                ticket.taken = True
            return batch

    def _answer(self, batch: Sequence[_Ticket[T, U]]) -> None:
        try:
            for ticket, answer in zip(batch, self._run([ticket.item for ticket in batch]), strict=True):
                ticket.answers.append(answer)
        finally:
            with self._changed:
                self._free += 1
                for ticket in batch:
                    ticket.over = True
                self._changed.notify_all()
