"""Child processes: what they say is heard, they never outlive their parent, and a dead one is started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Event

import pytest

from emulator import processes
from emulator.errors import ProcessNotReady
from emulator.processes import LOOPBACK, ChildProcess, Supervised, await_answer, free_ports
from tests.spawned import spawned

DEADLINE_SECONDS = 20.0
WAITS = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
# A process with a child of its own that holds the same standard output.
FAMILY = (
    "import subprocess, sys; print('up', flush=True); subprocess.run([sys.executable, '-c', 'import signal; signal.pause()'])"
)
PARENT = """
import sys
from threading import Event
from emulator.processes import ChildProcess
up = Event()
child = ChildProcess([sys.executable, "-c", sys.argv[1]], on_line=lambda line: up.set())
up.wait()
print(child.pid, flush=True)
child.wait()
"""


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes to hold before the deadline."""
    deadline, never = time.monotonic() + DEADLINE_SECONDS, Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        never.wait(0.02)
    return True


def is_group_gone(pgid: int) -> bool:
    """Whether nothing runs in the group: not the command, not its children, not the guard; zombies do not count."""
    listing = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return not any(int(group) == pgid and not stat.startswith("Z") for group, stat in map(str.split, listing.splitlines()))


@pytest.fixture
def run() -> Iterator[Callable[[str], tuple[ChildProcess, SimpleQueue[str]]]]:
    """Run Python text as a child, stopped at the end; its lines come in the queue."""
    children: list[ChildProcess] = []

    def start(program: str) -> tuple[ChildProcess, SimpleQueue[str]]:
        lines: SimpleQueue[str] = SimpleQueue()
        children.append(ChildProcess([sys.executable, "-c", program], on_line=lines.put))
        return children[-1], lines

    yield start
    for child in children:
        child.stop()


Run = Callable[[str], tuple[ChildProcess, SimpleQueue[str]]]


def test_both_outputs_are_heard_line_by_line(run: Run) -> None:
    child, lines = run("import os; os.write(1, b'one\\ntwo without an end'); os.write(2, b'bad \\xff utf-8\\n')")
    assert child.wait(DEADLINE_SECONDS)
    assert {lines.get_nowait() for _ in range(3)} == {"one", "two without an end", "bad \ufffd utf-8"}
    assert child.exit_code == 0


def test_an_end_of_its_own_is_reported_with_the_code_after_the_last_line() -> None:
    heard: SimpleQueue[object] = SimpleQueue()
    child = ChildProcess([sys.executable, "-c", "print('last'); raise SystemExit(7)"], on_line=heard.put, on_exit=heard.put)
    assert [heard.get(timeout=DEADLINE_SECONDS) for _ in range(2)] == ["last", 7]
    child.stop()


def test_stop_ends_the_command_its_children_and_the_guard_and_is_no_exit(run: Run) -> None:
    exits: list[int] = []
    lines: SimpleQueue[str] = SimpleQueue()
    child = ChildProcess([sys.executable, "-c", FAMILY], on_line=lines.put, on_exit=exits.append)
    lines.get(timeout=DEADLINE_SECONDS)
    child.stop()
    child.stop()
    assert eventually(lambda: is_group_gone(child.pid))
    assert exits == []


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_GRACE_SECONDS", 0.1)
    child, lines = run(STUBBORN)
    lines.get(timeout=DEADLINE_SECONDS)
    child.stop()
    assert child.exit_code == -signal.SIGKILL


def test_children_left_by_a_killed_command_go_with_it(run: Run) -> None:
    child, lines = run(FAMILY)
    lines.get(timeout=DEADLINE_SECONDS)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(DEADLINE_SECONDS)
    assert eventually(lambda: is_group_gone(child.pid))


