"""What a member asks of the cloud from the log line to the end, counted at the ports, on memory.

For the reference journey, and for each kind of node: a journey of a trigger, one node and an exit. What performing the effects
asks for is in it; channels are not, nothing leaves this process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from google.cloud.firestore_v1.types import Document

from bench.counting import Ledger, Operations
from bench.figure import Figure, figure
from bench.kinds import BOUGHT, SETTINGS, journey_of, other
from bench.reference import count, on_memory
from sojourn.adapters.firestore_codec import COLLECTIONS, encode
from sojourn.application.lifecycle import publish_journey
from sojourn.application.workshop import Limits
from sojourn.domain.engine import MAX_NODES_PER_HOP
from sojourn.domain.journey import Journey, JourneyVersion
from sojourn.runtime.application import InMemory

MEMBERS = 200
TARGETS = {"writes": 3, "reads": 4, "messages": 2}
WORDS = {
    "writes": "documents written",
    "reads": "documents read",
    "messages": "messages published",
    "message_bytes": "bytes published",
}


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """The same at every run; beside it what one node a message would cost."""
    for nodes in (MAX_NODES_PER_HOP, 1):
        cloud = _cloud(nodes)
        each = _of_a_member(count(cloud, members=MEMBERS))
        for name, words in WORDS.items():
            target = TARGETS.get(name) if nodes > 1 else None
            yield figure("operations", f"{words} a member, {_hop(nodes)}", [each[name]], "", most=target)
        yield figure("operations", f"bytes stored of a member at the end, {_hop(nodes)}", [_stored(cloud)], "")
    for kind in SETTINGS:
        for nodes in (MAX_NODES_PER_HOP, 1):
            cloud = _cloud(nodes)
            publish_journey(cloud.shop, other())
            then = BOUGHT if kind == "wait_for_event" else None
            each = _of_a_member(count(cloud, members=MEMBERS, definition=journey_of(kind), then=then))
            for name, words in WORDS.items():
                yield figure(f"operations, {kind}", f"{words} a member, {_hop(nodes)}", [each[name]], "")


def _cloud(nodes: int) -> InMemory:
    """Every channel is a mailbox."""
    cloud = on_memory(Limits(max_nodes_per_hop=nodes))
    channels = dict.fromkeys(cloud.shop.channels, cloud.mailbox)
    return replace(cloud, shop=replace(cloud.shop, channels=channels))


def _of_a_member(ledger: Ledger) -> dict[str, float]:
    """The queries of the one sweep that wakes everybody are not a member's own."""
    spent = [operations for name, operations in ledger.stages.items() if name not in {"warm", "idle"}]
    return {name: round(value, 1) for name, value in sum(spent, Operations()).per(MEMBERS).items()}


def _stored(cloud: InMemory) -> float:
    """Bytes of the fields of whatever is stored of members, for each of them, as protobuf."""
    size = 0
    for kind in COLLECTIONS.keys() - {Journey, JourneyVersion}:
        for record in cloud.store.scan(kind):
            document = Document.pb()()
            encode(record, document.fields)
            size += document.ByteSize()
    return round(size / (MEMBERS + 1))


def _hop(nodes: int) -> str:
    return f"{nodes} node{'s' if nodes > 1 else ''} a hop"
