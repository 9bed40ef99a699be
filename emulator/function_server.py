"""One function as a process: functions-framework on a loopback port, or the worker that pulls, as in the cloud."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emulator.errors import FunctionMissing, ProcessNotReady
from emulator.functions_table import REPOSITORY
from emulator.processes import LOOPBACK, ChildProcess, await_answer

READY_TIMEOUT_SECONDS = 60.0
# functions-framework answers this path itself: the function is not called and logs nothing.
READINESS_PATH = "/robots.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionProcess:
    """What it takes to start it, any number of times."""

    name: str
    source: Path
    environment: Mapping[str, str]

    def start(self, command: list[str], on_line: Callable[[str], None], on_exit: Callable[[int], None]) -> ChildProcess:
        """Start `python -m` command, without waiting. Raises FunctionMissing."""
        if not self.source.is_file():
            raise FunctionMissing(f"the function {self.name} has no source: there is no {self.source}")
        return ChildProcess(
            [sys.executable, "-m", *command],
            on_line=on_line,
            on_exit=on_exit,
            environment=self.environment,
            directory=REPOSITORY,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionServer(FunctionProcess):
    """Always at the same address."""

    entry_point: str
    port: int

    @property
    def url(self) -> str:
        """Where Pub/Sub pushes to."""
        return f"http://{LOOPBACK}:{self.port}/"

    def spawn(self, *, on_line: Callable[[str], None], on_exit: Callable[[int], None]) -> ChildProcess:
        """Start it, without waiting. Raises FunctionMissing."""
        where = ["--host", LOOPBACK, "--port", str(self.port)]
        what = ["--source", str(self.source), "--target", self.entry_point, "--signature-type", "http"]
        return self.start(["functions_framework", *what, *where], on_line, on_exit)

    def await_ready(self, child: ChildProcess) -> None:
        """Block until the worker answers; the port is open before. Raises ProcessNotReady."""
        await_answer(
            child,
            name=f"the function {self.name}",
            host=f"{LOOPBACK}:{self.port}",
            path=READINESS_PATH,
            timeout_seconds=READY_TIMEOUT_SECONDS,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionWorker(FunctionProcess):
    """Has no address: it pulls. What it has not pulled yet waits in the subscription, so nobody waits for it."""

    url: ClassVar[str] = ""

    def spawn(self, *, on_line: Callable[[str], None], on_exit: Callable[[int], None]) -> ChildProcess:
        """Start it, without waiting. Raises FunctionMissing."""
        return self.start(["sojourn.runtime.worker", str(self.source)], on_line, on_exit)

    def await_ready(self, child: ChildProcess) -> None:
        """Raises ProcessNotReady where it has ended already."""
        if child.exit_code is not None:
            raise ProcessNotReady("\n  ".join([f"the worker of {self.name} ended; its last lines:", *child.last_lines]))
