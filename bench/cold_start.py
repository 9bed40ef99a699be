"""What an instance pays before its first request: importing `main.py` in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable

from bench.figure import Figure, figure
from emulator.functions_table import REPOSITORY, load_functions_table

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


def _import(function: str) -> tuple[float, float]:
    """Seconds, and peak memory in MiB."""
    command = [sys.executable, "-c", IMPORT, str(REPOSITORY / "functions" / function / "main.py")]
    seconds, mib = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return seconds, mib


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Every function of `infra/functions.json`."""
    for name in load_functions_table().everything:
        seconds, mib = zip(*(_import(name) for _ in range(runs)), strict=True)
        yield figure("cold start", f"import of {name}", seconds, "s", most=TARGET_SECONDS)
        yield figure("cold start", f"memory of {name} after it", mib, "MiB", most=TARGET_MIB)
