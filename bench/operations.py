"""What a member of the reference journey asks of the cloud from the log line to the end, counted at the ports, on memory."""

from __future__ import annotations

from collections.abc import Iterable

from bench.counting import Operations
from bench.figure import Figure, figure
from bench.reference import count, on_memory
from sojourn.application.workshop import Limits
from sojourn.domain.engine import MAX_NODES_PER_HOP

MEMBERS = 200
TARGETS = {"writes": 3, "reads": 4, "messages": 2}
WORDS = {"writes": "documents written", "reads": "documents read", "messages": "run messages"}


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """The same at every run; beside it what one node a message would cost."""
    for nodes in (MAX_NODES_PER_HOP, 1):
        ledger = count(on_memory(Limits(max_nodes_per_hop=nodes)), members=MEMBERS)
        each = sum((ledger.stages[name] for name in ("enter", "hop", "sweep")), Operations()).per(MEMBERS)
        for name, target in TARGETS.items():
            # The queries of the one sweep that wakes everybody are not a member's own.
            own = round(each[name], 1)
            about = f"{WORDS[name]} a member, {nodes} node{'s' if nodes > 1 else ''} a hop"
            yield figure("operations", about, [own], "", most=target if nodes > 1 else None)
