"""The `sojourn` command: what it prints, which exit code it ends with, and that whatever goes wrong is a sentence."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from emulator.errors import PubSubFailed
from emulator.log_router.entry import LogSource
from emulator.log_router.filter import compile_filter
from emulator.log_router.router import LogRouter, RoutedEntry
from emulator.log_router.sources import LogRouterServer
from emulator.state import LocalState, owned, write_state
from sojourn.cli.main import main
from tests.spawned import spawned

DEADLINE_SECONDS = 60.0
SHOP = Path(__file__).parents[2] / "emulator" / "scenarios" / "shop"
OURS = b'{"jsonPayload": {"event": "x"}, "metadata": {"support_journey": true}}'
VERDICT_KEYS = {"entered", "ended", "canceled", "waiting", "effects", "duplicates", "lost", "faults"}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which no local cloud runs, an environment that names none, and signals as they were."""
    for variable in ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SOJOURN_STATE_DIR", str(tmp_path / "state"))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield tmp_path / "state"
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command; exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


@pytest.fixture
def topic() -> list[bytes]:
    """What the router published."""
    return []


@pytest.fixture
def router(state_dir: Path, topic: list[bytes]) -> Iterator[LogRouterServer]:
    """A real log router that lets everything pass, and a state file that names it: all that `logs route` needs."""

    def publish(entries: Sequence[RoutedEntry]) -> None:
        if b"unlucky" in entries[0].data:
            raise PubSubFailed("the Pub/Sub emulator refused: it is out of luck")
        topic.extend(entry.data for entry in entries)

    now = datetime(2026, 3, 1, tzinfo=UTC)
    router = LogRouter(compile_filter(""), source=LogSource("p", "s"), publish=publish, now=lambda: now)
    with ExitStack() as stack:
        server = stack.enter_context(LogRouterServer(router))
        stack.enter_context(owned(state_dir))
        write_state(state_dir, local_state(server.url))
        yield server


def local_state(router_url: str) -> LocalState:
    """Addresses of which only the router's is real."""
    return LocalState(
        project="p",
        pubsub_emulator_host="127.0.0.1:1",
        firestore_emulator_host="127.0.0.1:2",
        log_router_url=router_url,
        mailbox_url="http://127.0.0.1:3",
        functions={},
    )


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Make the data the standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize(
    "command",
    [[], ["demo"], ["up"], ["down"], ["status"], ["logs", "route"], ["journeys", "validate"], ["journeys", "publish"]],
)
def test_help_says_what_a_command_does(run: Run, command: list[str]) -> None:
    code, out, _ = run(*command, "--help")
    assert (code, out.startswith("Usage: ")) == (0, True)
    assert not command or "--json" in out


@pytest.mark.parametrize(
    "arguments", [["nix"], ["demo", "--copies", "0"], ["demo", "--backend", "moon"], ["journeys", "validate"]]
)
def test_a_wrong_argument_is_bad_input(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out, "Error: " in err) == (2, "", True)


def test_a_log_file_that_cannot_be_written_is_bad_input(run: Run, tmp_path: Path) -> None:
    code, _, err = run("demo", "--members", "1", "--log-file", str(tmp_path / "none" / "log"))
    assert (code, "cannot be written: No such file or directory" in err) == (2, True)


def test_the_demo_ends_with_its_figures(run: Run) -> None:
    code, out, err = run("demo", "--members", "1")
    last = out.splitlines()[-1]
    assert (code, err, last.startswith("demo: entered="), last.endswith("duplicates=0 lost=0")) == (0, "", True, True)


