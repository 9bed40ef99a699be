"""Child processes that cannot outlive their parent, and their restart.

    parent ──── pipe (stdin of the shell) ────▶ guard: read; kill -KILL 0
       └── /bin/sh, a session and group of its own ──exec──▶ the command ──▶ its own children

The guard is a forked shell of half a megabyte in the command's own process group. It blocks on a pipe to which nobody
ever writes; the kernel closes the pipe's other end when the parent is gone, however it went, and the guard then
kills the whole group with itself in it. Closing the pipe on purpose is how a stop ends. Works on Linux and macOS,
where PR_SET_PDEATHSIG does not exist.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Condition, Event, Thread
from typing import IO

from emulator.errors import ProcessNotReady

LOOPBACK = "127.0.0.1"
STOP_GRACE_SECONDS = 5.0
KEPT_LINES = 20
READINESS_POLL_SECONDS = 0.03
READINESS_REQUEST_SECONDS = 2.0
FIRST_RESTART_PAUSE_SECONDS = 0.2
LONGEST_RESTART_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 30.0

# The guard ignores the signals of an orderly stop: it must see the end of the group. It gives its standard
# streams away so that the readers of the command's output see the end of it.
_GUARDED = """
exec 3<&0
(trap '' HUP INT TERM; read -r _ <&3; kill -KILL 0) </dev/null >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null
"""


class ChildProcess:
    """A running command whose output lines go to a callback, and which dies with this process on any death.

    `on_exit` is called with the exit code, from a thread, if the command ends before `stop` is called.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        on_line: Callable[[str], None],
        on_exit: Callable[[int], None] = lambda code: None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._on_line, self._on_exit = on_line, on_exit
        self._stopping, self._ended = Event(), Event()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDED, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=environment,
            cwd=directory,
        )
        # Two pipes, not one: a warning on stderr must not tear a JSON line on stdout.
        self._readers = [Thread(target=self._read, args=(stream,), daemon=True) for stream in self._outputs()]
        self._reaper = Thread(target=self._reap, daemon=True)
        for thread in (*self._readers, self._reaper):
            thread.start()

    @property
    def pid(self) -> int:
        """The command's own process id, which is also its group's."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Whether it has ended, with all its children gone and its last line delivered, within the time."""
        return self._ended.wait(timeout_seconds)

    def terminate(self) -> None:
        """Ask the command to end, without waiting: so that several can end at the same time."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL the command and its children at one stroke, as an exit of their own."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """End the command and its children: SIGTERM, some grace, SIGKILL. A second call does nothing."""
        self.terminate()
        if not self._ended.wait(STOP_GRACE_SECONDS):
            self._signal(signal.SIGKILL)
        self._reaper.join()

    def _signal(self, number: signal.Signals) -> None:
        if not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _outputs(self) -> Iterator[IO[bytes]]:
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            yield stream

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                text = line.decode(errors="replace").rstrip()
                self.last_lines.append(text)
                self._on_line(text)

    def _reap(self) -> None:
        code = self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        for reader in self._readers:
            reader.join(STOP_GRACE_SECONDS)  # at most: a grandchild that left the group may hold the pipe
        self._ended.set()
        if not self._stopping.is_set():
            self._on_exit(code)


class Supervised:
    """A process that is started again when it ends by itself, after a pause that grows while it keeps ending."""

    def __init__(
        self,
        start: Callable[[Callable[[int], None]], ChildProcess],
        *,
        say: Callable[[str], None],
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        """`start` makes the child with the `on_exit` it is given, now and at every restart; `on_start` follows it."""
        self._start, self._say, self._on_start = start, say, on_start
        self._stopping, self._changed = Event(), Condition()
        self._pause_seconds = FIRST_RESTART_PAUSE_SECONDS
        self._spawn()

    @property
    def child(self) -> ChildProcess:
        """The one that runs now; another after a restart."""
        return self._child

    def kill(self) -> None:
        """SIGKILL it and its children, as a platform does that is out of memory; returns when the next one was started."""
        killed = self._child
        self._pause_seconds = FIRST_RESTART_PAUSE_SECONDS
        killed.kill()
        with self._changed:
            self._changed.wait_for(lambda: self._child is not killed or self._stopping.is_set())

    def terminate(self) -> None:
        """Ask it to end, for good, without waiting."""
        self._stopping.set()
        with self._changed:
            self._child.terminate()
            self._changed.notify_all()

    def stop(self) -> None:
        """End it; it is not started again."""
        self.terminate()
        self._child.stop()

    def _spawn(self) -> None:
        with self._changed:
            if not self._stopping.is_set():
                self._started_at = time.monotonic()
                self._child = self._start(self._ended)
                self._on_start()
                self._changed.notify_all()

    def _ended(self, code: int) -> None:
        steady = time.monotonic() - self._started_at > STEADY_SECONDS
        pause = FIRST_RESTART_PAUSE_SECONDS if steady else self._pause_seconds
        self._pause_seconds = min(2 * pause, LONGEST_RESTART_PAUSE_SECONDS)
        self._say(f"ended with exit code {code}; started again in {pause:g} s")
        if not self._stopping.wait(pause):
            self._spawn()


def free_ports(count: int) -> list[int]:
    """Different loopback ports nobody listens on; all are held open until all are known, so that none comes twice."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def answers(host: str, path: str) -> bool:
    """Whether any HTTP answer comes: an open port may precede the worker behind it. Never through a proxy."""
    try:
        with contextlib.closing(http.client.HTTPConnection(host, timeout=READINESS_REQUEST_SECONDS)) as connection:
            connection.request("GET", path)
            return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False


def await_answer(child: ChildProcess, *, name: str, host: str, path: str, timeout_seconds: float) -> None:
    """Return when the child answers; it must also be alive, for another server may hold its port.

    Raises ProcessNotReady with the child's last lines if it ended or the time is over.
    """
    deadline = time.monotonic() + timeout_seconds
    while not child.wait(READINESS_POLL_SECONDS):
        if answers(host, path) and child.exit_code is None:
            return
        if time.monotonic() > deadline:
            raise _not_ready(child, f"{name} did not answer at http://{host}{path} within {timeout_seconds:g} s")
    raise _not_ready(child, f"{name} ended with exit code {child.exit_code} while it was starting")


def _not_ready(child: ChildProcess, problem: str) -> ProcessNotReady:
    return ProcessNotReady("\n  ".join([problem + "; its last lines:", *child.last_lines]))
