"""The mailbox: one message per idempotency key, shown without being run, and malformed posts named."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from pydantic import JsonValue

from emulator.mailbox import BODY_LIMIT_BYTES, Mailbox

LETTER: dict[str, JsonValue] = {
    "effect_id": "e1",
    "journey_id": "j1",
    "progress_id": "p1",
    "bot_id": "shop",
    "member_id": "mia",
    "node_id": "welcome",
    "message": {"type": "text", "text": "Hello"},
}


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mailbox that listens."""
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def client(mailbox: Mailbox) -> Iterator[httpx.Client]:
    """A client that never asks a proxy."""
    with httpx.Client(base_url=mailbox.url, trust_env=False) as client:
        yield client


def post(client: httpx.Client, key: str = "k1", **changes: JsonValue) -> httpx.Response:
    """Post the letter, changed."""
    return client.post("/", headers={"Idempotency-Key": key}, json=LETTER | changes)


def test_a_message_is_stored_with_everything_it_came_with(client: httpx.Client, mailbox: Mailbox) -> None:
    answer = post(client, channel="line", sent_at="2026-11-21T09:00:00Z")
    (stored,) = mailbox.messages
    assert answer.json() == {"id": stored.id, "repeated": False}
    assert stored.letter.message == {"type": "text", "text": "Hello"}
    assert stored.letter.channel == "line"
    assert stored.letter.sent_at is not None


def test_a_repeat_is_answered_like_the_first_and_counted(client: httpx.Client, mailbox: Mailbox) -> None:
    first, repeat = post(client), post(client, message="another text")
    assert (repeat.status_code, repeat.json()) == (200, {"id": first.json()["id"], "repeated": True})
    (stored,) = mailbox.messages
    assert stored.letter.message == {"type": "text", "text": "Hello"}
    assert stored.deliveries == mailbox.deliveries == 2


def test_posts_at_the_same_time_store_once_per_key(client: httpx.Client, mailbox: Mailbox) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: post(client, f"k{number % 5}"), range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(mailbox.messages) == len({message.id for message in mailbox.messages}) == 5
    assert mailbox.deliveries == 40


def test_messages_are_listed_oldest_first_and_by_member(client: httpx.Client) -> None:
    post(client, "k1"), post(client, "k2", member_id="tom"), post(client, "k3", bot_id="cafe")
    assert [each["idempotency_key"] for each in client.get("/messages").json()] == ["k1", "k2", "k3"]
    (found,) = client.get("/messages", params={"bot_id": "shop", "member_id": "mia"}).json()
    assert found == {"id": "message-1", "idempotency_key": "k1", "deliveries": 1, "channel": None, "sent_at": None} | LETTER


def test_the_page_shows_what_came_and_runs_none_of_it(client: httpx.Client) -> None:
    post(client, member_id="<b>mia</b>", message="<script>alert(1)</script> {summary}")
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {summary}" in page.text
    assert "<script>" not in page.text
    assert "<b>mia" not in page.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (json.dumps(LETTER | {"member_id": 7}), "member_id"),
        (json.dumps(LETTER | {"sender": "me"}), "sender"),
        (json.dumps({key: value for key, value in LETTER.items() if key != "node_id"}), "node_id"),
        (json.dumps(LETTER | {"sent_at": "2026-11-21T09:00:00"}), "sent_at"),
        ("{", "body"),
        ("", "body"),
    ],
)
def test_a_malformed_body_names_the_field(client: httpx.Client, mailbox: Mailbox, body: str, field: str) -> None:
    answer = client.post("/", headers={"Idempotency-Key": "k1"}, content=body)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["fields"]] == [field]
    assert mailbox.messages == []


def test_a_post_without_a_key_is_refused(client: httpx.Client) -> None:
    answer = client.post("/", json=LETTER)
    assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")


def test_a_post_that_is_too_large_is_refused_and_told_so(client: httpx.Client, mailbox: Mailbox) -> None:
    answer = post(client, message="x" * BODY_LIMIT_BYTES)
    assert (answer.status_code, answer.json()) == (413, {"error": f"more than {BODY_LIMIT_BYTES} bytes"})
    assert mailbox.messages == []


def test_a_post_of_unknown_length_is_refused(client: httpx.Client) -> None:
    answer = client.post("/", headers={"Idempotency-Key": "k1"}, content=iter([b"{}"]))
    assert answer.status_code == 411


def test_other_addresses_are_not_found_and_health_is_ok(client: httpx.Client) -> None:
    assert client.get("/nothing").status_code == 404
    assert client.get("/healthz").json() == {"status": "ok"}


def test_the_port_is_given_back_and_the_messages_stay(client: httpx.Client, mailbox: Mailbox) -> None:
    post(client)
    mailbox.stop()
    mailbox.stop()
    with Mailbox(port=int(mailbox.url.rsplit(":", 1)[1])) as another:
        assert another.messages == []
    assert len(mailbox.messages) == 1