def test_the_demo_in_json_is_its_figures(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("demo", "--members", "1", "--json", "--log-file", str(tmp_path / "log.jsonl"))
    figures = json.loads(out)
    assert (code, figures["lost"], figures["duplicates"], figures.keys()) == (0, 0, 0, VERDICT_KEYS)
    assert "support_journey" in (tmp_path / "log.jsonl").read_text()


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["down"], ["logs", "route"]])
def test_without_a_local_cloud_the_answer_is_one_sentence(run: Run, command: list[str]) -> None:
    code, out, err = run(*command)
    assert (code, out, err.startswith("no local cloud is running"), err.count("\n")) == (1, "", True, 1)


def test_publishing_nowhere_says_both_ways_out(run: Run) -> None:
    code, _, err = run("journeys", "publish", str(SHOP / "onboarding.yaml"))
    assert (code, "`sojourn up`" in err, "GOOGLE_CLOUD_PROJECT" in err) == (1, True, True)


def test_a_cloud_that_is_still_starting_is_named_so(run: Run, state_dir: Path) -> None:
    with owned(state_dir):
        code, _, err = run("status")
    assert (code, f"(process {os.getpid()}) is still starting" in err) == (1, True)


@pytest.mark.usefixtures("router")
def test_status_tells_the_addresses(run: Run, state_dir: Path) -> None:
    assert LocalState.model_validate_json(run("status", "--json")[1]) == LocalState.model_validate_json(
        (state_dir / "local.json").read_bytes()
    )
    code, out, _ = run("status")
    assert (code, "127.0.0.1:2" in out, "None" in out) == (0, True, False)


@pytest.mark.usefixtures("router")
def test_a_second_up_is_refused(run: Run) -> None:
    code, _, err = run("up")
    assert (code, "is already running" in err, "`sojourn down`" in err) == (1, True, True)


def test_up_refuses_a_wrong_variable_before_anything_starts(run: Run, monkeypatch: pytest.MonkeyPatch, state_dir: Path) -> None:
    monkeypatch.setenv("SOJOURN_SHARDS", "0")
    code, out, err = run("up")
    assert (code, out, "SOJOURN_SHARDS" in err, state_dir.exists()) == (2, "", True, False)


