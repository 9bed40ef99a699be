"""What an instance pays before its first request: importing `main.py` in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from bench.figure import Figure, figure
from emulator.functions_table import REPOSITORY, load_functions_table

RUNS = 3
TARGET_SECONDS, TARGET_MIB = 0.8, 120
IMPORT = r"""
import json, pathlib, re, resource, runpy, sys, time
begin = time.perf_counter()
runpy.run_path(sys.argv[1], run_name="main")
seconds = time.perf_counter() - begin
status = pathlib.Path("/proc/self/status")  # ru_maxrss would begin with the parent's
kib = re.search(r"VmHWM:\s*(\d+)", status.read_text())[1] if status.exists() else resource.getrusage(0).ru_maxrss
print(json.dumps([seconds, int(kib) / 1024]))
"""


@dataclass(frozen=True, slots=True)
class Import:
    """The fastest of a few fresh interpreters, and its peak memory."""

    function: str
    seconds: float
    peak_mib: float


def imports() -> list[Import]:
    """One for each function of `infra/functions.json`."""
    return [Import(name, *min(_import(name) for _ in range(RUNS))) for name in load_functions_table().everything]


def _import(function: str) -> tuple[float, float]:
    command = [sys.executable, "-c", IMPORT, str(REPOSITORY / "functions" / function / "main.py")]
    seconds, mib = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return seconds, mib


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Every function of the table."""
    for start in imports():
        yield figure("cold start", f"import of {start.function}", [start.seconds], "s", most=TARGET_SECONDS)
        yield figure("cold start", f"memory of {start.function} after it", [start.peak_mib], "MiB", most=TARGET_MIB)
