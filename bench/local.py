"""A local cloud for a benchmark: fresh emulators, the functions that it needs, a clock that is moved by hand.

The emulators keep their data in memory. They get more of it than in tests.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from bench.reference import START, journey
from emulator.clock_file import write_clock
from emulator.functions_table import REPOSITORY, FunctionsTable, load_functions_table
from emulator.local_cloud import LocalCloud, LocalCloudSettings
from emulator.pubsub import Message
from sojourn.application.lifecycle import publish_journey
from sojourn.application.workshop import Workshop
from sojourn.domain.definition import Definition
from sojourn.runtime.application import compose
from sojourn.runtime.settings import VARIABLES, read_settings

JAVA_OPTIONS = "-Xms2g -Xmx4g -Xmn1g"
SHARDS = 2
"""Fewer than by default: the Firestore emulator walks all documents for each query of the sweep."""
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Bench:
    """A running cloud, and a workshop on its stores."""

    cloud: LocalCloud
    shop: Workshop
    clock_file: Path

    def move_to(self, now: datetime) -> None:
        """Set the clock of every function."""
        write_clock(self.clock_file, now)

    def seconds(self, topic: str, data: list[bytes]) -> float:
        """From publishing until no message is on its way any more."""
        begin = time.perf_counter()
        self.cloud.publish(topic, [Message(each) for each in data])
        self.cloud.wait_quiet(PATIENCE_SECONDS)
        return time.perf_counter() - begin

    def cpu_seconds(self) -> dict[str, float]:
        """What each function and both emulators together have used so far, their children included."""
        emulators = [emulator.child.pid for emulator in self.cloud.emulators if emulator.child]
        used = {"the emulators": sum(map(_cpu_seconds, emulators))}
        return used | {name: _cpu_seconds(at.pid) for name, at in self.cloud.addresses.functions.items()}

    def resident_mib(self) -> dict[str, float]:
        """What each function holds in memory now: the largest of its processes, for a server has a master as well."""
        return {name: max(map(_resident_mib, _family(at.pid))) for name, at in self.cloud.addresses.functions.items()}


def only(*names: str, **fields: object) -> FunctionsTable:
    """The table of functions with these alone, and other values in some of their fields."""
    return load_functions_table().only(*names, **fields)


@contextmanager
def running(
    table: FunctionsTable,
    *,
    definition: Definition | None = None,
    sources: Path = REPOSITORY / "functions",
    stands_still: bool = True,
) -> Iterator[Bench]:
    """With one journey published, by default the reference journey. The clock stands still, or is the real one.

    Raises EmulatorsMissing.
    """
    with TemporaryDirectory(prefix="sojourn-bench-") as folder, _fast_java():
        clock_file = Path(folder) / "clock"
        write_clock(clock_file, START)
        settings = LocalCloudSettings(
            project=f"bench-{uuid4().hex[:12]}",
            source_dir=sources,
            state_dir=Path(folder),
            ticking=False,
            table=table,
            environment={
                VARIABLES["shards"]: str(SHARDS),
                **({VARIABLES["clock_file"]: str(clock_file)} if stands_still else {}),
            },
        )
        with LocalCloud(settings, say=_say) as cloud:
            shop = compose(read_settings(cloud.environment))
            publish_journey(shop, definition or journey())
            yield Bench(cloud, shop, clock_file)


@contextmanager
def _fast_java() -> Iterator[None]:
    """For the emulators that are started now."""
    before = os.environ.get("_JAVA_OPTIONS")
    os.environ["_JAVA_OPTIONS"] = before or JAVA_OPTIONS
    try:
        yield
    finally:
        if before is None:
            del os.environ["_JAVA_OPTIONS"]


def _say(source: str, text: str) -> None:
    if text.startswith(("ERROR", "CRITICAL", "WARNING")) and "_JAVA_OPTIONS" not in text:
        sys.stderr.write(f"{source}: {text[:1_000]}\n")


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def _cpu_seconds(pid: int) -> float:
    """Of a process and of those that it started, by /proc."""
    ticks = 0
    for each in _family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime, stime
    return ticks / os.sysconf("SC_CLK_TCK")


def _resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)
