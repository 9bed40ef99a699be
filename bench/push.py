"""A pushed hop beside a function that only answers 204 after one get and one compare-and-set.

Both are served by functions-framework and gunicorn, with the emulator's two pushes in flight; documents and messages are alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figure import Figure, figure
from bench.limit import entered
from bench.local import Bench, only, running
from emulator.functions_table import REPOSITORY
from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC

HOPS, QUICK_HOPS, WARM_HOPS = 500, 100, 300
TURNS = 4
"""Of each in a run, by turns: the machine and the emulators are not equally fast all the time."""
TOPICS = {"bare": EFFECTS_TOPIC, "run_journey": RUNS_TOPIC}
TARGET_RATIO = 0.9


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Raises EmulatorsMissing."""
    hops = QUICK_HOPS if quick else HOPS
    rates, used = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for run in range(runs):
        with _both() as bench:
            first, seconds = 10_000_000 * (run + 1), dict.fromkeys(TOPICS, 0.0)
            for topic in TOPICS.values():
                bench.seconds(topic, entered(bench, WARM_HOPS, first=first))
                first += WARM_HOPS
            before = bench.cpu_seconds()
            for name, topic in [*TOPICS.items()] * TURNS:
                seconds[name] += bench.seconds(topic, entered(bench, hops, first=first))
                first += hops
            after = bench.cpu_seconds()
            for name in TOPICS:
                rates[name].append(TURNS * hops / seconds[name])
                used[name].append((after[name] - before[name]) / TURNS / hops * 1e6)
    yield figure("hop, pushed", "function, hops", rates["run_journey"], "/s")
    yield figure("hop, pushed", "bare function, get and compare-and-set", rates["bare"], "/s")
    ratios = [own / other for own, other in zip(rates["run_journey"], rates["bare"], strict=True)]
    yield figure("hop, pushed", "function to bare function", ratios, "", least=TARGET_RATIO)
    yield figure("hop, pushed", "CPU of a hop in the function", used["run_journey"], "µs")
    yield figure("hop, pushed", "CPU of a hop in the bare function", used["bare"], "µs")


@contextmanager
def _both() -> Iterator[Bench]:
    """Our function on its topic, the bare one on a topic that nobody else uses here."""
    table = only("run_journey")
    bare = table.functions["run_journey"].model_copy(update={"entry_point": "bare", "topic": EFFECTS_TOPIC})
    with TemporaryDirectory(prefix="sojourn-bench-") as folder:
        sources = Path(folder)
        (sources / "run_journey").symlink_to(REPOSITORY / "functions" / "run_journey")
        (sources / "bare").symlink_to(REPOSITORY / "bench" / "bare")
        both = table.model_copy(update={"functions": {**table.functions, "bare": bare}})
        with running(both, sources=sources, stands_still=False) as bench:
            yield bench
