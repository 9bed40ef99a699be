"""`python -m emulator.kill`: functions are killed at random; exit code 1 if anybody is stuck, lost or doubled."""

from __future__ import annotations

import argparse
import os
import sys

from rich.console import Console

from emulator.kill.play import Ordeal, run
from emulator.kill.scenario import scenario
from emulator.kill.table import print_result, print_twins
from emulator.kill.twins import meet
from sojourn.domain.engine import MAX_NODES_PER_HOP

JAVA_OPTIONS = "-Xmx4g -XX:TieredStopAtLevel=4"
"""For the emulators: Firestore's keeps everything in memory and walks all of it for each query."""


def main() -> None:
    """Both parts, one after the other."""
    asked = _arguments()
    os.environ.setdefault("_JAVA_OPTIONS", JAVA_OPTIONS)
    console = Console(highlight=False)
    plan = scenario(asked.seed, members=asked.members, entry_minutes=asked.entry_minutes)
    ordeal = Ordeal(asked.seed, asked.kills, asked.hangs, asked.max_nodes_per_hop)
    result = run(plan, ordeal, say=_say, watch=_watch)
    print_result(console, result)
    twins = meet(asked.twins, say=_say)
    print_twins(console, twins)
    sys.exit(not (result.right and twins.right and len(result.kills) >= asked.kills))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill functions at random while members are on their way.")
    for name, default, text in (
        ("members", 3_000, "who take part"),
        ("kills", 20, "times that a function is killed"),
        ("seed", 7, "who does what, what is killed when, what goes wrong"),
        ("entry-minutes", 12, "minutes within which members enter"),
        ("hangs", 8, "calls that the receiver lets hang at most"),
        ("max-nodes-per-hop", MAX_NODES_PER_HOP, "how far a member goes per message"),
        ("twins", 1_000, "members whose events come twice at once"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text}; default: %(default)s")
    return parser.parse_args()


def _say(source: str, text: str) -> None:
    if text.startswith(("ERROR", "CRITICAL")):
        sys.stderr.write(f"{source}: {text[:2_000]}\n")


def _watch(minute: int) -> None:
    sys.stderr.write(f"\rminute {minute}")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
