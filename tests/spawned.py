"""A process that a test starts and talks to."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def spawned(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """`subprocess.Popen`, killed at the end: by itself it waits for a process for ever that a failed test has left running."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()
