"""Each `Store`, for the tests of what all of them promise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sojourn.adapters.firestore_store import FirestoreStore
from sojourn.adapters.memory import MemoryStore
from sojourn.application.ports import Store


@pytest.fixture(params=["memory", pytest.param("firestore", marks=pytest.mark.emulators)])
def store(request: pytest.FixtureRequest, project: str) -> Iterator[Store]:
    """Each `Store`, empty."""
    if request.param == "memory":
        yield MemoryStore()
        return
    store = FirestoreStore(project, emulator_host=request.getfixturevalue("firestore_host"))
    yield store
    store.close()
