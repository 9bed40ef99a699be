"""The API over a cloud in memory, as anybody's client sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import JsonValue

from sojourn.application.messages import RUNS_TOPIC, RunMessage
from sojourn.application.run_journeys import run_journeys
from sojourn.domain.errors import Unauthenticated
from sojourn.runtime.api.access import Access, Role
from sojourn.runtime.api.app import make_app
from sojourn.runtime.application import InMemory, in_memory, install
from tests.builders import BOT, START

WELCOME: Mapping[str, JsonValue] = {
    "id": "welcome",
    "bot_id": BOT,
    "name": "Welcome",
    "nodes": [
        {"id": "start", "key": "api", "next": "pause"},
        {"id": "pause", "key": "wait", "settings": {"duration": "1d"}, "next": "hello"},
        {"id": "hello", "key": "send_message", "settings": {"message": "Hello"}, "next": "end"},
        {"id": "end", "key": "exit"},
    ],
}


class KnownTokens:
    """A verifier for which a token is the name before the @."""

    def principal(self, token: str) -> str:
        if token not in ("vera", "arthur", "olga", "nemo"):
            raise Unauthenticated("the token proves nothing")
        return f"{token}@example.com"


ACCESS = Access(
    KnownTokens(),
    {"vera@example.com": Role.VIEWER, "arthur@example.com": Role.AUTHOR, "olga@example.com": Role.OPERATOR},
)


def bearer(name: str) -> dict[str, str]:
    """The header of somebody who holds a token."""
    return {"Authorization": f"Bearer {name}"}


@dataclass(frozen=True, slots=True)
class Api:
    """A client, whose answers are any JSON, and the cloud behind the API."""

    client: Any
    memory: InMemory

    def hop(self) -> None:
        """Run the hops that wait."""
        messages = [RunMessage.model_validate_json(data) for data in self.memory.publisher.take(RUNS_TOPIC)]
        run_journeys(self.memory.shop, messages)

    def publish(self, definition: Mapping[str, JsonValue] = WELCOME) -> None:
        """Create a journey and publish it."""
        assert self.client.post("/v1/journeys", json=definition).status_code == 201
        assert self.client.post(f"/v1/journeys/{definition['id']}/publish").status_code == 200

    def enroll(self, member_id: str = "ann", journey_id: str = "welcome") -> None:
        """Let a member in, up to the first wait."""
        answer = self.client.post(f"/v1/journeys/{journey_id}/enroll", json={"member_id": member_id})
        assert answer.json == {"outcome": "entered"}
        self.hop()


@pytest.fixture
def memory() -> Iterator[InMemory]:
    """A cloud in memory that the API of this process works in."""
    cloud = in_memory(START)
    install(cloud.shop)
    yield cloud
    install(None)


@pytest.fixture
def api(memory: InMemory) -> Api:
    """The API without tokens."""
    return Api(make_app(Access).test_client(), memory)
