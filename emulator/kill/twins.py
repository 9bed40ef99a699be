"""Two identical log lines back to back for every member, each delivered to two instances of `ingest` at the same moment.

Identical lines are different events, each with the id that the logging agent gave it: so it is the journeys' rules on repeats
that must hold, and not only the ids. Nothing else runs here: what is counted is who has entered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import httpx

from emulator.functions_table import REPOSITORY, FunctionsTable, load_functions_table
from emulator.kill.scenario import BOT, STARTED, journeys
from emulator.local_cloud import LocalCloud, LocalCloudSettings, Say
from sojourn.application.lifecycle import publish_journey
from sojourn.application.records import Question
from sojourn.domain.definition import Definition
from sojourn.domain.event import Event, write_log_entry
from sojourn.domain.progress import Progress
from sojourn.runtime.application import compose
from sojourn.runtime.envelope import push_body
from sojourn.runtime.settings import read_settings

INSTANCES = ("ingest", "ingest_twin")
LINES = 2
NOWHERE = "http://127.0.0.1:9"
"""Nobody performs anything here."""
AT_ONCE = 8
"""Requests under way at the same time: those of two members."""
REQUEST_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Twins:
    """How it went; `entries` by journey."""

    members: int
    deliveries: int
    not_acknowledged: int
    entries: Mapping[str, int]
    seconds: float

    @property
    def right(self) -> bool:
        """Everybody is in, once, on each journey."""
        return not self.not_acknowledged and all(count == self.members for count in self.entries.values())


def meet(members: int, *, say: Say) -> Twins:
    """In a cloud of its own with two instances: deliver, and count."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="sojourn-twins-")))
        settings = LocalCloudSettings(source_dir=_sources(folder), state_dir=folder / "state", ticking=False, table=_table())
        cloud = stack.enter_context(LocalCloud(settings, say=say))
        shop = compose(read_settings(cloud.environment))
        definitions = [_entered_by(STARTED, definition) for definition in journeys(NOWHERE)]
        for definition in definitions:
            publish_journey(shop, definition)
        urls = [cloud.addresses.functions[name].url for name in INSTANCES]
        requests = list(_requests(urls, members, shop.now()))
        began = monotonic()
        not_acknowledged = _deliver(requests)
        seconds = monotonic() - began
        tallies = shop.store.tally_many([Question(Progress, {"journey_id": one.id}) for one in definitions])
        entries = {one.id: tally.count for one, tally in zip(definitions, tallies, strict=True)}
        return Twins(members, len(requests), not_acknowledged, entries, seconds)


def _sources(folder: Path) -> Path:
    """A folder of functions in which `ingest` is there under two names."""
    sources = folder / "functions"
    sources.mkdir()
    for name in INSTANCES:
        (sources / name).symlink_to(REPOSITORY / "functions" / INSTANCES[0])
    return sources


def _table() -> FunctionsTable:
    """Both as services: nobody pushes to them but us."""
    table = load_functions_table()
    return table.model_copy(update={"functions": {}, "services": dict.fromkeys(INSTANCES, table.functions[INSTANCES[0]])})


def _entered_by(event: str, definition: Definition) -> Definition:
    """One line lets a member in on both journeys: once for ever on one, by a count on the other."""
    trigger = definition.event_triggers[0]
    other = trigger.model_copy(update={"settings": trigger.settings.model_copy(update={"name": event})})
    return definition.model_copy(update={"nodes": tuple(other if node is trigger else node for node in definition.nodes)})


def _requests(urls: Sequence[str], members: int, now: datetime) -> Iterator[tuple[str, bytes]]:
    """All of a member one after the other: each line to every instance."""
    for number in range(members):
        for line in range(LINES):
            event = Event(f"{number}-{line}", STARTED, BOT, f"m-{number:05}", now, {"number": number})
            body = push_body(write_log_entry(event))
            yield from ((url, body) for url in urls)


def _deliver(requests: Sequence[tuple[str, bytes]]) -> int:
    """Post them all, many at once; how many were not acknowledged."""
    limits = httpx.Limits(max_connections=AT_ONCE)
    with httpx.Client(trust_env=False, timeout=REQUEST_TIMEOUT_SECONDS, limits=limits) as client:

        def post(request: tuple[str, bytes]) -> bool:
            url, body = request
            return client.post(url, content=body).status_code != HTTPStatus.NO_CONTENT

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return sum(pool.map(post, requests))
