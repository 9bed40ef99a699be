"""The state directory: one owner at a time, known to be alive, and nothing stale is believed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator import state
from emulator.errors import AlreadyRunning
from emulator.state import FunctionAddress, LocalState, owned, read_state, running_pid, write_state
from tests.spawned import spawned

STATE = LocalState(
    project="p",
    pubsub_emulator_host="127.0.0.1:1",
    firestore_emulator_host="127.0.0.1:2",
    log_router_url="http://127.0.0.1:3",
    mailbox_url="http://127.0.0.1:4",
    functions={"sweep": FunctionAddress(url="http://127.0.0.1:5/", pid=6)},
)
OWNER = """
import pathlib, signal, sys
from emulator.state import owned
with owned(pathlib.Path(sys.argv[1])):
    print("owned", flush=True)
    signal.pause()
"""


@pytest.fixture
def other_owner(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that owns the directory, until it is killed."""
    root = str(Path(state.__file__).parents[1])
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with spawned(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"owned\n"
        yield process


def test_the_owner_is_known_and_leaves_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "not" / "yet"
    with owned(directory):
        write_state(directory, STATE)
        assert running_pid(directory) == os.getpid()
        assert read_state(directory) == STATE
    assert list(directory.iterdir()) == []
    assert running_pid(directory) is None


def test_a_second_owner_is_refused_with_the_first_ones_pid(tmp_path: Path, other_owner: subprocess.Popen[bytes]) -> None:
    with pytest.raises(AlreadyRunning, match=rf"already running \(process {other_owner.pid}\).*sojourn down"), owned(tmp_path):
        pass
    assert running_pid(tmp_path) == other_owner.pid


def test_what_a_killed_owner_left_is_not_believed_and_is_cleaned(tmp_path: Path, other_owner: subprocess.Popen[bytes]) -> None:
    write_state(tmp_path, STATE)
    other_owner.send_signal(signal.SIGKILL)
    other_owner.wait()
    assert (tmp_path / state.PID_FILE).exists()
    assert running_pid(tmp_path) is None
    assert read_state(tmp_path) is None
    with owned(tmp_path):
        assert [file.name for file in tmp_path.iterdir()] == [state.PID_FILE]


@pytest.mark.parametrize("garbage", [b"", b"\xff\x00", b"{}", b'{"project": "p"}'])
def test_garbage_is_no_state(tmp_path: Path, garbage: bytes) -> None:
    with owned(tmp_path):
        (tmp_path / state.STATE_FILE).write_bytes(garbage)
        assert read_state(tmp_path) is None


def test_a_pid_file_of_garbage_still_refuses_a_second_owner(tmp_path: Path, other_owner: subprocess.Popen[bytes]) -> None:
    (tmp_path / state.PID_FILE).write_text("not a number")
    with pytest.raises(AlreadyRunning, match="process unknown"), owned(tmp_path):
        pass


def test_nothing_runs_in_a_directory_that_does_not_exist(tmp_path: Path) -> None:
    assert running_pid(tmp_path / "nowhere") is None
    assert read_state(tmp_path / "nowhere") is None
