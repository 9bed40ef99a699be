"""Where log lines come from: a stream that ends, a file that grows, and HTTP requests on loopback."""

import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import BinaryIO, Self
from urllib.parse import parse_qs, urlsplit

from emulator.errors import LocalCloudError
from emulator.log_router.router import LogRouter

BODY_MAX_BYTES = 32 * 1024 * 1024
POLL_SECONDS = 0.1
REQUEST_TIMEOUT_SECONDS = 30

_log = logging.getLogger(__name__)


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream without their ends; only a newline ends one, and the last needs none."""
    for line in stream:
        yield line.rstrip(b"\r\n")


def follow(path: Path, stop: Event) -> Iterator[bytes]:
    """The lines of a file from its beginning, and on as it grows, until `stop` is set and what is there is read.

    The file may be missing at first, be rotated (a new file at the path) or be truncated. A last line without its
    newline waits for it. A file truncated and refilled past the old end between two looks goes unnoticed, as with tail.
    """
    while True:
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            if stop.wait(POLL_SECONDS):
                return
            continue
        with stream:
            yield from _grown_lines(stream, path, stop)
        if stop.is_set():
            return


def _grown_lines(stream: BinaryIO, path: Path, stop: Event) -> Iterator[bytes]:
    """The lines of one file, until it is replaced. The look comes before the read: nothing written earlier is lost."""
    partial = b""
    while True:
        stopped, replaced = stop.is_set(), _is_replaced(stream, path)
        for chunk in stream:
            partial += chunk
            if partial.endswith(b"\n"):
                yield partial.rstrip(b"\r\n")
                partial = b""
        if partial and replaced:
            yield partial
        if stopped or replaced:
            return
        stop.wait(POLL_SECONDS)


def _is_replaced(stream: BinaryIO, path: Path) -> bool:
    """Whether the path leads to another file by now, or this one has lost what was read of it."""
    ours = os.fstat(stream.fileno())
    try:
        return not os.path.samestat(ours, path.stat()) or ours.st_size < stream.tell()
    except FileNotFoundError:
        return False  # Between rename and create; the old file may still be written to.


class LogRouterServer:
    """The router behind HTTP: POST /?service=shop-api with JSON lines answers {"seen": n, "passed": m}; GET / says ok."""

    def __init__(self, router: LogRouter, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _Server((host, port), router)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": POLL_SECONDS}, daemon=True)

    @property
    def url(self) -> str:
        """Base URL, with the port the system chose if none was given."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Serve in a thread; connections are accepted once this returns."""
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting, wait for the serving thread and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    """Requests in flight are waited for at close, so a batch is never cut in two."""

    daemon_threads = False

    def __init__(self, address: tuple[str, int], router: LogRouter) -> None:
        super().__init__(address, _Handler)
        self.router = router

    def handle_error(self, request: object, client_address: object) -> None:
        """The connection closes without an answer; say why where logs go. A client that went away is worth no stack."""
        error = sys.exception()
        _log.error("log router: request of %s: %r", client_address, error, exc_info=not isinstance(error, ConnectionError))


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_TIMEOUT_SECONDS

    def do_GET(self) -> None:
        found = urlsplit(self.path).path == "/"
        self._answer(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND, b"ok" if found else b"not found")

    def do_POST(self) -> None:
        address = urlsplit(self.path)
        if refusal := self._refusal(address.path):
            self._answer(refusal, refusal.phrase.encode())
            return
        body = self.rfile.read(length := int(self.headers["Content-Length"]))
        if len(body) < length:
            self._answer(HTTPStatus.BAD_REQUEST, b"the body ends early")
            return
        service = parse_qs(address.query).get("service", [None])[0]
        try:
            count = self.server.router.route(read_lines(io.BytesIO(body)), service=service)
        except LocalCloudError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, str(error).encode())
            return
        self._answer(HTTPStatus.OK, json.dumps({"seen": count.seen, "passed": count.passed}).encode())

    def _refusal(self, path: str) -> HTTPStatus | None:
        length = self.headers.get("Content-Length", "")
        if path != "/":
            return HTTPStatus.NOT_FOUND
        if not (length.isascii() and length.isdecimal()):
            return HTTPStatus.LENGTH_REQUIRED
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if int(length) > BODY_MAX_BYTES else None

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # the name is the base class's
        _log.debug(format, *args)
