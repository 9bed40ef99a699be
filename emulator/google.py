"""Google's own Firestore and Pub/Sub emulators, run by Java directly.

gcloud is not run: killing its wrapper leaves Java behind, and it costs a second interpreter. Emulators that run
already, named by the usual *_EMULATOR_HOST variables, are used as they are and never stopped.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import EmulatorsMissing, EmulatorUnreachable
from emulator.processes import LOOPBACK, ChildProcess, answers, await_answer, free_ports

READY_TIMEOUT_SECONDS = 60.0
# Fast to start and small when idle; the heap is a ceiling: both emulators keep everything in memory.
JAVA_FLAGS = ("-Xms32m", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.language=en")
FIRESTORE_MAIN_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
PARTS = {
    "SOJOURN_JAVA": "java",
    "SOJOURN_FIRESTORE_JAR": "the jar of the Firestore emulator",
    "SOJOURN_PUBSUB_JAR": "the jar of the Pub/Sub emulator",
}
INSTALL = """Install what is missing:
  Java 17 or later (Debian and Ubuntu: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17)
  gcloud components install cloud-firestore-emulator pubsub-emulator
  (gcloud from Google's apt repository: apt install google-cloud-cli-firestore-emulator google-cloud-cli-pubsub-emulator)
`make demo` needs none of this: it runs everything in one process."""


@dataclass(frozen=True, slots=True)
class EmulatorInstallation:
    """Where Java and the two jars are."""

    java: Path
    firestore_jar: Path
    pubsub_jar: Path


@dataclass(frozen=True, slots=True)
class Emulator:
    """A started or found emulator; `host` is host:port, `child` is None if it ran already and is not ours to stop."""

    name: str
    host: str
    child: ChildProcess | None = None

    def await_ready(self) -> None:
        """Block until it answers. Raises ProcessNotReady."""
        if self.child:
            timeout = READY_TIMEOUT_SECONDS
            await_answer(self.child, name=self.name, host=self.host, path="/", timeout_seconds=timeout)


def find_emulators(environ: Mapping[str, str] = os.environ) -> EmulatorInstallation:
    """Where the emulators are: what SOJOURN_JAVA and the like say, else beside the gcloud on the PATH.

    Raises EmulatorsMissing with every missing part and the way to install it.
    """
    found = {
        "SOJOURN_JAVA": _on_path("java", environ),
        "SOJOURN_FIRESTORE_JAR": _in_sdk("cloud-firestore-emulator/cloud-firestore-emulator.jar", environ),
        "SOJOURN_PUBSUB_JAR": _in_sdk("pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar", environ),
    }
    found |= {variable: _file(environ[variable]) for variable in found if environ.get(variable)}
    java, firestore_jar, pubsub_jar = found.values()
    if not (java and firestore_jar and pubsub_jar):
        missing = "".join(f"\n  {_missing(variable, environ)}" for variable, path in found.items() if not path)
        raise EmulatorsMissing(f"Google's emulators cannot be started. Missing:{missing}\n{INSTALL}")
    return EmulatorInstallation(java, firestore_jar, pubsub_jar)


def start_firestore(
    *, on_line: Callable[[str], None], on_exit: Callable[[int], None], environ: Mapping[str, str] = os.environ
) -> Emulator:
    """Spawn the Firestore emulator, or take the one of FIRESTORE_EMULATOR_HOST; call `await_ready` before use."""
    if running := _running("FIRESTORE_EMULATOR_HOST", environ):
        return running
    port, websocket_port = free_ports(2)
    installation = find_emulators(environ)
    program = ("-cp", str(installation.firestore_jar), FIRESTORE_MAIN_CLASS, f"--websocket_port={websocket_port}")
    command = _command(installation.java, program, port=port)
    return Emulator("firestore", f"{LOOPBACK}:{port}", ChildProcess(command, on_line=on_line, on_exit=on_exit))


def start_pubsub(
    *, on_line: Callable[[str], None], on_exit: Callable[[int], None], environ: Mapping[str, str] = os.environ
) -> Emulator:
    """Spawn the Pub/Sub emulator, or take the one of PUBSUB_EMULATOR_HOST; call `await_ready` before use."""
    if running := _running("PUBSUB_EMULATOR_HOST", environ):
        return running
    (port,) = free_ports(1)
    installation = find_emulators(environ)
    command = _command(installation.java, ("-jar", str(installation.pubsub_jar)), port=port)
    return Emulator("pubsub", f"{LOOPBACK}:{port}", ChildProcess(command, on_line=on_line, on_exit=on_exit))


def _command(java: Path, program: Sequence[str], *, port: int) -> list[str]:
    return [str(java), *JAVA_FLAGS, *program, f"--host={LOOPBACK}", f"--port={port}"]


def _running(variable: str, environ: Mapping[str, str]) -> Emulator | None:
    host = environ.get(variable)
    if not host:
        return None
    if not answers(host, "/"):
        raise EmulatorUnreachable(f"{variable}={host}, but nothing answers there: start that emulator or unset {variable}")
    return Emulator(variable, host)


def _file(text: str) -> Path | None:
    return Path(text) if Path(text).is_file() else None


def _on_path(program: str, environ: Mapping[str, str]) -> Path | None:
    found = shutil.which(program, path=environ.get("PATH", ""))
    return Path(found) if found else None


def _in_sdk(pattern: str, environ: Mapping[str, str]) -> Path | None:
    """The newest match in the SDK; the gcloud on the PATH is a link into its `bin` folder."""
    gcloud = _on_path("gcloud", environ)
    platform = gcloud.resolve().parent.parent / "platform" if gcloud else None
    return max(platform.glob(pattern), default=None) if platform else None


def _missing(variable: str, environ: Mapping[str, str]) -> str:
    chosen = environ.get(variable)
    return f"{PARTS[variable]}: {variable}={chosen} is no file" if chosen else f"{PARTS[variable]} (or set {variable})"
