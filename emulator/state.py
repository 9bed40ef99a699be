"""What a running local cloud leaves in its state directory: its addresses, its process id, and a lock nobody can forget.

The lock is the kernel's, on the directory itself: it ends with the process, whatever ended that, so files of a dead
one are known to be stale and are cleaned by the next.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from emulator.errors import AlreadyRunning

STATE_FILE = "local.json"
PID_FILE = "local.pid"
_NEW_STATE_FILE = "local.json.new"


class FunctionAddress(BaseModel):
    """Where a function answers, nothing for one that pulls, and the process that serves it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    pid: int


class LocalState(BaseModel):
    """The content of `.sojourn/local.json`; null is what does not run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str
    pubsub_emulator_host: str
    firestore_emulator_host: str
    scheduler_emulator_host: str | None = None
    log_router_url: str
    api_url: str | None = None
    mailbox_url: str
    functions: dict[str, FunctionAddress]


@contextlib.contextmanager
def owned(directory: Path) -> Iterator[None]:
    """Hold the directory for this process, clean of anything stale, and leave it clean. Raises AlreadyRunning."""
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory, fcntl.LOCK_EX) as is_ours:
        if not is_ours:
            raise AlreadyRunning(
                f"a local cloud of {directory} is already running (process {_pid(directory) or 'unknown'}): "
                "use it, or end it with `sojourn down`"
            )
        _clean(directory)
        (directory / PID_FILE).write_text(f"{os.getpid()}\n")
        try:
            yield
        finally:
            _clean(directory)


def running_pid(directory: Path) -> int | None:
    """The process that runs the local cloud of this directory; None if none does, whatever the files say."""
    if not directory.is_dir():
        return None
    with _locked(directory, fcntl.LOCK_SH) as is_free:
        return None if is_free else _pid(directory)


def write_state(directory: Path, state: LocalState) -> None:
    """Replace the file in one step: a reader sees the old one or the new one."""
    new = directory / _NEW_STATE_FILE
    new.write_text(state.model_dump_json(indent=2) + "\n")
    new.replace(directory / STATE_FILE)


def read_state(directory: Path) -> LocalState | None:
    """The addresses of the running local cloud; None if none runs, or is not ready yet, or the file is garbage."""
    if running_pid(directory) is None:
        return None
    try:
        return LocalState.model_validate_json((directory / STATE_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


@contextlib.contextmanager
def _locked(directory: Path, kind: int) -> Iterator[bool]:
    """Whether the lock was to be had; it goes with the descriptor, which no child process inherits."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            is_ours = True
        except BlockingIOError:
            is_ours = False
        yield is_ours
    finally:
        os.close(descriptor)


def _pid(directory: Path) -> int | None:
    try:
        return int((directory / PID_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _clean(directory: Path) -> None:
    for name in (STATE_FILE, PID_FILE, _NEW_STATE_FILE):
        (directory / name).unlink(missing_ok=True)
