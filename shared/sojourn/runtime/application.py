"""The composition root: the only place that knows which adapter stands behind a port. Made on first use, in the worker.

functions-framework imports a function before gunicorn forks; a gRPC client made by then would hang in the child (gcp-facts,
section 4). So nothing here runs at import, and vendor packages are imported where they are needed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sojourn.application.catalog import Catalog
from sojourn.application.ports import Channels, Clock, DeadLetters, JobScheduler, Publisher, Store, Subscription
from sojourn.application.workshop import Limits, Workshop
from sojourn.domain.errors import SettingsInvalid
from sojourn.runtime.channels import compose_channels
from sojourn.runtime.settings import VARIABLES, Settings, read_settings
from sojourn.runtime.tracing import Tracing, compose_tracing

if TYPE_CHECKING:
    from sojourn.adapters.memory import ManualClock, MemoryJobs, MemoryMailbox, MemoryPublisher, MemoryStore
    from sojourn.adapters.memory_dead_letters import MemoryDeadLetters

_lock = threading.Lock()
_installed: Workshop | None = None
_tracing: Tracing | None = None


def workshop() -> Workshop:
    """This process's workshop, composed from the environment on first use."""
    global _installed
    with _lock:
        if _installed is None:
            _installed = compose(read_settings(os.environ))
        return _installed


def tracing() -> Tracing:
    """How this process traces, composed from the environment on first use."""
    global _tracing
    with _lock:
        if _tracing is None:
            _tracing = compose_tracing(read_settings(os.environ))
        return _tracing


def install(shop: Workshop | None, *, traced: Tracing | None = None) -> None:
    """Put a workshop in place, for whoever runs the functions in-process; None: compose anew on next use."""
    global _installed, _tracing
    with _lock:
        _installed, _tracing = shop, traced


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
    dead_letters: MemoryDeadLetters


def in_memory(start: datetime, limits: Limits = Limits()) -> InMemory:
    """A new cloud in memory, at `start`."""
    from sojourn.adapters import memory
    from sojourn.adapters.channels.webhook import WebhookChannel
    from sojourn.adapters.memory_dead_letters import MemoryDeadLetters
    from sojourn.adapters.system import RandomTokens

    store, publisher, mailbox = memory.MemoryStore(), memory.MemoryPublisher(), memory.MemoryMailbox()
    clock, jobs, letters = memory.ManualClock(start), memory.MemoryJobs(), MemoryDeadLetters()
    channels: Channels = {"mailbox": mailbox, "webhook": WebhookChannel()}
    tokens, catalog = RandomTokens(), Catalog(store, clock)
    shop = Workshop(store, publisher, clock, tokens, channels, catalog, jobs, letters, limits)
    return InMemory(shop, store, publisher, mailbox, clock, jobs, letters)


def compose(settings: Settings) -> Workshop:
    """A workshop as `settings` say."""
    from sojourn.adapters.system import RandomTokens

    store, publisher = _cloud(settings)
    clock = _clock(settings)
    limits = Limits(settings.max_nodes_per_hop, settings.shards)
    catalog, channels = Catalog(store, clock), compose_channels(settings)
    jobs, letters = _jobs(settings), _dead_letters(settings)
    return Workshop(store, publisher, clock, RandomTokens(), channels, catalog, jobs, letters, limits)


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


def _dead_letters(settings: Settings) -> DeadLetters:
    from sojourn.adapters.pubsub import PubSubDeadLetters

    return PubSubDeadLetters(settings.project, prefix=settings.prefix, emulator_host=settings.pubsub_emulator_host)


def subscription(environment: Mapping[str, str]) -> Subscription:
    """The one that a worker pulls from. Raises SettingsInvalid."""
    from sojourn.adapters.pubsub_subscription import PubSubSubscription

    settings = read_settings(environment)
    if settings.subscription is None:
        raise SettingsInvalid(f"environment variable {VARIABLES['subscription']}: not set; the subscription to pull from")
    name = f"{settings.prefix}{settings.subscription}"
    return PubSubSubscription(settings.project, name, emulator_host=settings.pubsub_emulator_host)


def _clock(settings: Settings) -> Clock:
    from sojourn.adapters.system import FileClock, SystemClock

    return FileClock(settings.clock_file) if settings.clock_file else SystemClock()
