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

HOPS, QUICK_HOPS, WARM_HOPS = 1_500, 100, 300
TARGET_RATIO = 0.9


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Raises EmulatorsMissing."""
    hops, ours, bare = QUICK_HOPS if quick else HOPS, list[float](), list[float]()
    for run in range(runs):
        with _both() as bench:
            first = 10_000_000 * (run + 1)
            for topic in (EFFECTS_TOPIC, RUNS_TOPIC):
                bench.seconds(topic, entered(bench, WARM_HOPS, first=first))
                first += WARM_HOPS
            turns = [(EFFECTS_TOPIC, bare), (RUNS_TOPIC, ours)]
            for topic, samples in turns if run % 2 else reversed(turns):
                samples.append(hops / bench.seconds(topic, entered(bench, hops, first=first)))
                first += hops
    yield figure("hop, pushed", "function, hops", ours, "/s")
    yield figure("hop, pushed", "bare function, get and compare-and-set", bare, "/s")
    ratios = [own / other for own, other in zip(ours, bare, strict=True)]
    yield figure("hop, pushed", "function to bare function", ratios, "", least=TARGET_RATIO)


@contextmanager
def _both() -> Iterator[Bench]:
    """Our function on its topic, the bare one on a topic that nobody else uses here."""
    table = only("run_journey")
    bare = table.functions["run_journey"].model_copy(update={"entry_point": "bare", "topic": EFFECTS_TOPIC})
    with TemporaryDirectory(prefix="sojourn-bench-") as folder:
        sources = Path(folder)
        (sources / "run_journey").symlink_to(REPOSITORY / "functions" / "run_journey")
        (sources / "bare").symlink_to(REPOSITORY / "bench" / "bare")
        with running(table.model_copy(update={"functions": {**table.functions, "bare": bare}}), sources=sources) as bench:
            yield bench
