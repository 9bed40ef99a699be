"""The local cloud with real emulators and processes around tiny functions: a line goes all the way, and nothing is left."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import httpx
import pytest

from emulator.errors import AlreadyRunning, FunctionMissing, NotQuiet, ProcessEnded, ProcessNotReady
from emulator.functions_table import FunctionsTable, load_functions_table
from emulator.local_cloud import LocalCloud, LocalCloudSettings
from emulator.mailbox import Mailbox
from emulator.pubsub import Message
from emulator.state import STATE_FILE, LocalState, read_state

DEADLINE_SECONDS = 60.0
EVENT = {"event": "order.completed", "metadata": {"support_journey": True}, "data": {"bot_id": "shop"}}

# A function that passes its message on, or posts it to the mailbox, and says so in a line as Sojourn's functions do.
STUB = """
import base64, json, os, sys
import functions_framework, httpx
from emulator.pubsub import Message, PubSub

TO, POSTS = {to!r}, {posts!r}

@functions_framework.http
def {name}(request):
    data = base64.b64decode(request.get_json()["message"]["data"])
    if TO:
        with PubSub(os.environ["PUBSUB_EMULATOR_HOST"], project=os.environ["GOOGLE_CLOUD_PROJECT"]) as pubsub:
            pubsub.publish(TO, [Message(data)])
    if POSTS:
        letter = dict.fromkeys(["effect_id", "journey_id", "progress_id", "bot_id", "member_id", "node_id"], "x")
        letter["message"] = {{"got": data.decode(), "greeting": os.environ["GREETING"]}}
        httpx.post(os.environ["SOJOURN_MAILBOX_URL"], json=letter, headers={{"Idempotency-Key": "x"}}).raise_for_status()
    line = {{"severity": "INFO", "message": "done", "function": {name!r}, "status": 204}}
    sys.stdout.write(json.dumps(line | {{"published": {{TO: 1}} if TO else {{}}}}) + "\\n")
    return "", 204
"""
NEXT = {"ingest": "journey-runs", "run_journey": "journey-effects", "perform": None, "sweep": None, "enroll": None}

Said = SimpleQueue[tuple[str, str]]


def write_stubs(directory: Path) -> Path:
    """The four functions as sources; perform is the one that posts."""
    for name, to in NEXT.items():
        (directory / name).mkdir()
        (directory / name / "main.py").write_text(STUB.format(name=name, to=to, posts=name == "perform"))
    return directory


def only(*names: str) -> FunctionsTable:
    """The table with a few functions, for a quick start."""
    table = load_functions_table()
    return table.model_copy(update={"functions": {name: table.functions[name] for name in names}, "services": {}})


def await_said(said: Said, source: str, part: str) -> str:
    """The next text of the source with the part in it."""
    while True:
        heard, text = said.get(timeout=DEADLINE_SECONDS)
        if heard == source and part in text:
            return text


def is_free(url: str) -> bool:
    """Whether nobody listens at the URL or host:port any more."""
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def is_gone(pid: int) -> bool:
    """Whether our child was ended and reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture(scope="class")
def said() -> Said:
    """The one log of the shared cloud."""
    return SimpleQueue()


@pytest.fixture(scope="class")
def cloud(tmp_path_factory: pytest.TempPathFactory, said: Said) -> Iterator[LocalCloud]:
    """All four functions, every message delivered twice."""
    settings = LocalCloudSettings(
        source_dir=write_stubs(tmp_path_factory.mktemp("functions")),
        state_dir=tmp_path_factory.mktemp("state"),
        copies=2,
        ticking=False,
        table=only(*NEXT),
        environment={"GREETING": "hello"},
    )
    with LocalCloud(settings, say=lambda source, text: said.put((source, text))) as cloud:
        yield cloud


