"""Google's emulators, started once for a run; each test has a project, and so an empty database, of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from emulator.errors import EmulatorsMissing
from emulator.google import Emulator, start_firestore, start_pubsub
from sojourn.adapters.firestore_store import FirestoreStore
from sojourn.adapters.memory import MemoryStore
from sojourn.application.ports import Store


@pytest.fixture
def project() -> str:
    """A project that no other test, and no earlier run on an emulator that was already there, has used."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def firestore_host() -> Iterator[str]:
    """host:port of the Firestore emulator."""
    yield from _running(start_firestore)


@pytest.fixture(scope="session")
def pubsub_host() -> Iterator[str]:
    """host:port of the Pub/Sub emulator."""
    yield from _running(start_pubsub)


@pytest.fixture(params=["memory", pytest.param("firestore", marks=pytest.mark.emulators)])
def store(request: pytest.FixtureRequest, project: str) -> Iterator[Store]:
    """Each `Store`, empty."""
    if request.param == "memory":
        yield MemoryStore()
        return
    store = FirestoreStore(project, emulator_host=request.getfixturevalue("firestore_host"))
    yield store
    store.close()


def _running(start: Callable[..., Emulator]) -> Iterator[str]:
    try:
        emulator = start(on_line=lambda line: None, on_exit=lambda code: None)
    except EmulatorsMissing as missing:
        pytest.skip(str(missing))
    try:
        emulator.await_ready()
        yield emulator.host
    finally:
        if emulator.child:
            emulator.child.stop()
