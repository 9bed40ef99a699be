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
    entered, woken = list[float](), list[float]()
    used, memory = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for _ in range(runs):
        with running(only(*FUNCTIONS).pulled(*FUNCTIONS)) as bench:
            bench.seconds(EVENTS_TOPIC, [log_line(-number) for number in range(1, WARM_MEMBERS)])
            before = bench.cpu_seconds()
            entered.append(members / bench.seconds(EVENTS_TOPIC, [log_line(number) for number in range(members)]))
            between = bench.cpu_seconds()
            bench.move_to(START + WAIT)
            all_members = members + WARM_MEMBERS - 1
            woken.append(all_members / bench.seconds(SWEEPS_TOPIC, [b"{}"]))
            after = bench.cpu_seconds()
            for name in after:
                used[f"enter: CPU a member of {name}"].append((between[name] - before[name]) / members * 1e6)
                used[f"wake: CPU a member of {name}"].append((after[name] - between[name]) / all_members * 1e6)
            outcomes = bench.cloud.traffic.outcomes
            assert outcomes["ended"] == outcomes["entered"] == all_members, outcomes
            for name, mib in bench.resident_mib().items():
                memory[name].append(mib)
    yield figure("end to end, pull", "enter: members", entered, "/s", least=TARGET_PER_SECOND)
    yield figure("end to end, pull", "wake: members", woken, "/s", least=TARGET_PER_SECOND)
    for name, microseconds in sorted(used.items()):
        yield figure("end to end, pull", name, microseconds, "µs")
    for name, mibs in memory.items():
        yield figure("end to end, pull", f"memory of {name} afterwards", mibs, "MiB", most=TARGET_MIB)
