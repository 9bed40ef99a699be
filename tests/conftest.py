"""What all tests share: a clean environment, Google's emulators, and what to do where they are missing.

The emulators are started once for a run (with workers, once for each); each test has a project, and so empty databases and
topics, of its own.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from emulator.errors import EmulatorsMissing
from emulator.google import Emulator, find_emulators, start_firestore, start_pubsub
from sojourn.runtime.settings import VARIABLES

# Machines are shared and noisy: no deadlines. In CI the same examples every time; at home new ones.
settings.register_profile("home", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "home")

# A shell that starts the tests in its background makes them ignore Ctrl-C, which processes that tests start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = (
    "kill",
    "demo",
    "up",
    "deployed_archive",
    "healthy",
    "poisoned_member",
    "local_cloud",
    "simulation",
    "openapi",
    "package",
    "plan",
)
"""The slowest test files, the longest first: workers begin with them, so that none is left alone with one in the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without emulators their tests are skipped, and the reason says what to install. In CI (`CI=true`) they fail instead."""
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)
    reason = _missing()
    if reason is None or os.environ.get("CI") == "true":
        return
    for item in items:
        if item.get_closest_marker("emulators"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(ids: list[str]) -> None:
    """Of tests with one name a worker runs only the first, and says nothing of the others."""
    alike = [name for name, times in Counter(ids).items() if times > 1]
    if alike:
        raise pytest.UsageError(f"tests with one name, of which a worker would run only the first: {alike}")


def _turn(item: pytest.Item) -> int:
    name = item.path.stem.removeprefix("test_")
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def _missing() -> str | None:
    if all(os.environ.get(VARIABLES[field]) for field in ("firestore_emulator_host", "pubsub_emulator_host")):
        return None
    try:
        find_emulators()
    except EmulatorsMissing as error:
        return str(error)
    return None


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of whoever runs the tests do not reach them; emulators that run already do."""
    for field, name in VARIABLES.items():
        if not field.endswith("_emulator_host"):
            monkeypatch.delenv(name, raising=False)


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


def _running(start: Callable[..., Emulator]) -> Iterator[str]:
    emulator = start(on_line=lambda line: None, on_exit=lambda code: None)
    try:
        emulator.await_ready()
        yield emulator.host
    finally:
        if emulator.child:
            emulator.child.stop()