@pytest.fixture
def dummies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Emulators that only answer: enough for what must fail before they are used."""
    with Mailbox() as server:
        for variable in ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"):
            monkeypatch.setenv(variable, server.url.removeprefix("http://"))
        yield


@pytest.mark.emulators
@pytest.mark.slow
class TestRunning:
    """One cloud for all of these: its start is what takes the seconds."""

    def test_a_log_line_goes_all_the_way_and_every_delivery_is_counted(self, cloud: LocalCloud, said: Said) -> None:
        lines = "\n".join([json.dumps(EVENT), json.dumps({"message": "not ours"}), "plain text"])
        answer = httpx.post(f"{cloud.addresses.log_router_url}/?service=shop-api", content=lines, trust_env=False)
        cloud.wait_quiet(DEADLINE_SECONDS)
        assert answer.json() == {"seen": 3, "passed": 1}
        assert [row.split()[2:] for row in cloud.traffic.table().splitlines()[1:4]] == [["2", "2"], ["4", "4"], ["8", "8"]]
        (message,) = cloud.mailbox.messages
        assert message.deliveries == 8
        assert isinstance(message.letter.message, dict)
        assert message.letter.message["greeting"] == "hello"
        assert json.loads(str(message.letter.message["got"]))["jsonPayload"]["event"] == "order.completed"
        assert await_said(said, "ingest", "done") == "done → journey-runs 1"

    def test_a_tick_reaches_the_sweep(self, cloud: LocalCloud, said: Said) -> None:
        cloud.tick()
        cloud.wait_quiet(DEADLINE_SECONDS)
        assert await_said(said, "sweep", "done")

    def test_the_state_file_tells_the_addresses(self, cloud: LocalCloud) -> None:
        state_dir = cloud.settings.state_dir
        written = json.loads((state_dir / STATE_FILE).read_text())
        assert read_state(state_dir) == cloud.addresses
        assert written.keys() == LocalState.model_fields.keys()
        assert written["api_url"] is None  # these stubs have no api
        assert written["scheduler_emulator_host"].startswith("127.0.0.1:")
        assert written["functions"].keys() == NEXT.keys()

    def test_a_second_cloud_of_the_same_directory_is_refused(self, cloud: LocalCloud) -> None:
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
            LocalCloud(cloud.settings, say=lambda *_: None).start()
        assert read_state(cloud.settings.state_dir) == cloud.addresses

    def test_a_killed_function_is_started_again_said_so_and_loses_nothing(self, cloud: LocalCloud, said: Said) -> None:
        before = cloud.addresses.functions["perform"]
        os.kill(before.pid, signal.SIGKILL)
        cloud.publish("journey-effects", [Message(b"after the crash")])
        assert "ended with exit code -9; started again in 0.2 s" in await_said(said, "perform", "ended")
        cloud.wait_quiet(DEADLINE_SECONDS)
        after = cloud.addresses.functions["perform"]
        assert (after.url, after.pid != before.pid) == (before.url, True)
        assert read_state(cloud.settings.state_dir) == cloud.addresses

    def test_it_is_not_quiet_while_messages_are_on_their_way(self, cloud: LocalCloud) -> None:
        cloud.publish("journey-runs", [Message(b"on its way")] * 20)
        with pytest.raises(NotQuiet, match="run_journey  journey-runs"):
            cloud.wait_quiet(0)


@pytest.mark.emulators
@pytest.mark.slow
def test_up_and_down_twice_leaves_no_process_no_port_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / STATE_FILE).write_text("garbage")
    said: Said = SimpleQueue()
    sources, state_dir = write_stubs(tmp_path), tmp_path / "state"
    settings = LocalCloudSettings(source_dir=sources, state_dir=state_dir, table=only("sweep"))
    for _ in range(2):
        cloud = LocalCloud(settings, say=lambda source, text: said.put((source, text)))
        cloud.start()
        addresses = cloud.addresses
        cloud.tick()
        await_said(said, "sweep", "done")
        cloud.stop()
        cloud.stop()
        functions = addresses.functions.values()
        hosts = [addresses.firestore_emulator_host, addresses.pubsub_emulator_host, addresses.scheduler_emulator_host or ""]
        urls = [addresses.mailbox_url, addresses.log_router_url, *(function.url for function in functions)]
        assert all(is_free(address) for address in (*hosts, *urls))
        assert all(is_gone(function.pid) for function in functions)
        assert list(state_dir.iterdir()) == []


@pytest.mark.emulators
@pytest.mark.slow
def test_an_emulator_that_ends_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    settings = LocalCloudSettings(state_dir=tmp_path, table=only(), ticking=False)
    with LocalCloud(settings, say=lambda *_: None) as cloud:
        httpx.post(f"http://{cloud.addresses.firestore_emulator_host}/shutdown", trust_env=False)
        with pytest.raises(ProcessEnded, match="the firestore emulator ended with exit code 0; what was in it is lost"):
            cloud.wait()


@pytest.mark.usefixtures("dummies")
@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        (None, FunctionMissing, "the function sweep has no source: there is no .*sweep/main.py"),
        ("raise SystemExit('a fault in the source')", ProcessNotReady, "the function sweep ended .*"),
    ],
)
def test_a_start_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, source: str | None, error: type[Exception], text: str
) -> None:
    state_dir = tmp_path / "state"
    if source:
        (tmp_path / "sweep").mkdir()
        (tmp_path / "sweep" / "main.py").write_text(source)
    cloud = LocalCloud(LocalCloudSettings(source_dir=tmp_path, state_dir=state_dir, table=only("sweep")), say=lambda *_: None)
    with pytest.raises(error, match=text) as refused:
        cloud.start()
    assert source is None or "a fault in the source" in str(refused.value)
    assert list(state_dir.iterdir()) == []
    assert is_free(cloud.mailbox.url)


@pytest.mark.parametrize("delay_seconds", [0.0, 0.05], ids=["before", "while it waits"])
def test_a_stop_request_from_a_signal_handler_ends_the_wait(tmp_path: Path, delay_seconds: float) -> None:
    cloud = LocalCloud(LocalCloudSettings(state_dir=tmp_path), say=lambda *_: None)
    before = signal.signal(signal.SIGALRM, lambda *_: cloud.request_stop())
    try:
        if delay_seconds:
            signal.setitimer(signal.ITIMER_REAL, delay_seconds)
        else:
            signal.raise_signal(signal.SIGALRM)
        cloud.wait()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert list(tmp_path.iterdir()) == []