def test_up_without_emulators_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch, state_dir: Path) -> None:
    monkeypatch.setenv("PATH", "")
    for variable in ("SOJOURN_JAVA", "SOJOURN_FIRESTORE_JAR", "SOJOURN_PUBSUB_JAR"):
        monkeypatch.delenv(variable, raising=False)
    code, _, err = run("up")
    assert (code, "apt install openjdk" in err, "`make demo` needs none" in err) == (1, True, True)
    assert list(state_dir.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOJOURN_STATE_DIR", str(tmp_path / "file" / "state"))
    code, _, err = run("up")
    assert (code, err.count("\n"), "Not a directory" in err) == (1, 1, True)


def test_definitions_are_valid_or_every_fault_is_listed(run: Run, tmp_path: Path) -> None:
    (bad := tmp_path / "bad.yaml").write_text("id: x\nbot_id: b\nname: n\nnodes:\n  - id: a\n    key: nix\n")
    good, missing = SHOP / "onboarding.yaml", tmp_path / "none.yaml"
    assert run("journeys", "validate", str(good)) == (0, f"{good}: valid\n", "")
    code, out, _ = run("journeys", "validate", str(good), str(bad), str(missing))
    assert (code, out.startswith(f"{good}: valid\n{bad}: line 6: ")) == (2, True)
    assert out.endswith(f"{missing}: cannot be read: No such file or directory\n")
    listed = json.loads(run("journeys", "validate", "--json", str(good), str(bad))[1])
    assert (listed[str(good)], listed[str(bad)][0]["line"]) == ([], 6)
    assert run("journeys", "publish", str(bad))[::2] == (2, out.split("\n", 1)[1].partition(f"{missing}")[0])


def test_lines_of_standard_input_are_routed(
    run: Run, router: LogRouterServer, topic: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, OURS + b"\nplain\n\nlast, without an end")
    assert run("logs", "route", "--service", "till") == (0, "3 lines, 3 of them for journeys\n", "")
    assert [json.loads(entry)["resource"]["labels"]["service_name"] for entry in topic] == ["till"] * 3


@pytest.mark.usefixtures("router")
def test_lines_of_a_file_are_routed_whole_however_long_they_are(run: Run, tmp_path: Path, topic: list[bytes]) -> None:
    long = json.dumps({"long": "x" * 3_000_000}).encode()
    (tmp_path / "log").write_bytes(b"\n".join([OURS, long] * 2))
    assert run("logs", "route", str(tmp_path / "log"), "--json")[1] == '{"seen": 4, "passed": 4}\n'
    assert [len(entry) > 100_000 for entry in topic] == [False, True, False, True]


@pytest.mark.usefixtures("router")
def test_a_missing_file_is_bad_input(run: Run, tmp_path: Path) -> None:
    code, _, err = run("logs", "route", str(tmp_path / "none"))
    assert (code, "there is no file" in err) == (2, True)


@pytest.mark.usefixtures("router")
def test_lines_that_pubsub_refuses_are_said_with_what_got_through(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"unlucky")
    code, _, err = run("logs", "route")
    assert (code, "it is out of luck; 0 lines got through before" in err) == (1, True)


def test_a_router_that_is_gone_is_one_sentence(run: Run, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, OURS)
    with owned(state_dir):
        write_state(state_dir, local_state("http://127.0.0.1:9"))
        code, _, err = run("logs", "route")
    assert (code, err.count("\n"), "the log router at http://127.0.0.1:9 does not answer any more" in err) == (1, 1, True)


def spawn(*arguments: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """The command as a process of its own."""
    command = [sys.executable, "-c", "from sojourn.cli.main import main; main()", *arguments]
    return spawned(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def await_while_running(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    """Return when the condition holds, or the process has ended too early."""
    never = Event()
    while not condition() and process.poll() is None:
        never.wait(0.02)


@pytest.mark.usefixtures("router")
def test_a_line_of_a_pipe_does_not_wait_for_the_next_and_ctrl_c_ends_with_the_counts(topic: list[bytes]) -> None:
    with spawn("logs", "route") as route:
        assert route.stdin is not None
        route.stdin.write(OURS + b"\n")
        route.stdin.flush()
        await_while_running(route, lambda: len(topic) == 1)
        route.send_signal(signal.SIGINT)
        assert route.wait(DEADLINE_SECONDS) == 0
        assert route.stdout is not None
        assert route.stdout.read() == b"1 lines, 1 of them for journeys\n"


@pytest.mark.usefixtures("router")
def test_a_growing_file_is_followed_until_ctrl_c(topic: list[bytes], tmp_path: Path) -> None:
    with spawn("logs", "route", "--follow", str(tmp_path / "log")) as route:
        for count in (1, 2):
            with (tmp_path / "log").open("ab") as log:
                log.write(OURS + b"\n")
            await_while_running(route, lambda count=count: len(topic) == count)  # type: ignore[misc]
        route.send_signal(signal.SIGINT)
        out, _ = route.communicate(timeout=DEADLINE_SECONDS)
    assert (route.returncode, out) == (0, b"2 lines, 2 of them for journeys\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_demo_that_is_interrupted_shows_no_stack(number: signal.Signals, code: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with spawn("demo", "--members", "60", "--log-file", str(log)) as demo:
        await_while_running(demo, log.exists)
        demo.send_signal(number)
        out, err = demo.communicate(timeout=DEADLINE_SECONDS)
    assert (demo.returncode, out, b"Traceback" in err) == (code, b"", False)


def test_a_report_that_nobody_reads_shows_no_stack() -> None:
    with spawn("demo", "--members", "1") as demo:
        assert demo.stdout is not None
        demo.stdout.close()
        assert demo.wait(DEADLINE_SECONDS) == 1
        assert demo.stderr is not None
        assert b"Traceback" not in demo.stderr.read()
