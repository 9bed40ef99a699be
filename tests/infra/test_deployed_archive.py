"""An archive as Google deploys it: unpacked, its pins in an empty virtual environment, served, and a message pushed to it."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from emulator.functions_table import REPOSITORY, load_functions_table
from emulator.processes import LOOPBACK, ChildProcess, await_answer, free_ports
from sojourn.runtime.envelope import push_body
from sojourn.runtime.settings import VARIABLES

FUNCTION = "ingest"
TIMEOUT_SECONDS = 60.0
OURS_BUT_WRONG = b'{"jsonPayload": {"metadata": {"support_journey": true}}}'


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archive's files and a virtual environment that holds its pins and nothing else."""
    folder = tmp_path_factory.mktemp("deployed")
    build = [sys.executable, "infra/package.py", FUNCTION, "--out", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    with ZipFile(folder / f"{FUNCTION}.zip") as archive:
        archive.extractall(folder / "source")
    venv.create(folder / "venv")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "venv"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-compile", "--requirement", str(folder / "source/requirements.txt")],
        check=True,
        capture_output=True,
        text=True,
    )
    return folder


@pytest.mark.slow
@pytest.mark.emulators
def test_a_message_pushed_to_it_is_answered_and_what_is_wrong_is_kept(
    deployed: Path, firestore_host: str, project: str
) -> None:
    (port,) = free_ports(1)
    spec = load_functions_table().functions[FUNCTION]
    where = ["--host", LOOPBACK, "--port", str(port)]
    what = ["--source", "main.py", "--target", spec.entry_point, "--signature-type", "http"]
    lines: list[str] = []
    server = ChildProcess(
        [str(deployed / "venv/bin/functions-framework"), *what, *where],
        on_line=lines.append,
        on_exit=lambda code: None,
        environment={
            VARIABLES["project"]: project,
            VARIABLES["firestore_emulator_host"]: firestore_host,
            VARIABLES["pubsub_emulator_host"]: f"{LOOPBACK}:1",
        },
        directory=deployed / "source",
    )
    try:
        await_answer(server, name=FUNCTION, host=f"{LOOPBACK}:{port}", path="/robots.txt", timeout_seconds=TIMEOUT_SECONDS)
        url = f"http://{LOOPBACK}:{port}/"
        answers = [httpx.post(url, content=body, timeout=TIMEOUT_SECONDS) for body in (push_body(OURS_BUT_WRONG), b"?")]
    finally:
        server.stop()
    assert [answer.status_code for answer in answers] == [204, 400], lines
    assert any('"rejected"' in line for line in lines), lines
