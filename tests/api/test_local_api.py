"""The API of the local cloud: its own process, Google's emulators behind it, and the functions that its messages reach."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from emulator.functions_table import load_functions_table
from emulator.local_cloud import LocalCloud, LocalCloudSettings
from emulator.state import read_state
from tests.api.conftest import WELCOME
from tests.builders import BOT

DEADLINE_SECONDS = 60.0


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The API and the functions that a member of `welcome` meets."""
    table = load_functions_table()
    functions = {name: table.functions[name] for name in ("run_journey", "perform", "sweep")}
    settings = LocalCloudSettings(
        state_dir=tmp_path_factory.mktemp("state"),
        project="api-test",
        ticking=False,
        table=table.model_copy(update={"functions": functions}),
    )
    with LocalCloud(settings, say=lambda *_: None) as cloud:
        yield cloud


@pytest.fixture
def client(cloud: LocalCloud) -> Iterator[httpx.Client]:
    """A client of the address that the state file tells."""
    state = read_state(cloud.settings.state_dir)
    assert state is not None
    assert state.api_url is not None
    with httpx.Client(base_url=state.api_url, trust_env=False, timeout=DEADLINE_SECONDS) as client:
        yield client


def await_status(client: httpx.Client, status: str) -> Any:
    """Ann's passage as soon as it has that status: the API answers before its line, which counts its messages, is heard."""
    give_up_at = time.monotonic() + DEADLINE_SECONDS
    while True:
        (passage,) = client.get("v1/journeys/welcome/members/ann").json()["passages"]
        if passage["status"] == status:
            return passage
        assert time.monotonic() < give_up_at, passage


@pytest.mark.emulators
@pytest.mark.slow
def test_a_member_goes_through_a_journey_that_was_made_and_is_watched_over_rest(
    cloud: LocalCloud, client: httpx.Client
) -> None:
    made = client.post("v1/journeys", json=dict(WELCOME))
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    assert client.post("v1/journeys/welcome/publish", headers={"If-Match": '"1"'}).json()["status"] == "ONGOING"
    assert client.post("v1/journeys/welcome/enroll", json={"member_id": "ann"}).json() == {"outcome": "entered"}
    assert await_status(client, "WAITING")["node_id"] == "pause"
    assert client.post("v1/journeys/welcome/members/ann/advance").status_code == 202
    assert await_status(client, "ENDED")["node_id"] is None
    cloud.wait_quiet(DEADLINE_SECONDS)
    assert [letter.letter.message for letter in cloud.mailbox.messages] == ["Hello"]


@pytest.mark.emulators
@pytest.mark.slow
def test_lists_counts_reports_and_the_audit_are_answered_by_firestore(client: httpx.Client) -> None:
    names = ["list-1", "list-2", "list-3"]
    for name in names:
        assert client.post("v1/journeys", json={**WELCOME, "id": name, "bot_id": "lists"}).status_code == 201
    first = client.get("v1/journeys", params={"bot_id": "lists", "status": "DRAFT", "page_size": 2}).json()
    token = first["next_page_token"]
    second = client.get("v1/journeys", params={"bot_id": "lists", "page_size": 2, "page_token": token}).json()
    assert [journey["id"] for page in (first, second) for journey in page["items"]] == names
    assert client.get("v1/journeys/count", params={"bot_id": "lists"}).json()["by_status"]["DRAFT"] == 3
    assert client.get("v1/journeys/list-1/report").json()["trigger"] == 0
    (entry,) = client.get("v1/audit", params={"subject": "journeys/list-1"}).json()["items"]
    assert (entry["principal"], entry["action"]) == ("local", "journey.create")


@pytest.mark.emulators
@pytest.mark.slow
def test_a_body_that_is_too_large_is_refused_by_the_real_server(client: httpx.Client) -> None:
    answer = client.put(
        f"v1/bots/{BOT}/members/ann",
        content=b'{"x": "' + b"y" * 2_000_000 + b'"}',
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/problem+json")
