"""The composition root: the only place that knows which adapter stands behind a port. Made on first use, in the worker.

functions-framework imports a function before gunicorn forks; a gRPC client made by then would hang in the child (gcp-facts,
section 4). So nothing here runs at import, and vendor packages are imported where they are needed.
"""

from __future__ import annotations

import os
import threading

from sojourn.application.catalog import Catalog
from sojourn.application.ports import Channels, Clock, Publisher, Store
from sojourn.application.workshop import Limits, Workshop
from sojourn.runtime.settings import Settings, read_settings

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


def compose(settings: Settings) -> Workshop:
    """A workshop as `settings` say."""
    from sojourn.adapters.memory import RandomTokens

    store, publisher = _cloud(settings)
    clock = _clock(settings)
    limits = Limits(settings.max_nodes_per_hop, settings.shards)
    return Workshop(store, publisher, clock, RandomTokens(), _channels(settings), Catalog(store, clock), limits)


def _cloud(settings: Settings) -> tuple[Store, Publisher]:
    if settings.backend == "memory":
        from sojourn.adapters.memory import MemoryPublisher, MemoryStore

        return MemoryStore(), MemoryPublisher()
    from sojourn.adapters.firestore_store import FirestoreStore
    from sojourn.adapters.pubsub import PubSubPublisher

    return FirestoreStore(settings.project, settings.database), PubSubPublisher(settings.project)


def _clock(settings: Settings) -> Clock:
    from sojourn.adapters.system import FileClock, SystemClock

    return FileClock(settings.clock_file) if settings.clock_file else SystemClock()


def _channels(settings: Settings) -> Channels:
    """`mailbox` is a webhook like any other where the local stack keeps the box."""
    from sojourn.adapters.channels.webhook import WebhookChannel
    from sojourn.adapters.memory import MemoryMailbox

    mailbox = WebhookChannel(settings.mailbox_url) if settings.mailbox_url else MemoryMailbox()
    return {"mailbox": mailbox, "webhook": WebhookChannel()}
