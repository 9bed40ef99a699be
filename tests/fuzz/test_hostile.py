"""Inputs made to hang a reader or to fill its memory are refused in a process of little time and memory.

Time is the processor's, not the clock's, and generous: without its bound any one of them takes minutes, or gigabytes.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from emulator.functions_table import REPOSITORY
from tests.fuzz.hostile import cases

DEADLINE_SECONDS = 600
"""Of a machine that has much else to do; the process's own limit is on what it computes."""
MOST_MEMORY_BYTES = 512 << 20


@pytest.mark.slow
def test_nothing_hangs_a_reader_or_fills_its_memory() -> None:
    """The last line of what it wrote names the input that it ended on."""
    command = [sys.executable, "-m", "tests.fuzz.hostile"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    *names, last = done.stdout.splitlines()
    assert done.returncode == 0, f"{last}: {done.stderr[-1_000:]}"
    assert names == [name for name, _ in cases()]
    assert int(last) < MOST_MEMORY_BYTES
