"""A receiver of webhooks on loopback, which answers as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread


@dataclass
class Receiver:
    """An HTTP server that answers as it is told and keeps what it was sent."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"id": "m-1"}'
    raw: bytes | None = None
    release: Event | None = None
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def keys(self) -> set[str]:
        return {headers["idempotency-key"] for headers, _ in self.requests}


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.requests.append((headers, self.rfile.read(length)))
        if self.receiver.release:
            self.receiver.release.wait(10)
        with suppress(ConnectionError):  # a client may have heard enough
            self._answer()

    def _answer(self) -> None:
        if self.receiver.raw is not None:
            self.wfile.write(self.receiver.raw)
            self.close_connection = True
            return
        self.send_response(self.receiver.status)
        for name, value in self.receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.receiver.body)))
        self.end_headers()
        self.wfile.write(self.receiver.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens until the block is left."""
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        receiver.port = server.server_port
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield receiver
        if receiver.release:
            receiver.release.set()
        server.shutdown()
        thread.join()
