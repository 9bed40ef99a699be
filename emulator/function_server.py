"""One function as a server process: functions-framework, as in the cloud, on a loopback port."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import FunctionMissing
from emulator.functions_table import REPOSITORY
from emulator.processes import LOOPBACK, ChildProcess, await_answer

READY_TIMEOUT_SECONDS = 60.0
# functions-framework answers this path itself: the function is not called and logs nothing.
READINESS_PATH = "/robots.txt"


@dataclass(frozen=True, slots=True)
class FunctionServer:
    """What it takes to start it, any number of times, at the same address."""

    name: str
    entry_point: str
    source: Path
    port: int
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        """Where Pub/Sub pushes to."""
        return f"http://{LOOPBACK}:{self.port}/"

    def spawn(self, *, on_line: Callable[[str], None], on_exit: Callable[[int], None]) -> ChildProcess:
        """Start it, without waiting. Raises FunctionMissing."""
        if not self.source.is_file():
            raise FunctionMissing(f"the function {self.name} has no source: there is no {self.source}")
        where = ("--host", LOOPBACK, "--port", str(self.port))
        what = ("--source", str(self.source), "--target", self.entry_point, "--signature-type", "http")
        return ChildProcess(
            [sys.executable, "-m", "functions_framework", *what, *where],
            on_line=on_line,
            on_exit=on_exit,
            environment=self.environment,
            directory=REPOSITORY,
        )

    def await_ready(self, child: ChildProcess) -> None:
        """Block until the worker answers; the port is open before. Raises ProcessNotReady."""
        await_answer(
            child,
            name=f"the function {self.name}",
            host=f"{LOOPBACK}:{self.port}",
            path=READINESS_PATH,
            timeout_seconds=READY_TIMEOUT_SECONDS,
        )
