"""The local cloud that functions are killed in: every message twice, a clock that is moved by hand, a bad receiver.

Messages are still on their way in real time. The cloud is at rest when the counts of its traffic agree or, after a kill, which
spoils the counts, when every function is up again and none has said anything for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic
from typing import TypeVar

import httpx

from emulator.clock_file import write_clock
from emulator.functions_table import FunctionsTable, load_functions_table
from emulator.kill.receiver import Receiver
from emulator.kill.scenario import moment
from emulator.local_cloud import LocalCloud, LocalCloudSettings, Say
from sojourn.application.messages import EffectMessage, Message, RunMessage, SweepMessage
from sojourn.application.workshop import Workshop
from sojourn.domain.errors import Unavailable
from sojourn.runtime.application import compose
from sojourn.runtime.envelope import push_body
from sojourn.runtime.settings import VARIABLES, read_settings

T = TypeVar("T")

COPIES = 2
SHARDS = 2
"""Fewer than by default: the Firestore emulator walks all documents for each query."""
HARMLESS: Mapping[str, Message] = {
    "run_journey": RunMessage(progress_id="nobody"),
    "perform": EffectMessage(effect_id="nothing"),
    "sweep": SweepMessage(settle="nowhere"),
}
"""For each function a message that means nothing to it; the log entry `{}` is none of ours."""
FUNCTIONS = ("ingest", *HARMLESS)
"""What runs here and may be killed."""
ACK_DEADLINE_SECONDS = 15
"""Longer than the ten seconds after which a performer gives up a receiver that hangs."""
SILENT_SECONDS = 2.0
"""After a kill: longer than the emulator takes to push again what was not acknowledged, about one."""
POLL_SECONDS = 0.05
MAX_QUESTIONS = 10
REQUEST_TIMEOUT_SECONDS = 60.0


class Stage(AbstractContextManager["Stage"]):
    """`hear` is called with a function's name for every line that it says, from many threads."""

    def __init__(self, receiver: Receiver, *, max_nodes_per_hop: int, hear: Callable[[str], None], say: Say) -> None:
        self._receiver, self._max_nodes_per_hop, self._hear, self._say = receiver, max_nodes_per_hop, hear, say
        self._killed: list[Future[float]] = []
        self._closing = Event()

    def __enter__(self) -> Stage:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="sojourn-kill-")))
            self._clock_file = folder / "clock"
            self.move_to(0)
            self._cloud = stack.enter_context(LocalCloud(self._settings(folder), say=self._on_line))
            self.shop: Workshop = compose(read_settings(self._cloud.environment))
            self._client = stack.enter_context(httpx.Client(trust_env=False, timeout=REQUEST_TIMEOUT_SECONDS))
            self._waiters = stack.enter_context(ThreadPoolExecutor(len(FUNCTIONS)))
            stack.callback(self._closing.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _settings(self, folder: Path) -> LocalCloudSettings:
        environment = {
            VARIABLES["clock_file"]: str(self._clock_file),
            VARIABLES["shards"]: str(SHARDS),
            VARIABLES["max_nodes_per_hop"]: str(self._max_nodes_per_hop),
            VARIABLES["mailbox_url"]: self._receiver.url,
        }
        return LocalCloudSettings(
            project=f"sojourn-kill-{token_hex(4)}",
            copies=COPIES,
            ticking=False,
            environment=environment,
            state_dir=folder,
            table=impatient(load_functions_table()),
        )

    def _on_line(self, source: str, text: str) -> None:
        self._say(source, text)
        if source in FUNCTIONS:
            self._hear(source)

    def move_to(self, minute: int) -> None:
        """Set the clock of every function."""
        write_clock(self._clock_file, moment(minute))

    def route(self, lines: Iterable[bytes]) -> None:
        """Give log lines to the log router."""
        body = b"\n".join(lines)
        if body:
            self._client.post(self._cloud.addresses.log_router_url, content=body).raise_for_status()

    def tick(self) -> None:
        """What Cloud Scheduler does every minute."""
        self._cloud.tick()

    def kill(self, function: str) -> None:
        """SIGKILL; returns when the next process was started, well before it answers."""
        self._cloud.kill(function)
        self._killed.append(self._waiters.submit(self._await_function, function))

    def _await_function(self, function: str) -> float:
        """When the new process has taken a message that means nothing, and so has made its clients: the first takes longest."""
        data = HARMLESS[function].model_dump_json(exclude_none=True).encode() if function in HARMLESS else b"{}"
        url, body = self._cloud.addresses.functions[function].url, push_body(data)
        while not self._is_taken(url, body) and not self._closing.wait(POLL_SECONDS):
            pass
        return monotonic()

    def _is_taken(self, url: str, body: bytes) -> bool:
        try:
            return self._client.post(url, content=body).is_success
        except httpx.TransportError:
            return False

    @property
    def at_rest(self) -> bool:
        """Whether nothing is on its way any more."""
        traffic = self._cloud.traffic
        if not self._killed:
            return traffic.is_quiet
        if self._receiver.held or not all(each.done() for each in self._killed):
            return False
        ready_at = max(each.result() for each in self._killed)
        return min(traffic.silent_seconds, monotonic() - ready_at) > SILENT_SECONDS

    def next_minute(self) -> None:
        """Begin to count anew, where a kill has spoilt the counts."""
        if self._killed:
            self._cloud.traffic.balance()
            self._killed.clear()

    def table(self) -> str:
        """The counts, for whoever asks why it does not come to rest."""
        return self._cloud.traffic.table()


def patiently(ask: Callable[[], T]) -> T:
    """What the store says: busy as it is here, it may not answer in time, and whoever only looks asks again."""
    patience = Event()
    for _ in range(MAX_QUESTIONS):
        with suppress(Unavailable):
            return ask()
        patience.wait(POLL_SECONDS)
    return ask()


def impatient(table: FunctionsTable) -> FunctionsTable:
    """Only the functions that are needed. A clock that runs fast leaves no time for long ack deadlines, and none to give up."""
    return table.only(*FUNCTIONS, ack_deadline_seconds=ACK_DEADLINE_SECONDS, max_delivery_attempts=100)
