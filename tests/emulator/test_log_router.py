"""Lines from files, streams and HTTP pass the filter and reach the topic in the form the sink publishes."""

import http.client
import io
import json
import os
import queue
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from emulator.log_router.entry import LogSource
from emulator.log_router.filter import compile_filter
from emulator.log_router.router import PUBLISH_MAX_ENTRIES, LogRouter, RouteCount, RoutedEntry
from emulator.log_router.sources import BODY_MAX_BYTES, LogRouterServer, follow, read_lines

EVENT = b'{"metadata": {"support_journey": true}, "event": "order.completed"}'
NOISE = b'{"message": "hello", "metadata": {"support_journey": false}}'
DEADLINE_SECONDS = 10


class Topic:
    """Collects what the router publishes, batch by batch."""

    def __init__(self) -> None:
        self.batches: list[Sequence[RoutedEntry]] = []

    def entries(self) -> list[dict[str, object]]:
        return [json.loads(message.data) for batch in self.batches for message in batch]


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def router(topic: Topic) -> LogRouter:
    return LogRouter(
        compile_filter("jsonPayload.metadata.support_journey=true"),
        source=LogSource("p", "shop-api"),
        publish=topic.batches.append,
        now=lambda: datetime(2026, 3, 1, tzinfo=UTC),
    )


@pytest.fixture
def server(router: LogRouter) -> Iterator[LogRouterServer]:
    with LogRouterServer(router) as running:
        yield running


def post(url: str, body: bytes) -> object:
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=DEADLINE_SECONDS) as response:
        return json.load(response)


