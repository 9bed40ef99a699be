"""The whole cloud on a laptop: Google's emulators, one of Cloud Scheduler, a process per function, log router and mailbox.

    log router ─▶ journey-events ─push─▶ [ingest] ─▶ journey-runs ─push─▶ [run_journey] ─▶ … ─▶ mailbox

What each function says on stdout is one log, and is counted, so that a test can wait until nothing is on its way.
"""

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Self

from emulator.errors import ProcessEnded, PubSubFailed
from emulator.function_log import parse_line, render
from emulator.function_server import FunctionServer, FunctionWorker
from emulator.functions_table import REPOSITORY, FunctionSpec, FunctionsTable, ServiceSpec, load_functions_table
from emulator.google import Emulator, start_firestore, start_pubsub
from emulator.log_router.entry import LogSource
from emulator.log_router.filter import compile_filter
from emulator.log_router.router import LogRouter
from emulator.log_router.sources import LogRouterServer
from emulator.mailbox import Mailbox
from emulator.processes import LOOPBACK, ChildProcess, Supervised, free_ports
from emulator.pubsub import Message, Publishable, PubSub
from emulator.scheduler import PublishFailed, SchedulerEmulator, connect
from emulator.state import FunctionAddress, LocalState, owned, write_state
from emulator.traffic import Traffic

EVENTS_TOPIC = "journey-events"
TICK_TOPIC = "journey-sweeps"
TICK_JOB = "journey-sweep-every-minute"
LOCATION = "us-central1"
SINK_FILTER = REPOSITORY / "infra" / "journey_sink.filter"
LOCAL_SERVICE = "local"
API = "api"
# The emulators chat about every connection; their last lines are shown in any case if they do not start.
NOTEWORTHY = re.compile(r"WARN|SEVERE|ERROR|OutOfMemory|BindException")

Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class LocalCloudSettings:
    """What may differ between a terminal, a benchmark and a test; `environment` is added to that of every function."""

    source_dir: Path = REPOSITORY / "functions"
    state_dir: Path = REPOSITORY / ".sojourn"
    project: str = "sojourn-local"
    copies: int = 1
    ticking: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    table: FunctionsTable = field(default_factory=load_functions_table)


