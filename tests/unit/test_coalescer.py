"""The coalescer: who waits, whose batch it is, and what becomes of those in a batch that breaks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from sojourn.runtime.coalescer import Coalescer

PATIENCE_SECONDS = 30.0


class Gate:
    """Batches that wait until they may go on."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.open = threading.Semaphore(0), threading.Event()

    def run(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.begun.release()
        assert self.open.wait(PATIENCE_SECONDS)
        return [item * 10 for item in items]


def test_a_call_that_is_alone_runs_at_once_in_its_own_thread() -> None:
    threads: list[threading.Thread] = []

    def run(items: Sequence[int]) -> Sequence[int]:
        threads.append(threading.current_thread())
        return items

    coalescer = Coalescer(run, most=9, places=1)
    assert [coalescer.submit(number) for number in range(3)] == [0, 1, 2]
    assert threads == [threading.current_thread()] * 3


def test_those_who_come_while_batches_run_are_the_next_batch_of_no_more_than_most() -> None:
    gate = Gate()
    coalescer = Coalescer(gate.run, most=3, places=2)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(coalescer.submit, number) for number in (0, 1)]
        for _ in range(2):
            assert gate.begun.acquire(timeout=PATIENCE_SECONDS)
        answers += [pool.submit(coalescer.submit, number) for number in range(2, 8)]
        while len(coalescer._waiting) < 6:
            threading.Event().wait(0.001)
        assert sorted(gate.batches) == [[0], [1]]
        gate.open.set()
        assert [answer.result(PATIENCE_SECONDS) for answer in answers] == [number * 10 for number in range(8)]
    assert sorted(len(batch) for batch in gate.batches) == [1, 1, 3, 3]


def test_a_batch_that_breaks_fails_all_that_are_in_it_and_nobody_after() -> None:
    def run(items: Sequence[str]) -> list[str]:
        if "bad" in items:
            raise KeyError("bad")
        return list(items)

    coalescer = Coalescer(run, most=9, places=1)
    with pytest.raises(KeyError):
        coalescer.submit("bad")
    assert coalescer.submit("good") == "good"
