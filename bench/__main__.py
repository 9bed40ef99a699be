"""`make bench`: what Sojourn costs and how fast it is. Figures are medians of several runs, beside references of the same run.

::

    python -m bench                      everything, about half an hour; the table also into bench/results.md and .json,
                                         from which python -m bench.readme makes those of the README
    python -m bench --only limit,push    some of it          --quick: only whether it runs          --json: for machines

Machines are shared and noisy: compare ratios, not machines. The emulators keep their data in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias, cast

from bench.figure import Figure, markdown
from emulator.errors import EmulatorsMissing

RESULTS = Path(__file__).parent / "results"
ITEMS = {
    "engine": "engine",
    "in-process": "in_process",
    "operations": "operations",
    "irrelevant": "irrelevant",
    "sweep": "sweep",
    "sweep-emulator": "sweep_emulator",
    "simulation": "simulation",
    "cold-start": "cold_start",
    "limit": "limit",
    "end-to-end": "end_to_end",
    "push": "push",
    "latency": "latency",
}
PACKAGES = ("google-cloud-firestore", "google-cloud-pubsub", "functions-framework", "pydantic")
RUNS = 3

Measure: TypeAlias = Callable[[int, bool], Iterable[Figure]]


def main() -> int:
    """The exit code: 1 where a target is missed, unless it was only to be seen whether it runs."""
    asked = _asked()
    figures: list[Figure] = []
    skipped: list[str] = []
    for item in asked.only:
        try:
            figures += _told(cast(Measure, import_module(f"bench.{ITEMS[item]}").measure)(asked.runs, asked.quick))
        except EmulatorsMissing as missing:
            skipped.append(item)
            sys.stderr.write(f"{item}: not measured: {missing}\n")
    machine = _machine()
    if asked.json:
        sys.stdout.write(json.dumps({"machine": machine, "figures": [asdict(one) for one in figures]}) + "\n")
    if not asked.quick and not skipped and len(asked.only) == len(ITEMS):
        _write(machine, figures)
    return int(not asked.quick and any(one.met is False for one in figures))


def _asked() -> argparse.Namespace:
    def items(text: str) -> list[str]:
        unknown = [item for item in text.split(",") if item not in ITEMS]
        if unknown:
            raise argparse.ArgumentTypeError(f"no item {unknown[0]!r}; there are {', '.join(ITEMS)}")
        return text.split(",")

    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Sojourn on this machine.")
    parser.add_argument("--only", type=items, default=list(ITEMS), help=f"some of {','.join(ITEMS)}")
    parser.add_argument("--runs", type=int, default=RUNS, help="samples of each figure; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="one small sample: does it run?")
    parser.add_argument("--json", action="store_true", help="for machines")
    asked = parser.parse_args()
    if asked.quick:
        asked.runs = 1
    return asked


def _told(figures: Iterable[Figure]) -> Sequence[Figure]:
    """All of them, and each on stderr as it comes."""
    found = []
    for one in figures:
        sys.stderr.write(markdown([one]).splitlines()[-1] + "\n")
        found.append(one)
    return found


def _machine() -> dict[str, str]:
    """What the figures depend on, and nothing that names the machine."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit.stdout.strip(),
        "command": "python -m bench",
        "cores": f"{os.cpu_count()} x {models[0] if models else platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _write(machine: dict[str, str], figures: Sequence[Figure]) -> None:
    facts = "; ".join(f"{name} {value}" for name, value in machine.items())
    text = f"# Figures\n\n{facts}.\nThe emulators keep their data in memory, on the same cores.\n\n{markdown(figures)}\n"
    RESULTS.with_suffix(".md").write_text(text)
    found = {"machine": machine, "figures": [asdict(one) for one in figures]}
    RESULTS.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    sys.stderr.write(f"written to bench/{RESULTS.name}.md and .json\n")


if __name__ == "__main__":
    sys.exit(main())