class LocalCloud:
    """Runs between `start` and `stop`, or inside a `with`, once; stopping leaves no process, no port and no file.

    `say(source, text)` is called for every line of the one log, from many threads. Whatever fails is a LocalCloudError.
    """

    mailbox: Mailbox  # from `start` on, as are the addresses

    def __init__(self, settings: LocalCloudSettings | None = None, *, say: Say) -> None:
        self.settings = settings or LocalCloudSettings()
        self._say = say
        self._stack = ExitStack()
        self._functions: dict[str, tuple[FunctionServer | FunctionWorker, Supervised]] = {}
        self._is_ready, self._state_lock = False, Lock()
        self._stop_requests: SimpleQueue[str | None] = SimpleQueue()
        self.traffic = Traffic(self.settings.table, copies=self.settings.copies)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def addresses(self) -> LocalState:
        """Where everything answers now; a restarted function has another pid."""
        firestore, pubsub = self._emulators
        return LocalState(
            project=self.settings.project,
            firestore_emulator_host=firestore.host,
            pubsub_emulator_host=pubsub.host,
            scheduler_emulator_host=self._scheduler.host,
            log_router_url=self._router.url,
            api_url=self._functions[API][0].url if API in self._functions else None,
            mailbox_url=self.mailbox.url,
            functions={
                name: FunctionAddress(url=server.url, pid=supervised.child.pid)
                for name, (server, supervised) in self._functions.items()
            },
        )

    @property
    def emulators(self) -> tuple[Emulator, Emulator]:
        """Firestore's and Pub/Sub's."""
        return self._emulators

    @property
    def environment(self) -> dict[str, str]:
        """What the functions run with; a workshop composed from it works on their stores."""
        firestore, pubsub = self._emulators
        inherited = os.environ
        return {
            **inherited,
            "PYTHONPATH": _joined(os.pathsep, str(REPOSITORY / "shared"), inherited.get("PYTHONPATH")),
            "PYTHONUNBUFFERED": "1",
            "GUNICORN_LOG_LEVEL": "error",
            "no_proxy": _joined(",", LOOPBACK, inherited.get("no_proxy")),
            "GOOGLE_CLOUD_PROJECT": self.settings.project,
            "FIRESTORE_EMULATOR_HOST": firestore.host,
            "PUBSUB_EMULATOR_HOST": pubsub.host,
            "CLOUD_SCHEDULER_EMULATOR_HOST": self._scheduler.host,
            "SOJOURN_MAILBOX_URL": self.mailbox.url,
            "SOJOURN_API_ACCESS": "open",
            **self.settings.environment,
        }

    def start(self) -> None:
        """Return when everything answers; leave nothing behind if something does not."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything, functions before emulators. A second call does nothing."""
        self._stack.close()

    def wait(self) -> None:
        """Block until `request_stop`. Raises ProcessEnded if an emulator ended, for its data went with it."""
        if reason := self._stop_requests.get():
            raise ProcessEnded(reason)

    def request_stop(self) -> None:
        """Let `wait` return; safe in a signal handler, even one that interrupts `wait` itself or `start`."""
        self._stop_requests.put(None)

    def publish(self, topic: str, messages: Sequence[Publishable]) -> None:
        """Publish and count: for tests and benchmarks that start in the middle."""
        self._pubsub.publish(topic, messages)
        self.traffic.publish(topic, len(messages))

    def tick(self) -> None:
        """What Cloud Scheduler does every minute, now."""
        self.publish(TICK_TOPIC, [Message(b"{}")])

    def wait_quiet(self, timeout_seconds: float) -> None:
        """Return when no message is on its way to a function. Raises NotQuiet with the table of counts."""
        self.traffic.wait_quiet(timeout_seconds)

    def kill(self, function: str) -> None:
        """SIGKILL a function as a platform may; returns when the next process was started, well before it answers."""
        self._functions[function][1].kill()

    def _start(self) -> None:
        """Everything boots at the same time; only then is it waited for."""
        settings, own = self.settings, self._stack.enter_context
        own(owned(settings.state_dir))
        self._emulators = firestore, pubsub = self._start_emulators()
        self.mailbox = own(Mailbox())
        self._scheduler = self._make_scheduler()
        self._start_functions(self.environment)
        for emulator in (firestore, pubsub):
            emulator.await_ready()
        self._pubsub = own(PubSub(pubsub.host, project=settings.project))
        self._router = own(LogRouterServer(self._log_router()))
        for server, supervised in self._functions.values():
            server.await_ready(supervised.child)
        endpoints = {name: server.url for name, (server, _) in self._functions.items() if server.url}
        self._pubsub.create(settings.table, endpoints=endpoints, copies=settings.copies)
        self._scheduler.start()
        self._stack.callback(self._scheduler.stop)  # before what it publishes with
        if settings.ticking:
            self._create_tick()
        self._is_ready = True
        self._write_state()

    def _start_emulators(self) -> tuple[Emulator, Emulator]:
        children: list[ChildProcess] = []
        self._stack.callback(_stop_all, children)
        emulators = []
        for name, start in (("firestore", start_firestore), ("pubsub", start_pubsub)):
            emulator = start(on_line=partial(self._hear_emulator, name), on_exit=partial(self._emulator_ended, name))
            children += [emulator.child] if emulator.child else []
            emulators.append(emulator)
        firestore, pubsub = emulators
        return firestore, pubsub

    def _start_functions(self, environment: Mapping[str, str]) -> None:
        runtime_dirs = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sojourn-")))
        started: list[Supervised] = []
        self._stack.callback(_stop_all, started)
        table = self.settings.table.everything
        for (name, function), port in zip(table.items(), free_ports(len(table)), strict=True):
            # gunicorn puts a control socket into this directory: all servers would fight over the one in $HOME.
            (runtime_dirs / name).mkdir()
            own = {**environment, "XDG_RUNTIME_DIR": str(runtime_dirs / name)}
            server = self._function(name, function, port, own)
            say = partial(self._say, name)
            supervised = Supervised(partial(self._spawn, server), say=say, on_start=self._write_state)
            started.append(supervised)
            self._functions[name] = server, supervised

    def _function(
        self, name: str, function: ServiceSpec, port: int, environment: Mapping[str, str]
    ) -> FunctionServer | FunctionWorker:
        source = self.settings.source_dir / name / "main.py"
        if isinstance(function, FunctionSpec) and function.driver == "pull":
            pulls = {**environment, "SOJOURN_SUBSCRIPTION": name}
            return FunctionWorker(name=name, source=source, environment=pulls)
        return FunctionServer(name=name, entry_point=function.entry_point, source=source, port=port, environment=environment)

    def _spawn(self, server: FunctionServer | FunctionWorker, on_exit: Callable[[int], None]) -> ChildProcess:
        return server.spawn(on_line=partial(self._hear, server.name), on_exit=on_exit)

    def _log_router(self) -> LogRouter:
        return LogRouter(
            compile_filter(SINK_FILTER.read_text()),
            source=LogSource(self.settings.project, LOCAL_SERVICE),
            publish=partial(self.publish, EVENTS_TOPIC),
            now=_now,
        )

    def _make_scheduler(self) -> SchedulerEmulator:
        """Has its port from now on."""
        scheduler = SchedulerEmulator(self._publish_for_job, project=self.settings.project)
        self._stack.callback(scheduler.stop)
        return scheduler

    def _publish_for_job(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        try:
            self.publish(topic.rpartition("/")[2], [Message(data, attributes)])
        except PubSubFailed as error:
            self._say("scheduler", str(error))
            raise PublishFailed(str(error)) from error

    def _create_tick(self) -> None:
        project = f"projects/{self.settings.project}"
        parent = f"{project}/locations/{LOCATION}"
        target = {"topic_name": f"{project}/topics/{TICK_TOPIC}", "data": b"{}"}
        job = {"name": f"{parent}/jobs/{TICK_JOB}", "schedule": "* * * * *", "pubsub_target": target}
        with connect(self._scheduler.host) as client:
            client.create_job(parent=parent, job=job)

    def _hear(self, function: str, text: str) -> None:
        line = parse_line(text)
        self._say(function, render(line) if line else text)
        if line:
            self.traffic.record(function, line)

    def _hear_emulator(self, name: str, text: str) -> None:
        if NOTEWORTHY.search(text):
            self._say(name, text)

    def _emulator_ended(self, name: str, code: int) -> None:
        reason = f"the {name} emulator ended with exit code {code}; what was in it is lost"
        self._say(name, reason)
        self._stop_requests.put(reason)

    def _write_state(self) -> None:
        with self._state_lock:
            if self._is_ready:
                write_state(self.settings.state_dir, self.addresses)


def _now() -> datetime:
    return datetime.now(UTC)


def _joined(separator: str, ours: str, inherited: str | None) -> str:
    return f"{ours}{separator}{inherited}" if inherited else ours


def _stop_all(processes: Sequence[ChildProcess] | Sequence[Supervised]) -> None:
    """All at the same time: each may take its whole grace."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.stop()
