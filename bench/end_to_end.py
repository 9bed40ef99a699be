"""Members end to end in pull mode: from the log line into the wait, and from the moment the wait is due to the end.

::

    enter   journey-events ─▶ ingest ─▶ journey-runs ─▶ run_journey ─▶ parked          8,000 members, one line each
    wake    a tick ─▶ sweep ─▶ journey-runs ─▶ run_journey ─▶ ended                     all due at the same moment

One worker each for ingest, run_journey and sweep, beside both emulators. The clock jumps; emulators start anew for every run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from bench.figure import Figure, figure
from bench.local import only, running
from bench.reference import START, WAIT, log_line
from sojourn.application.messages import EVENTS_TOPIC, SWEEPS_TOPIC

MEMBERS, QUICK_MEMBERS, WARM_MEMBERS = 8_000, 200, 500
FUNCTIONS = ("ingest", "run_journey", "sweep")
TARGET_PER_SECOND = 1_000
TARGET_MIB = 150


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Raises EmulatorsMissing."""
    members = QUICK_MEMBERS if quick else MEMBERS
    entered, woken, memory = list[float](), list[float](), defaultdict[str, list[float]](list)
    for _ in range(runs):
        with running(only(*FUNCTIONS).pulled(*FUNCTIONS)) as bench:
            bench.seconds(EVENTS_TOPIC, [log_line(-number) for number in range(1, WARM_MEMBERS)])
            entered.append(members / bench.seconds(EVENTS_TOPIC, [log_line(number) for number in range(members)]))
            bench.move_to(START + WAIT)
            woken.append((members + WARM_MEMBERS) / bench.seconds(SWEEPS_TOPIC, [b"{}"]))
            outcomes = bench.cloud.traffic.outcomes
            assert outcomes["ended"] == outcomes["entered"] == members + WARM_MEMBERS - 1, outcomes
            for name, mib in bench.resident_mib().items():
                memory[name].append(mib)
    yield figure("end to end, pull", "enter: members", entered, "/s", least=TARGET_PER_SECOND)
    yield figure("end to end, pull", "wake: members", woken, "/s", least=TARGET_PER_SECOND)
    for name, mibs in memory.items():
        yield figure("end to end, pull", f"memory of {name} afterwards", mibs, "MiB", most=TARGET_MIB)
