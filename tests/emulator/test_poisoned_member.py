"""A member over whom a function fails each time, on the local cloud: they end in ERROR with the reason, the others at the end.

Once the cause is gone, a retry takes the member to the end as well. The same for a log entry that ingest cannot take.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from emulator.clock_file import write_clock
from emulator.functions_table import REPOSITORY, FunctionsTable, load_functions_table
from emulator.local_cloud import EVENTS_TOPIC, LocalCloud, LocalCloudSettings
from emulator.pubsub import Message
from sojourn.application.doctor import examine
from sojourn.application.lifecycle import publish_journey
from sojourn.application.repair import retry_progress
from sojourn.application.workshop import Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.ids import progress_id
from sojourn.domain.journey import RejectedEvent, RejectedStatus
from sojourn.domain.progress import Progress, Status
from sojourn.runtime.application import compose
from sojourn.runtime.settings import VARIABLES, read_settings
from tests.builders import BOT, JOURNEY, definition, log, send, wait

pytestmark = [pytest.mark.emulators, pytest.mark.slow]

DEADLINE_SECONDS = 120.0
STEPS = definition([wait(duration="1m"), send()])
POISON = """
import pathlib
from functions_framework import http
from sojourn.runtime import respond as module

POISON = pathlib.Path({poison!r})

def open_envelope(body, read=module.open_envelope):
    envelope = read(body)
    if POISON.exists() and POISON.read_bytes() in envelope.data:
        raise RuntimeError("poisoned")
    return envelope

module.open_envelope = open_envelope
"""


class Cloud:
    """The local cloud with all functions, two of which fail over whatever holds what stands in a file."""

    def __init__(self, local: LocalCloud, shop: Workshop, folder: Path) -> None:
        self.local, self.shop, self._folder, self.now = local, shop, folder, datetime.now(UTC)

    def poison(self, data: bytes) -> None:
        (self._folder / "poison").write_bytes(data)

    def cure(self) -> None:
        (self._folder / "poison").unlink()

    def publish(self, *entries: bytes) -> None:
        self.local.publish(EVENTS_TOPIC, [Message(entry) for entry in entries])

    def until(self, condition: Callable[[], bool]) -> None:
        """Minutes go by, one in a moment, until the condition holds."""
        deadline, never = time.monotonic() + DEADLINE_SECONDS, Event()
        while not condition():
            assert time.monotonic() < deadline, self.local.traffic.table()
            self.now += timedelta(minutes=1)
            write_clock(self._folder / "clock", self.now)
            self.local.tick()
            never.wait(0.5)

    def member(self, name: str) -> Progress | None:
        (stored,) = self.shop.store.get_many(Progress, [id_of(name)])
        return stored.value if stored is not None else None

    def is_at(self, name: str, status: Status) -> bool:
        progress = self.member(name)
        return progress is not None and progress.status is status


def id_of(member: str) -> str:
    return progress_id(BOT, JOURNEY, member, "1")


def impatient() -> FunctionsTable:
    """The fewest deliveries that Pub/Sub allows."""
    table = load_functions_table()
    return table.only(*table.functions, max_delivery_attempts=5)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    sources = Path(shutil.copytree(REPOSITORY / "functions", tmp_path / "functions"))
    for name in ("run_journey", "ingest"):
        main = sources / name / "main.py"
        main.write_text(POISON.format(poison=str(tmp_path / "poison")) + main.read_text())
    clock = tmp_path / "clock"
    write_clock(clock, datetime.now(UTC))
    settings = LocalCloudSettings(
        source_dir=sources,
        state_dir=tmp_path / "state",
        project=f"poison-{tmp_path.name}".replace("_", "-")[:30],
        ticking=False,
        environment={VARIABLES["clock_file"]: str(clock)},
        table=impatient(),
    )
    with LocalCloud(settings, say=lambda source, text: None) as local:
        yield Cloud(local, compose(read_settings(local.environment)), tmp_path)


def published(cloud: Cloud, of: Definition) -> None:
    publish_journey(cloud.shop, of)


def test_a_poisoned_member_ends_in_error_and_after_a_retry_at_the_end(cloud: Cloud) -> None:
    published(cloud, STEPS)
    cloud.poison(id_of("bob").encode())
    cloud.publish(log(at=cloud.now), log(at=cloud.now, member="bob"))
    cloud.until(lambda: cloud.is_at("bob", Status.ERROR) and cloud.is_at("ann", Status.ENDED))
    bob = cloud.member("bob")
    assert bob is not None and bob.end_reason is not None
    assert bob.end_reason.startswith("dead_lettered: run_journey gave its message up after 5 deliveries")
    cloud.until(lambda: cloud.local.traffic.outcomes["error"] == 1)
    assert [finding for report in examine(cloud.shop) for finding in report.findings] == []
    cloud.cure()
    retry_progress(cloud.shop, bob.id)
    cloud.until(lambda: cloud.is_at("bob", Status.ENDED) and len(cloud.local.mailbox.messages) == 2)


def test_a_log_entry_that_kills_gets_a_second_round_and_then_waits_for_an_operator(cloud: Cloud) -> None:
    published(cloud, STEPS)
    entry = log(at=cloud.now, member="bob")
    cloud.poison(json.loads(entry)["jsonPayload"]["metadata"]["event_id"].encode())
    cloud.publish(entry)

    def kept(status: RejectedStatus) -> bool:
        return [one.status for one in cloud.shop.store.scan(RejectedEvent)] == [status]

    cloud.until(lambda: kept(RejectedStatus.REPLAYED))
    cloud.until(lambda: kept(RejectedStatus.OPEN))
    cloud.until(lambda: cloud.local.traffic.outcomes["sent_again"] == 1)
    (rejected,) = cloud.shop.store.scan(RejectedEvent)
    assert (rejected.reason, rejected.data) == ("dead_lettered", entry)
