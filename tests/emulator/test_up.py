"""`sojourn up` as a person runs it: a log line becomes a message, and whatever ends it leaves no process, port or file."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Self

import httpx
import pytest

from emulator.state import STATE_FILE, LocalState
from tests.spawned import spawned

pytestmark = [pytest.mark.emulators, pytest.mark.slow]

DEADLINE_SECONDS = 60.0
SOJOURN = (sys.executable, "-c", "from sojourn.cli.main import main; main()")
JOURNEY = """
id: hello
bot_id: shop
name: Hello
nodes:
  - {id: joined, key: event, settings: {name: member.joined}, next: greet}
  - {id: greet, key: send_message, settings: {channel: mailbox, message: "Hi {{ trigger.data.name }}"}, next: done}
  - {id: done, key: exit}
"""
EVENT = {
    "event": "member.joined",
    "metadata": {"support_journey": True},
    "data": {"bot_id": "shop", "member_id": "m-1", "name": "Ana", "email": "ana@example.com"},
}


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes to hold before the deadline."""
    deadline, never = time.monotonic() + DEADLINE_SECONDS, Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        never.wait(0.05)
    return True


def is_open(address: str) -> bool:
    """Whether anybody listens at the URL or host:port."""
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def processes() -> dict[int, tuple[int, int]]:
    """Parent and group of every process by id; zombies do not count."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [row.split() for row in listing.splitlines()]
    return {int(pid): (int(parent), int(group)) for pid, parent, group, stat in rows if not stat.startswith("Z")}


def groups_below(pid: int) -> set[int]:
    """The process groups of all its descendants but its own, which a child is in for a moment before it has its own."""
    found, family = processes(), {pid}
    while more := {child for child, (parent, _) in found.items() if parent in family} - family:
        family |= more
    return {found[child][1] for child in family} - {found[pid][1]}


class Up:
    """A running `sojourn up`, and everything that must be gone once it is."""

    def __init__(self, state_dir: Path) -> None:
        self.environment = os.environ | {"SOJOURN_STATE_DIR": str(state_dir)}
        self.state_file = state_dir / STATE_FILE
        self._said: SimpleQueue[str] = SimpleQueue()
        self.everything_said: list[str] = []
        self.process = subprocess.Popen(
            [*SOJOURN, "up"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment
        )
        self._reader = Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        try:
            self.await_said("ready")
            self.state = LocalState.model_validate_json(self.state_file.read_bytes())
            self.groups = groups_below(self.process.pid)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE_SECONDS)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.everything_said.append(line)
                self._said.put(line.rstrip())

    def await_said(self, part: str) -> str:
        """The next line of its log with the part in it."""
        heard = []
        while part not in (line := self._said.get(timeout=DEADLINE_SECONDS)):
            heard.append(line)
        return line

    def run(self, *arguments: str, stdin: str = "") -> str:
        """What another `sojourn` says in the same folder; it must succeed."""
        command = [*SOJOURN, *arguments]
        return subprocess.run(
            command, input=stdin, env=self.environment, capture_output=True, text=True, check=True, timeout=DEADLINE_SECONDS
        ).stdout

    def messages(self) -> list[dict[str, object]]:
        """What the mailbox holds."""
        found: list[dict[str, object]] = httpx.get(f"{self.state.mailbox_url}/messages", trust_env=False).json()
        return found

    def end(self, number: signal.Signals) -> int:
        """Send the signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)

    def leftovers(self) -> list[object]:
        """Processes and ports that are still there."""
        alive = [pid for pid, (_, group) in processes().items() if group in self.groups]
        state = self.state
        addresses = [state.firestore_emulator_host, state.pubsub_emulator_host, state.log_router_url, state.mailbox_url]
        addresses += [function.url for function in state.functions.values()]
        return [*alive, *filter(is_open, addresses)]


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local cloud of its own: it does not meet one that runs beside the tests, nor that one's emulators."""
    for variable in ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "state"


def test_a_log_line_becomes_a_message_a_dead_function_comes_back_and_ctrl_c_leaves_nothing(state_dir: Path) -> None:
    with Up(state_dir) as up:
        (state_dir / "hello.yaml").write_text(JOURNEY)
        assert up.run("journeys", "publish", str(state_dir / "hello.yaml")) == "hello: version 1 is ONGOING in sojourn-local\n"
        assert up.run("logs", "route", stdin=json.dumps(EVENT) + "\nnoise") == "2 lines, 1 of them for journeys\n"
        assert eventually(lambda: [each["message"] for each in up.messages()] == ["Hi Ana"])
        before = json.loads(up.run("status", "--json"))["functions"]["perform"]
        os.kill(before["pid"], signal.SIGKILL)
        assert "perform" in up.await_said("ended with exit code -9; started again in 0.2 s")
        assert eventually(lambda: json.loads(up.state_file.read_text())["functions"]["perform"]["pid"] != before["pid"])
        up.groups |= groups_below(up.process.pid)
        (state_dir / "hello.yaml").unlink()
        assert (up.end(signal.SIGINT), up.leftovers(), list(state_dir.iterdir())) == (0, [], [])
    assert any("run_journey" in line for line in up.everything_said)
    assert [line for line in up.everything_said if "Hi Ana" in line or "ana@example.com" in line or "m-1" in line] == []


def test_up_again_after_sigterm_is_as_the_first_time(state_dir: Path) -> None:
    for _ in range(2):
        with Up(state_dir) as up:
            assert up.messages() == []
            assert (up.end(signal.SIGTERM), up.leftovers(), list(state_dir.iterdir())) == (0, [], [])


def test_a_crash_of_the_parent_leaves_no_process_and_no_port_and_the_next_one_starts(state_dir: Path) -> None:
    with Up(state_dir) as up:
        up.end(signal.SIGKILL)
        assert eventually(lambda: not up.leftovers()), up.leftovers()
    with Up(state_dir) as up:
        assert up.run("down") == "stopped\n"
        assert (up.process.wait(DEADLINE_SECONDS), up.leftovers(), list(state_dir.iterdir())) == (0, [], [])


def test_ctrl_c_during_the_start_leaves_nothing(state_dir: Path) -> None:
    up = Up(state_dir)
    up.await_said("starting")
    assert eventually(lambda: len(groups_below(up.process.pid)) > 1)
    groups = groups_below(up.process.pid)
    assert up.end(signal.SIGINT) != 0
    up.__exit__()
    assert (groups & {group for _, group in processes().values()}, list(state_dir.iterdir())) == (set(), [])


def test_ctrl_c_in_a_demo_on_emulators_leaves_nothing_and_shows_no_stack(tmp_path: Path) -> None:
    command = [*SOJOURN, "demo", "--backend", "emulators", "--members", "1"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with spawned(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as demo:
        assert eventually(lambda: len(groups_below(demo.pid)) > 4)
        groups = groups_below(demo.pid)
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=DEADLINE_SECONDS)
    assert (demo.returncode, "Traceback" in said) == (130, False)
    assert (groups & {group for _, group in processes().values()}, list(tmp_path.iterdir())) == (set(), [])
