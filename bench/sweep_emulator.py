"""The same sweep on the Firestore emulator, beside its queries alone: the emulator walks the whole collection for each of them.

Google's Firestore reads an index instead, and takes as long as what it finds
(https://firebase.google.com/docs/firestore/query-data/queries). What the bare queries take is the share that is not Sojourn's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import islice
from statistics import median

from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.types import RunQueryRequest

from bench.figure import Figure, figure
from bench.limit import OWNER
from bench.local import SHARDS, Bench, only, running
from bench.reference import START
from bench.sweep import DUE, members, swept
from sojourn.adapters.firestore_channel import emulator_transport
from sojourn.adapters.firestore_queries import due
from sojourn.adapters.memory import MemoryPublisher
from sojourn.application.records import MAX_PAGE
from sojourn.application.sweep import LOOK_BACK
from sojourn.domain.effect import Effect
from sojourn.domain.progress import Progress

PARKED, QUICK_PARKED = (10_000, 40_000), (2_000,)
COMMITS = 5_000


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Nothing is published: the store alone. With many more the emulator needs longer for a query than a request may last.

    Raises EmulatorsMissing.
    """
    for parked in QUICK_PARKED if quick else PARKED:
        with running(only()) as bench:
            shop = replace(bench.shop, publisher=MemoryPublisher())
            _fill(bench, parked)
            api = FirestoreClient(transport=emulator_transport(bench.cloud.addresses.firestore_emulator_host))
            database = f"projects/{bench.cloud.addresses.project}/databases/(default)"
            samples = [(swept(shop), _bare(api, database)) for _ in range(runs + 1)][1:]
            api.transport.close()
        ours, bare = zip(*samples, strict=True)
        about = f"{DUE:,} due among {parked:,}"
        yield figure("sweep, emulator", about, [1_000 * each for each in ours], "ms")
        yield figure("sweep, emulator", f"its queries alone, {about}", [1_000 * each for each in bare], "ms")
        yield figure("sweep, emulator", f"share of the emulator, {about}", [median(bare) / median(ours)], "")


def _fill(bench: Bench, parked: int) -> None:
    commits = members(parked, SHARDS)
    while batch := list(islice(commits, COMMITS)):
        bench.shop.commit_many(batch)


def _bare(api: FirestoreClient, database: str) -> float:
    """Seconds of the sweep's queries; the documents are not decoded."""
    begin, found = time.perf_counter(), 0
    for shard in range(SHARDS):
        for kind in (Progress, Effect):
            after: tuple[datetime, str] | None = None
            while names := _names(api, database, kind, shard, after):
                found += len(names)
                if len(names) < MAX_PAGE:
                    break
                after = (START, names[-1])
    assert found == DUE, found
    return time.perf_counter() - begin


def _names(api: FirestoreClient, database: str, kind: type, shard: int, after: tuple[datetime, str] | None) -> list[str]:
    query = due(kind, shard, since=START - LOOK_BACK, until=START, after=after)
    request = RunQueryRequest.pb()(parent=f"{database}/documents", structured_query=query)
    answers = api.run_query(RunQueryRequest.wrap(request), metadata=OWNER)
    return [answer._pb.document.name for answer in answers if answer._pb.HasField("document")]
