"""The composition root: the only place that knows which adapter stands behind a port. Made on first use, in the worker.

functions-framework imports a function before gunicorn forks; a gRPC client made by then would hang in the child (gcp-facts,
section 4). So nothing here runs at import, and vendor packages are imported where they are needed.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sojourn.application.catalog import Catalog
from sojourn.application.ports import Channels, Clock, JobScheduler, Publisher, Store
from sojourn.application.workshop import Limits, Workshop
from sojourn.runtime.settings import Settings, read_settings

if TYPE_CHECKING:
    from sojourn.adapters.memory import ManualClock, MemoryJobs, MemoryMailbox, MemoryPublisher, MemoryStore

_lock = threading.Lock()
_installed: Workshop | None = None


def workshop() -> Workshop:
    """This process's workshop, composed from the environment on first use."""
    global _installed
    with _lock:
        if _installed is None:
            _installed = compose(read_settings(os.environ))
        return _installed


def install(shop: Workshop | None) -> None:
    """Put a workshop in place, for whoever runs the functions in-process; None: compose anew on next use."""
    global _installed
    with _lock:
        _installed = shop


def installed() -> Workshop | None:
    """The workshop that somebody put in place, or that this process has composed."""
    with _lock:
        return _installed


@dataclass(frozen=True, slots=True)
class InMemory:
    """A workshop whose every port is in memory, and those ports: for whoever plays the cloud around the functions."""

    shop: Workshop
    store: MemoryStore
    publisher: MemoryPublisher
    mailbox: MemoryMailbox
    clock: ManualClock
    jobs: MemoryJobs


def in_memory(start: datetime, limits: Limits = Limits()) -> InMemory:
    """A new cloud in memory, at `start`."""
    from sojourn.adapters import memory
    from sojourn.adapters.channels.webhook import WebhookChannel

    store, publisher, mailbox = memory.MemoryStore(), memory.MemoryPublisher(), memory.MemoryMailbox()
    clock, jobs = memory.ManualClock(start), memory.MemoryJobs()
    channels: Channels = {"mailbox": mailbox, "webhook": WebhookChannel()}
    shop = Workshop(store, publisher, clock, memory.RandomTokens(), channels, Catalog(store, clock), jobs, limits)
    return InMemory(shop, store, publisher, mailbox, clock, jobs)


def compose(settings: Settings) -> Workshop:
    """A workshop as `settings` say."""
    from sojourn.adapters.memory import RandomTokens

    store, publisher = _cloud(settings)
    clock = _clock(settings)
    limits = Limits(settings.max_nodes_per_hop, settings.shards)
    catalog, channels = Catalog(store, clock), _channels(settings)
    return Workshop(store, publisher, clock, RandomTokens(), channels, catalog, _jobs(settings), limits)


def _cloud(settings: Settings) -> tuple[Store, Publisher]:
    from sojourn.adapters.firestore_store import FirestoreStore
    from sojourn.adapters.pubsub import PubSubPublisher

    store = FirestoreStore(settings.project, settings.database, emulator_host=settings.firestore_emulator_host)
    return store, PubSubPublisher(settings.project, prefix=settings.prefix, emulator_host=settings.pubsub_emulator_host)


def _jobs(settings: Settings) -> JobScheduler:
    """Beside other emulators without one of its own nothing is scheduled, and Google is not asked."""
    from sojourn.adapters.cloud_scheduler import CloudJobs
    from sojourn.adapters.memory import MemoryJobs

    if settings.firestore_emulator_host and not settings.scheduler_emulator_host:
        return MemoryJobs()
    return CloudJobs(
        settings.project, settings.location, prefix=settings.prefix, emulator_host=settings.scheduler_emulator_host
    )


def _clock(settings: Settings) -> Clock:
    from sojourn.adapters.system import FileClock, SystemClock

    return FileClock(settings.clock_file) if settings.clock_file else SystemClock()


def _channels(settings: Settings) -> Channels:
    """`mailbox` is a webhook like any other where the local stack keeps the box."""
    from sojourn.adapters.channels.webhook import WebhookChannel
    from sojourn.adapters.memory import MemoryMailbox

    mailbox = WebhookChannel(settings.mailbox_url) if settings.mailbox_url else MemoryMailbox()
    return {"mailbox": mailbox, "webhook": WebhookChannel()}