@pytest.mark.parametrize("program", [WAITS, STUBBORN, FAMILY])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_the_parent_however_it_dies(program: str, number: signal.Signals) -> None:
    root = str(Path(processes.__file__).parents[1])
    command = [sys.executable, "-c", PARENT, program]
    with spawned(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}) as parent:
        assert parent.stdout is not None
        pgid = int(parent.stdout.readline())
        assert not is_group_gone(pgid)
        parent.send_signal(number)
        assert parent.wait(DEADLINE_SECONDS) == -number
    assert eventually(lambda: is_group_gone(pgid))


def test_a_child_that_dies_is_started_again_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "FIRST_RESTART_PAUSE_SECONDS", 0.01)
    ups: SimpleQueue[str] = SimpleQueue()
    said: SimpleQueue[str] = SimpleQueue()
    supervised = Supervised(
        lambda on_exit: ChildProcess([sys.executable, "-c", WAITS], on_line=ups.put, on_exit=on_exit), say=said.put
    )
    for pause in ("0.01", "0.02"):
        ups.get(timeout=DEADLINE_SECONDS)
        os.kill(supervised.child.pid, signal.SIGKILL)
        assert said.get(timeout=DEADLINE_SECONDS) == f"ended with exit code -9; started again in {pause} s"
    ups.get(timeout=DEADLINE_SECONDS)
    supervised.stop()
    assert eventually(lambda: is_group_gone(supervised.child.pid))


def test_one_that_is_killed_on_purpose_dies_at_one_stroke_and_is_started_again_without_a_growing_pause() -> None:
    ups: SimpleQueue[str] = SimpleQueue()
    said: SimpleQueue[str] = SimpleQueue()
    supervised = Supervised(
        lambda on_exit: ChildProcess([sys.executable, "-c", FAMILY], on_line=ups.put, on_exit=on_exit), say=said.put
    )
    for _ in range(2):
        ups.get(timeout=DEADLINE_SECONDS)
        before = supervised.child
        supervised.kill()
        assert supervised.child is not before
        assert eventually(lambda pid=before.pid: is_group_gone(pid))  # type: ignore[misc]
        assert said.get(timeout=DEADLINE_SECONDS) == "ended with exit code -9; started again in 0.2 s"
    supervised.stop()


def test_a_stopped_one_is_not_started_again_even_in_its_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "FIRST_RESTART_PAUSE_SECONDS", DEADLINE_SECONDS)
    said: SimpleQueue[str] = SimpleQueue()
    starts: list[int] = []

    def start(on_exit: Callable[[int], None]) -> ChildProcess:
        starts.append(1)
        return ChildProcess([sys.executable, "-c", "raise SystemExit(3)"], on_line=said.put, on_exit=on_exit)

    supervised = Supervised(start, say=said.put)
    assert said.get(timeout=DEADLINE_SECONDS).startswith("ended with exit code 3")
    supervised.stop()
    assert len(starts) == 1


def test_a_server_is_ready_when_it_answers(run: Run) -> None:
    (port,) = free_ports(1)
    child, _ = run(f"from http.server import *; HTTPServer(('{LOOPBACK}', {port}), BaseHTTPRequestHandler).serve_forever()")
    await_answer(child, name="a server", host=f"{LOOPBACK}:{port}", path="/", timeout_seconds=DEADLINE_SECONDS)
    assert child.exit_code is None


def test_a_server_that_ends_while_starting_is_reported_with_its_last_lines(run: Run) -> None:
    child, _ = run("raise SystemExit('the port is taken')")
    with pytest.raises(ProcessNotReady, match=r"a server ended with exit code 1 [^$]*the port is taken"):
        await_answer(child, name="a server", host=f"{LOOPBACK}:1", path="/", timeout_seconds=DEADLINE_SECONDS)


def test_a_server_that_never_answers_is_given_up_at_the_deadline(run: Run) -> None:
    child, _ = run(WAITS)
    with pytest.raises(ProcessNotReady, match=r"a server did not answer at http://127\.0\.0\.1:1/ within 0\.1 s"):
        await_answer(child, name="a server", host=f"{LOOPBACK}:1", path="/", timeout_seconds=0.1)


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(50))) == 50
