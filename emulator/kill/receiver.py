"""A receiver as bad as they come: it fails, hangs and drops connections, before it has noted a delivery and after.

It honours idempotency keys: what it has noted is not noted again, and a repeat is answered like the first. It keeps a ledger of
every call, so that acceptances can be counted here, where they matter, and not where the engine thinks they happened.
"""

from __future__ import annotations

import json
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from time import monotonic
from typing import Self

from emulator.mailbox import IDEMPOTENCY_KEY, Letter
from emulator.processes import LOOPBACK
from sojourn.domain.ids import fraction

MAX_FAULTS_PER_KEY = 2
"""Below the attempts that a channel makes, even with a kill or two on top: no effect may be given up."""
HANG_SECONDS = 30.0
"""Longer than the channel waits."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER without patience: closing resets the connection."""


class Fault(Enum):
    """What goes wrong with a call: the share of calls, whether the delivery is noted all the same, the status or none."""

    UNAVAILABLE = (0.05, False, HTTPStatus.SERVICE_UNAVAILABLE)
    FAILS_AFTER_NOTING = (0.02, True, HTTPStatus.INTERNAL_SERVER_ERROR)
    DROPS_BEFORE_NOTING = (0.02, False, None)
    DROPS_AFTER_NOTING = (0.02, True, None)
    HANGS_BEFORE_NOTING = (0.01, False, None)
    HANGS_AFTER_NOTING = (0.01, True, None)

    def __init__(self, share: float, notes: bool, status: HTTPStatus | None) -> None:
        self.share, self.notes, self.status = share, notes, status

    @property
    def hangs(self) -> bool:
        """Whether the call is kept open without an answer."""
        return self in (Fault.HANGS_BEFORE_NOTING, Fault.HANGS_AFTER_NOTING)


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what for, when it came, what went wrong by plan. `noted`: it was accepted, as the first of its key."""

    key: str
    letter: Letter
    began: float
    fault: Fault | None
    noted: bool


class Receiver:
    """Serves inside a `with`. `hangs`: how many calls may hang at most, for each costs its caller ten real seconds."""

    def __init__(self, seed: int, *, hangs: int) -> None:
        self._seed, self._hangs_left = seed, hangs
        self._lock = Lock()
        self.held = 0
        self._calls: list[Call] = []
        self._noted: set[str] = set()
        self._faults: Counter[str] = Counter()
        self._server = _Server((LOOPBACK, 0), _Handler)
        self._server.receiver = self
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    @property
    def calls(self) -> list[Call]:
        """Every call so far, in order."""
        with self._lock:
            return list(self._calls)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, key: str, letter: Letter) -> Call:
        """Decide what goes wrong, and note the delivery unless that comes before."""
        with self._lock:
            fault = self._fault(key)
            notes = key not in self._noted and (fault is None or fault.notes)
            self._noted |= {key} if notes else set()
            call = Call(key, letter, monotonic(), fault, notes)
            self._calls.append(call)
            return call

    def _fault(self, key: str) -> Fault | None:
        """By the dice of the seed, the key and what has gone wrong with it before; within the limits of both."""
        fault = _thrown(fraction("receiver", self._seed, key, self._faults[key]))
        if fault is None or self._faults[key] >= MAX_FAULTS_PER_KEY or (fault.hangs and not self._hangs_left):
            return None
        self._faults[key] += 1
        self._hangs_left -= fault.hangs
        return fault

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """A call that is not answered is being kept open."""
        with self._lock:
            self.held += 1
        yield
        with self._lock:
            self.held -= 1


def _thrown(point: float) -> Fault | None:
    """The fault whose share of [0, 1) the point lies in."""
    for fault in Fault:
        point -= fault.share
        if point < 0:
            return fault
    return None


def repeats(calls: Sequence[Call]) -> Iterator[Call]:
    """Calls that were answered well, and yet made again."""
    by_key: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_key[call.key].append(call)
    for same in by_key.values():
        yield from (call for call in same[:-1] if call.fault is None)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, request: object, client_address: object) -> None:
        """Callers are killed while they wait: their connections end in every way."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        receiver = self.server.receiver
        letter = Letter.model_validate_json(self.rfile.read(int(self.headers["Content-Length"])))
        call = receiver.take(self.headers[IDEMPOTENCY_KEY], letter)
        if call.fault is None:
            self._answer(HTTPStatus.OK, json.dumps({"id": call.key}))
        elif call.fault.status is not None:
            self._answer(call.fault.status, "")
        else:
            if call.fault.hangs:
                self._hang()
            self._drop()

    def _answer(self, status: HTTPStatus, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _hang(self) -> None:
        """Until the caller has had enough: then its end of the connection closes."""
        self.connection.settimeout(HANG_SECONDS)
        with self.server.receiver.hanging(), suppress(OSError):
            self.rfile.read(1)

    def _drop(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # the local cloud has a log of its own
        pass
