"""A pushed hop beside a function that only answers 204 after one get and one compare-and-set.

Both are served by functions-framework and gunicorn, with the emulator's two pushes in flight; documents and messages are alike.
"""

from __future__ import annotations

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
TARGET_RATIO = 0.9


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Raises EmulatorsMissing."""
    hops, ours, bare = QUICK_HOPS if quick else HOPS, list[float](), list[float]()
    used: dict[str, list[float]] = {"run_journey": [], "bare": []}
    for run in range(runs):
        with _both() as bench:
            first, seconds = 10_000_000 * (run + 1), {EFFECTS_TOPIC: 0.0, RUNS_TOPIC: 0.0}
            for topic in seconds:
                bench.seconds(topic, entered(bench, WARM_HOPS, first=first))
                first += WARM_HOPS
            before = bench.cpu_seconds()
            for topic in list(seconds) * TURNS:
                seconds[topic] += bench.seconds(topic, entered(bench, hops, first=first))
                first += hops
            ours.append(TURNS * hops / seconds[RUNS_TOPIC])
            bare.append(TURNS * hops / seconds[EFFECTS_TOPIC])
            after = bench.cpu_seconds()
            for name, samples in used.items():
                samples.append((after[name] - before[name]) / TURNS / hops * 1e6)
    yield figure("hop, pushed", "function, hops", ours, "/s")
    yield figure("hop, pushed", "bare function, get and compare-and-set", bare, "/s")
    ratios = [own / other for own, other in zip(ours, bare, strict=True)]
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
