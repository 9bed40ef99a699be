"""Google's emulators: found or said to be missing, started or taken as they are."""

import os
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from emulator.errors import EmulatorsMissing, EmulatorUnreachable
from emulator.google import Emulator, find_emulators, start_firestore, start_pubsub
from emulator.mailbox import Mailbox
from emulator.processes import LOOPBACK, answers

DEADLINE_SECONDS = 20.0
STARTS = {"FIRESTORE_EMULATOR_HOST": start_firestore, "PUBSUB_EMULATOR_HOST": start_pubsub}


@pytest.fixture
def sdk(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH leads, by links as packages make them, to a gcloud SDK with both emulators, and to Java."""
    platform, path = tmp_path / "sdk" / "platform", tmp_path / "path"
    firestore = platform / "cloud-firestore-emulator" / "cloud-firestore-emulator.jar"
    pubsub = platform / "pubsub-emulator" / "lib" / "cloud-pubsub-emulator-0.8.20-all.jar"
    programs = [tmp_path / "sdk" / "bin" / "gcloud", path / "java"]
    for file in (firestore, pubsub, *programs):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o755)
    (path / "gcloud").symlink_to(programs[0])
    return {"PATH": str(path)}


def test_the_emulators_are_found_beside_the_gcloud_of_the_path(sdk: dict[str, str], tmp_path: Path) -> None:
    found = find_emulators(sdk)
    assert found.java == tmp_path / "path" / "java"
    assert found.firestore_jar.name == "cloud-firestore-emulator.jar"
    assert found.pubsub_jar.name == "cloud-pubsub-emulator-0.8.20-all.jar"


def test_variables_go_before_the_path(sdk: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine.jar").touch()
    found = find_emulators(sdk | {"SOJOURN_FIRESTORE_JAR": str(tmp_path / "mine.jar")})
    assert found.firestore_jar == tmp_path / "mine.jar"
    assert found.pubsub_jar.name == "cloud-pubsub-emulator-0.8.20-all.jar"


def test_variables_need_no_gcloud(tmp_path: Path) -> None:
    names = {"SOJOURN_JAVA": "java", "SOJOURN_FIRESTORE_JAR": "a.jar", "SOJOURN_PUBSUB_JAR": "b.jar"}
    for name in names.values():
        (tmp_path / name).touch()
    found = find_emulators({variable: str(tmp_path / name) for variable, name in names.items()} | {"PATH": ""})
    assert found.pubsub_jar == tmp_path / "b.jar"


def test_missing_emulators_say_what_to_install_and_what_needs_none() -> None:
    with pytest.raises(EmulatorsMissing) as refused:
        find_emulators({"PATH": ""})
    for part in (
        "java (or set SOJOURN_JAVA)",
        "the jar of the Firestore emulator (or set SOJOURN_FIRESTORE_JAR)",
        "the jar of the Pub/Sub emulator (or set SOJOURN_PUBSUB_JAR)",
        "gcloud components install cloud-firestore-emulator pubsub-emulator",
        "Java 17",
        "`make demo` needs none of this",
    ):
        assert part in str(refused.value)


def test_a_variable_that_names_no_file_is_missing_whatever_the_path_has(sdk: dict[str, str]) -> None:
    with pytest.raises(EmulatorsMissing, match="java: SOJOURN_JAVA=/nowhere/java is no file") as refused:
        find_emulators(sdk | {"SOJOURN_JAVA": "/nowhere/java"})
    assert "SOJOURN_PUBSUB_JAR" not in str(refused.value)


@pytest.mark.parametrize("variable", STARTS)
def test_a_running_emulator_is_used_as_it_is_and_is_not_ours(variable: str) -> None:
    with Mailbox() as server:
        host = server.url.removeprefix("http://")
        emulator = STARTS[variable](on_line=print, on_exit=print, environ={variable: host, "PATH": ""})
        emulator.await_ready()
    assert emulator == Emulator(variable, host, child=None)


@pytest.mark.parametrize("variable", STARTS)
@pytest.mark.parametrize("value", ["127.0.0.1:1", "http://127.0.0.1:8080", "nonsense:port"])
def test_a_variable_nobody_answers_at_is_named_with_its_value(variable: str, value: str) -> None:
    with pytest.raises(EmulatorUnreachable, match=f"^{variable}={value}, but nothing answers there"):
        STARTS[variable](on_line=print, on_exit=print, environ={variable: value, "PATH": ""})


@pytest.fixture(params=STARTS)
def started(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Each of the two, started by us whatever the environment says."""
    environ = {name: value for name, value in os.environ.items() if name not in STARTS}
    emulator = STARTS[request.param](on_line=print, on_exit=print, environ=environ)
    assert emulator.child is not None
    yield emulator
    emulator.child.stop()


@pytest.mark.emulators
@pytest.mark.slow
def test_an_emulator_of_ours_listens_on_loopback_and_stops(started: Emulator) -> None:
    started.await_ready()
    assert started.host.startswith(f"{LOOPBACK}:")
    assert answers(started.host, "/")
    assert started.child is not None
    started.child.stop()
    assert not answers(started.host, "/")


def test_a_java_that_fails_is_reported_with_what_it_said(tmp_path: Path) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\necho no virtual machine here >&2\nexit 3\n")
    (tmp_path / "java").chmod(0o755)
    (tmp_path / "a.jar").touch()
    exits: SimpleQueue[int] = SimpleQueue()
    jar = str(tmp_path / "a.jar")
    environ = {"SOJOURN_JAVA": str(tmp_path / "java"), "SOJOURN_FIRESTORE_JAR": jar, "SOJOURN_PUBSUB_JAR": jar}
    emulator = start_pubsub(on_line=print, on_exit=exits.put, environ=environ)
    with pytest.raises(RuntimeError, match=r"pubsub ended with exit code 3 [^$]*no virtual machine here"):
        emulator.await_ready()
    assert exits.get(timeout=DEADLINE_SECONDS) == 3
