"""The mailbox: what a member would have received, kept in memory and shown on a page.

It stands for a provider that honours idempotency keys: a message is stored once per key, a repeat is answered like
the first and counted.
"""

import html
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue, ValidationError

from emulator.processes import LOOPBACK

BODY_LIMIT_BYTES = 1024 * 1024
DISCARD_LIMIT_BYTES = 8 * BODY_LIMIT_BYTES
PAGE_LIMIT_MESSAGES = 200
SOCKET_TIMEOUT_SECONDS = 10
IDEMPOTENCY_KEY = "Idempotency-Key"
JSON_TYPE = "application/json"
HTML_TYPE = "text/html; charset=utf-8"

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Mailbox</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; width: 100% }} th, td {{ text-align: left; vertical-align: top; padding: .4rem .6rem }}
th {{ border-bottom: 2px solid #888 }} td {{ border-bottom: 1px solid #ddd }} pre {{ margin: 0; white-space: pre-wrap }}
</style></head><body><h1>Mailbox</h1><p>{summary}</p>
<table><thead><tr><th>#</th><th>Bot</th><th>Member</th><th>Node</th><th>Channel</th><th>Message</th><th>Came</th></tr>
</thead><tbody>
{rows}
</tbody></table></body></html>
"""


class Letter(BaseModel):
    """What the engine posts for one message to one member; `message` is whatever the journey's author wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    effect_id: str
    journey_id: str
    progress_id: str
    bot_id: str
    member_id: str
    node_id: str
    message: JsonValue
    channel: str | None = None
    sent_at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A letter as it came the first time; `deliveries` counts how often it came."""

    id: str
    key: str
    letter: Letter
    deliveries: int = 1


class Mailbox:
    """The messages and the server that takes them, between `start` and `stop` or inside a `with`."""

    def __init__(self, *, port: int = 0) -> None:
        """A free port if none is asked for."""
        self._lock = Lock()
        self._by_key: dict[str, StoredMessage] = {}
        self._server = _Server((LOOPBACK, port), _Handler)
        self._server.mailbox = self
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    @property
    def messages(self) -> list[StoredMessage]:
        """Every message once, oldest first."""
        with self._lock:
            return list(self._by_key.values())

    @property
    def deliveries(self) -> int:
        """How many posts were taken, repeats among them."""
        return sum(message.deliveries for message in self.messages)

    def start(self) -> None:
        """Answer requests, in threads of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Give the port back; the messages stay readable."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def put(self, key: str, letter: Letter) -> StoredMessage:
        """Store under the key, or count a repeat: the first letter stays, whatever the repeat says."""
        with self._lock:
            first = self._by_key.get(key)
            stored = (
                StoredMessage(first.id, key, first.letter, first.deliveries + 1)
                if first
                else StoredMessage(f"message-{len(self._by_key) + 1}", key, letter)
            )
            self._by_key[key] = stored
            return stored


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    mailbox: Mailbox

    def handle_error(self, request: object, client_address: object) -> None:
        """A function that was killed while it waited for the answer has said so elsewhere."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, **problem: JsonValue) -> None:
        super().__init__(status)
        self.status, self.problem = status, problem


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = SOCKET_TIMEOUT_SECONDS

    def do_POST(self) -> None:
        try:
            letter, key = self._letter(), self._key()  # the body first: it must be read in any case
        except _Refused as refused:
            self._answer_json(refused.problem, status=refused.status)
        else:
            stored = self.server.mailbox.put(key, letter)
            self._answer_json({"id": stored.id, "repeated": stored.deliveries > 1})

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        messages = self.server.mailbox.messages
        match address.path:
            case "/":
                self._answer(_page(messages, self.server.mailbox.deliveries), content_type=HTML_TYPE)
            case "/messages":
                wanted = parse_qs(address.query)
                self._answer_json([_as_json(each) for each in messages if _is_wanted(each.letter, wanted)])
            case "/healthz":
                self._answer_json({"status": "ok"})
            case _:
                self._answer_json({"error": f"there is no {address.path}"}, status=HTTPStatus.NOT_FOUND)

    def _key(self) -> str:
        key = self.headers.get(IDEMPOTENCY_KEY, "").strip()
        if not key:
            raise _Refused(HTTPStatus.BAD_REQUEST, error="a header is missing", field=IDEMPOTENCY_KEY)
        return key

    def _letter(self) -> Letter:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, error="a whole number is needed", field="Content-Length")
        if int(length) > BODY_LIMIT_BYTES:
            # Closing on unread bytes would reset the connection before the client has read why.
            self.rfile.read(min(int(length), DISCARD_LIMIT_BYTES))
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error=f"more than {BODY_LIMIT_BYTES} bytes")
        try:
            return Letter.model_validate_json(self.rfile.read(int(length)))
        except ValidationError as error:
            faults: list[JsonValue] = [
                {"field": ".".join(map(str, fault["loc"])) or "body", "error": fault["msg"]} for fault in error.errors()
            ]
            raise _Refused(HTTPStatus.BAD_REQUEST, error="the body is malformed", fields=faults) from error

    def _answer_json(self, value: JsonValue | Mapping[str, JsonValue], *, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._answer(json.dumps(value, ensure_ascii=False), content_type=JSON_TYPE, status=status)

    def _answer(self, text: str, *, content_type: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        # What a journey's author wrote is shown, never run.
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # the local cloud has a log of its own
        pass


def _is_wanted(letter: Letter, wanted: Mapping[str, list[str]]) -> bool:
    return letter.bot_id in wanted.get("bot_id", [letter.bot_id]) and letter.member_id in wanted.get(
        "member_id", [letter.member_id]
    )


def _as_json(stored: StoredMessage) -> JsonValue:
    own: dict[str, JsonValue] = {"id": stored.id, "idempotency_key": stored.key, "deliveries": stored.deliveries}
    return own | stored.letter.model_dump(mode="json")


def _page(messages: list[StoredMessage], deliveries: int) -> str:
    latest = messages[: -PAGE_LIMIT_MESSAGES - 1 : -1]
    summary = f"{len(messages)} messages in {deliveries} deliveries; the latest {len(latest)} are shown, newest first."
    return PAGE.format(summary=summary, rows="\n".join(map(_row, latest)))


def _row(stored: StoredMessage) -> str:
    letter = stored.letter
    text = letter.message if isinstance(letter.message, str) else json.dumps(letter.message, ensure_ascii=False, indent=1)
    cells = [stored.id.removeprefix("message-"), letter.bot_id, letter.member_id, letter.node_id, letter.channel or ""]
    plain = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f"<tr>{plain}<td><pre>{html.escape(text)}</pre></td><td>{stored.deliveries}×</td></tr>"
