"""The pull driver: a process that pulls messages, runs them by the batch, and acknowledges each by what became of it.

::

    python -m sojourn.runtime.worker [main.py]

    pull, up to a hundred ─▶ Function.run ─▶ 204: acknowledge   503, 500: release, which the retry policy delays
          ▲                                    └─▶ one line for each answer
          └── `BATCHES` threads: one batch is computed while another waits for an answer

It runs what `main.py` hands to the functions framework: which driver a function has is a choice of the deployment (`driver` in
`infra/functions.json`). Batches in flight bound what it holds. On SIGTERM it pulls no more and finishes what it has; what
it does not finish comes again when the ack deadline is over. Where the subscription does not answer it waits, and pulls again.
"""

from __future__ import annotations

import argparse
import os
import runpy
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

from sojourn.application.ports import PulledMessage, Subscription
from sojourn.domain.errors import SettingsInvalid, Unavailable
from sojourn.domain.trace import TRACEPARENT, read_traceparent
from sojourn.runtime.application import subscription
from sojourn.runtime.envelope import Envelope
from sojourn.runtime.function import BATCHES, Function
from sojourn.runtime.log import Line, write_line

PAUSE_SECONDS = 1.0
"""After a pull that failed."""
ALONE = 8
"""Threads of a function that takes one message at a time."""


def main() -> int:
    """Work until SIGTERM or SIGINT. The exit code: 1 where it ended without."""
    parser = argparse.ArgumentParser(prog="python -m sojourn.runtime.worker", description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, nargs="?", default=Path("main.py"), help="the function's main.py")
    function = load(parser.parse_args().source)
    stopping, asked = Event(), Event()

    def stop(*_: object) -> None:
        asked.set()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    work(function, subscription(os.environ), stopping)
    return 0 if asked.is_set() else 1


def load(source: Path) -> Function:
    """The function that a source file hands to the functions framework. Raises SettingsInvalid where there is none."""
    found = [value for value in runpy.run_path(str(source)).values() if isinstance(value, Function)]
    if len(found) != 1:
        raise SettingsInvalid(f"{source}: {len(found)} functions; one is expected, which a topic feeds")
    return found[0]


def work(function: Function, source: Subscription, stopping: Event) -> None:
    """Pull and run until `stopping` is set and what was pulled is done. A thread that breaks stops them all, to be seen."""
    threads = [
        Thread(target=_pull_until, args=(function, source, stopping), name=f"{function.name}-{number}")
        for number in range(BATCHES if function.batch > 1 else ALONE)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _pull_until(function: Function, source: Subscription, stopping: Event) -> None:
    try:
        while not stopping.is_set():
            _pull(function, source, stopping)
    finally:
        stopping.set()


def _pull(function: Function, source: Subscription, stopping: Event) -> None:
    try:
        pulled = source.pull(function.batch)
        if pulled:
            run(function, source, pulled)
    except Unavailable as error:
        write_line(Line(function.name, 503, "WARNING", messages=0, error=error))
        stopping.wait(PAUSE_SECONDS)


def run(function: Function, source: Subscription, pulled: Sequence[PulledMessage]) -> None:
    """Run a batch and answer for each message. A message that comes twice in one batch is one of each."""
    lines = function.run([_envelope(message) for message in pulled])
    answered: defaultdict[bool, list[str]] = defaultdict(list)
    for message, line in zip(pulled, lines, strict=True):
        answered[line.status == 204].append(message.ack_id)
    for line in summed(lines):
        write_line(line)
    source.acknowledge(answered[True])
    source.release(answered[False])


def _envelope(message: PulledMessage) -> Envelope:
    parent = read_traceparent(message.attributes.get(TRACEPARENT))
    return Envelope(message.data, message.message_id, message.published_at, parent)


def summed(lines: Sequence[Line]) -> list[Line]:
    """One line for each answer of a batch: counts are added up, of measures the largest counts, all traces are named.

    A bug keeps a line of its own, with its stack.
    """
    groups: defaultdict[object, list[Line]] = defaultdict(list)
    for line in lines:
        groups[id(line) if line.bug else line.status].append(line)
    return [_sum(group) if len(group) > 1 else group[0] for group in groups.values()]


def _sum(lines: Sequence[Line]) -> Line:
    outcomes, published = Counter[str](), Counter[str]()
    measures = dict(lines[0].measures or {})
    for line in lines:
        outcomes.update(line.outcomes or {})
        published.update(line.published or {})
        measures |= {name: max(seconds, measures.get(name, seconds)) for name, seconds in (line.measures or {}).items()}
    return replace(
        lines[0],
        messages=len(lines),
        outcomes=outcomes,
        published=published,
        measures=measures,
        duration_ms=max(line.duration_ms for line in lines),
        traces=tuple(line.trace.rpartition("/")[2] for line in lines if line.trace),
        trace=None,
        span=None,
    )


if __name__ == "__main__":
    sys.exit(main())