def status_of(server: LogRouterServer, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> int:
    """The status of a request whose headers are exactly these."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=DEADLINE_SECONDS)
    connection.putrequest(method, path)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    status = connection.getresponse().status
    connection.close()
    return status


def test_only_matching_lines_are_published_and_blank_ones_are_not_counted(router: LogRouter, topic: Topic) -> None:
    assert router.route([EVENT, b"", b"  \r\n", NOISE, b"text"]) == RouteCount(seen=3, passed=1)
    assert [entry["jsonPayload"] for entry in topic.entries()] == [json.loads(EVENT)]


def test_a_message_is_the_log_entry_with_its_time_as_attribute(router: LogRouter, topic: Topic) -> None:
    router.route([b'{"time": "2026-02-01T00:00:00Z", "metadata": {"support_journey": true}}'])
    (message,) = topic.batches[0]
    assert message.attributes == {"logging.googleapis.com/timestamp": "2026-02-01T00:00:00.000000Z"}
    assert json.loads(message.data)["receiveTimestamp"] == "2026-03-01T00:00:00.000000Z"


def test_batches_stay_within_the_limit(router: LogRouter, topic: Topic) -> None:
    router.route([EVENT] * (2 * PUBLISH_MAX_ENTRIES + 1))
    assert [len(batch) for batch in topic.batches] == [PUBLISH_MAX_ENTRIES, PUBLISH_MAX_ENTRIES, 1]


def test_nothing_is_published_when_nothing_passes(router: LogRouter, topic: Topic) -> None:
    assert router.route([NOISE]) == RouteCount(seen=1, passed=0)
    assert topic.batches == []


def test_equal_lines_get_different_insert_ids(router: LogRouter, topic: Topic) -> None:
    router.route([EVENT, EVENT])
    router.route([EVENT])
    assert len({entry["insertId"] for entry in topic.entries()}) == 3


def test_a_lone_surrogate_is_published_as_a_question_mark(router: LogRouter, topic: Topic) -> None:
    router.route([b'{"name": "\\ud800\\u00e9", "metadata": {"support_journey": true}}'])
    payload = topic.entries()[0]["jsonPayload"]
    assert isinstance(payload, dict)
    assert payload["name"] == "?é"


def test_a_stream_gives_lines_without_their_ends() -> None:
    assert list(read_lines(io.BytesIO(b"a\r\nb\x0bc\n\nd"))) == [b"a", b"b\x0bc", b"", b"d"]


class Tail:
    """Follows a file in a thread and hands over line by line."""

    def __init__(self, path: Path) -> None:
        self.stop = threading.Event()
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._thread = threading.Thread(target=self._run, args=(path,))
        self._thread.start()

    def _run(self, path: Path) -> None:
        for line in follow(path, self.stop):
            self._lines.put(line)

    def next(self) -> bytes:
        return self._lines.get(timeout=DEADLINE_SECONDS)

    def close(self) -> list[bytes]:
        """Stop, and give the lines nobody took."""
        self.stop.set()
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive()
        return [self._lines.get_nowait() for _ in range(self._lines.qsize())]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "shop-api.log"


@pytest.fixture
def tail(log: Path) -> Iterator[Tail]:
    following = Tail(log)
    yield following
    following.close()


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(text)


def test_a_followed_file_may_appear_late_and_its_last_line_waits_for_the_newline(log: Path, tail: Tail) -> None:
    append(log, b"one\nhal")
    assert tail.next() == b"one"
    append(log, b"f\r\n")
    assert tail.next() == b"half"


def test_rotation_loses_no_line_of_either_file(log: Path, tail: Tail) -> None:
    append(log, b"one\n")
    assert tail.next() == b"one"
    append(log, b"two\nlast words")
    os.rename(log, log.with_suffix(".1"))
    append(log, b"three\n")
    assert [tail.next(), tail.next(), tail.next()] == [b"two", b"last words", b"three"]


def test_a_truncated_file_is_read_from_its_start(log: Path, tail: Tail) -> None:
    append(log, b"a long first line\n")
    assert tail.next() == b"a long first line"
    log.write_bytes(b"new\n")
    assert tail.next() == b"new"


def test_following_ends_with_what_is_there_and_leaves_an_unfinished_line(log: Path) -> None:
    log.write_bytes(b"one\ntwo\nunfinished")
    stop = threading.Event()
    stop.set()
    assert list(follow(log, stop)) == [b"one", b"two"]


def test_following_a_file_that_never_comes_can_be_stopped(tmp_path: Path) -> None:
    assert Tail(tmp_path / "absent.log").close() == []


def test_posted_lines_are_routed_and_counted(server: LogRouterServer, topic: Topic) -> None:
    assert post(server.url, EVENT + b"\n" + NOISE + b"\n\n" + EVENT) == {"seen": 3, "passed": 2}
    assert len(topic.entries()) == 2


@pytest.mark.parametrize(("query", "service"), [("", "shop-api"), ("?service=billing", "billing")])
def test_the_query_names_the_service(server: LogRouterServer, topic: Topic, query: str, service: str) -> None:
    post(f"{server.url}/{query}", EVENT)
    resource = topic.entries()[0]["resource"]
    assert isinstance(resource, dict)
    assert resource["labels"]["service_name"] == service


def test_get_says_ok(server: LogRouterServer) -> None:
    with urllib.request.urlopen(server.url, timeout=DEADLINE_SECONDS) as response:
        assert response.read() == b"ok"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/", {}, 411),
        ("POST", "/", {"Content-Length": "-1"}, 411),
        ("POST", "/", {"Content-Length": str(BODY_MAX_BYTES + 1)}, 413),
        ("POST", "/elsewhere", {"Content-Length": "0"}, 404),
        ("GET", "/elsewhere", {}, 404),
        ("PUT", "/", {}, 501),
    ],
)
def test_a_request_out_of_order_is_refused(
    server: LogRouterServer, topic: Topic, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    assert status_of(server, method, path, headers) == status
    assert topic.batches == []


def test_requests_at_once_keep_insert_ids_apart(server: LogRouterServer, topic: Topic) -> None:
    threads = [threading.Thread(target=post, args=(server.url, EVENT + b"\n" + EVENT)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert len({entry["insertId"] for entry in topic.entries()}) == 16


def test_a_failed_publish_leaves_the_request_unanswered_and_the_server_alive(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_: Sequence[RoutedEntry]) -> None:
        raise ConnectionError("no topic")

    source = LogSource("p", "s")
    router = LogRouter(compile_filter(""), source=source, publish=refuse, now=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    with LogRouterServer(router) as server:
        with pytest.raises(http.client.RemoteDisconnected):
            post(server.url, EVENT)
        assert status_of(server, "GET", "/", {}) == 200
    assert "no topic" in caplog.text


def test_a_stopped_server_frees_its_port(router: LogRouter) -> None:
    with LogRouterServer(router) as server:
        port = urlsplit(server.url).port or 0
    with LogRouterServer(router, port=port) as again:
        assert post(again.url, NOISE) == {"seen": 1, "passed": 0}
