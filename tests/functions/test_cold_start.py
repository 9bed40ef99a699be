"""A cold start loads no client of Google's and no terminal, and little memory: clients come with the first request."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from emulator.functions_table import REPOSITORY, load_functions_table

MAX_RSS_MIB = 120
"""Peak, as /proc tells it: `getrusage` would count what the test process had at the fork. Only Linux has it."""
LOAD = r"""
import json, pathlib, re, runpy, sys
import functions_framework
before = set(sys.modules)
runpy.run_path(sys.argv[1])
vendors = {name for name in sys.modules if name.partition(".")[0] in ("google", "grpc", "httpx")}
status = pathlib.Path("/proc/self/status")
peak = re.search(r"VmHWM:\s*(\d+) kB", status.read_text() if status.exists() else "VmHWM: 0 kB")
terminal = sorted({"typer", "rich", "prompt_toolkit"} & (set(sys.modules) - before))
print(json.dumps([sorted(vendors - before), terminal, "grpc" in sys.modules, int(peak[1])]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(load_functions_table().everything))
def test_importing_a_function_loads_no_vendor_client(name: str) -> None:
    command = [sys.executable, "-c", LOAD, str(REPOSITORY / "functions" / name / "main.py")]
    environment = {"PYTHONPATH": str(REPOSITORY / "shared")}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    vendors, terminal, has_grpc, peak_kib = json.loads(done.stdout)
    assert vendors == []
    assert has_grpc is False
    assert terminal == []
    assert peak_kib / 1024 < MAX_RSS_MIB
