"""The audit over REST: no route that changes something can be added without its entry, and entries can be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from sojourn.application.ingest import reject
from sojourn.application.lifecycle import create_journey, pause, publish
from sojourn.application.operations import enroll_member
from sojourn.application.records import Commit, CommitResult, Record
from sojourn.domain.audit import AuditEntry
from sojourn.domain.breaker import Breaker, BreakerState, breaker_id
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.ids import member_key
from sojourn.domain.journey import Journey, RejectedEvent
from sojourn.domain.loading import parse_definition
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress, Status
from sojourn.runtime.api.access import Access
from sojourn.runtime.api.app import make_app
from sojourn.runtime.application import InMemory
from tests.api.conftest import ACCESS, WELCOME, Api, bearer
from tests.builders import BOT, START, after, log
from tests.contract.records import a_progress, an_effect, put

JOURNEYS = "/v1/journeys"
DEAD = replace(an_effect(), status=EffectStatus.DEAD, reason="no answer")
STUCK = replace(
    a_progress("stuck", journey_id="ongoing"),
    bot_id=BOT,
    member_key=member_key(BOT, "mary"),
    status=Status.ERROR,
    end_reason="too large",
)
RESTING = Breaker(breaker_id("mailbox"), "mailbox", BreakerState.OPEN, START, "9 of 10 calls failed", START, after(days=1))
OLGA = bearer("olga")


@dataclass(frozen=True)
class Example:
    """A request that changes something."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    entries: int = 1


EVERYTHING: dict[str, Any] = {"filter": {}}
CHANGES = {
    "create_journey": Example("post", JOURNEYS, {**WELCOME, "id": "new"}),
    "edit_journey": Example("put", f"{JOURNEYS}/draft", {**WELCOME, "id": "draft", "name": "Other"}),
    "delete_journey": Example("delete", f"{JOURNEYS}/draft"),
    "publish": Example("post", f"{JOURNEYS}/draft/publish"),
    "pause": Example("post", f"{JOURNEYS}/ongoing/pause"),
    "resume": Example("post", f"{JOURNEYS}/paused/resume"),
    "end": Example("post", f"{JOURNEYS}/ongoing/end"),
    "put_member": Example("put", f"/v1/bots/{BOT}/members/bob", {}),
    "enroll_member": Example("post", f"{JOURNEYS}/ongoing/enroll", {"member_id": "bob"}),
    "cancel_member": Example("delete", f"{JOURNEYS}/ongoing/members/ann"),
    "advance_member": Example("post", f"{JOURNEYS}/ongoing/members/ann/advance"),
    "retry_member": Example("post", f"{JOURNEYS}/ongoing/members/mary/retry"),
    "retry_effect": Example("post", f"/v1/effects/{DEAD.id}/retry"),
    "abandon_effect": Example("post", f"/v1/effects/{DEAD.id}/abandon"),
    "retry_effects": Example("post", "/v1/effects/retry", EVERYTHING),
    "abandon_effects": Example("post", "/v1/effects/abandon", EVERYTHING),
    "retry_progress": Example("post", f"/v1/progress/{STUCK.id}/retry"),
    "abandon_progress": Example("post", f"/v1/progress/{STUCK.id}/abandon"),
    "retry_errors": Example("post", "/v1/progress/retry", EVERYTHING),
    "abandon_errors": Example("post", "/v1/progress/abandon", EVERYTHING),
    "replay_rejected": Example("post", "/v1/rejected-events/REJECTED/replay", entries=2),
    "abandon_rejected": Example("post", "/v1/rejected-events/REJECTED/abandon"),
    "replay_all_rejected": Example("post", "/v1/rejected-events/replay", EVERYTHING, entries=2),
    "abandon_all_rejected": Example("post", "/v1/rejected-events/abandon", EVERYTHING),
    "post_channel_reset": Example("post", "/v1/channels/mailbox/reset"),
}
"""For every route that is not a GET; a new one has its place here, or among those that only read."""
READS = {"simulate"}


@pytest.fixture
def api(memory: InMemory) -> Api:
    """The API with tokens, over journeys in every status, a member who waits, and something of everything that went wrong."""
    api, shop = Api(make_app(lambda: ACCESS).test_client(), memory), memory.shop
    for name in ("draft", "ongoing", "paused"):
        create_journey(shop, parse_definition({**WELCOME, "id": name}))
    for name in ("ongoing", "paused"):
        publish(shop, name)
    pause(shop, "paused")
    enroll_member(shop, "ongoing", "ann", data={})
    api.hop()
    put(memory.store, DEAD, STUCK, RESTING)
    reject(shop, log(), "malformed", "a bug that is mended by now")
    return api


def ask(api: Api, example: Example, *, who: str = "olga") -> Any:
    (rejected,) = api.memory.store.scan(RejectedEvent)
    return getattr(api.client, example.method)(
        example.path.replace("REJECTED", rejected.id), json=example.body, headers=bearer(who)
    )


def documents(memory: InMemory) -> list[Record]:
    """All that people change."""
    scan = memory.store.scan
    return [*scan(Journey), *scan(Progress), *scan(Effect), *scan(Member), *scan(RejectedEvent), *scan(Breaker)]


def entries(memory: InMemory) -> list[AuditEntry]:
    return [entry for entry in memory.store.scan(AuditEntry) if entry.principal == "olga@example.com"]


def test_every_route_that_is_no_get_is_known_here() -> None:
    routes = {
        rule.endpoint.rpartition(".")[2]
        for rule in make_app(lambda: ACCESS).url_map.iter_rules()
        if rule.methods is not None and rule.methods & {"POST", "PUT", "PATCH", "DELETE"}
    }
    assert routes == CHANGES.keys() | READS, "say in CHANGES how it is asked, or in READS that it changes nothing"


@pytest.mark.parametrize("example", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_over_rest_is_recorded_with_who_asked(api: Api, example: Example) -> None:
    answer = ask(api, example)
    assert answer.status_code < 300, answer.json
    assert len(entries(api.memory)) == example.entries


@pytest.mark.parametrize("example", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_that_cannot_be_recorded_is_not_made(api: Api, example: Example) -> None:
    """A store that takes no entries: nothing is changed, and the answer is 503, or says of each that it was refused."""
    before = documents(api.memory)
    commit = api.memory.store.commit_many

    def without_entries(commits: Sequence[Commit]) -> list[CommitResult]:
        if any(isinstance(write.record, AuditEntry) for each in commits for write in each):
            return [CommitResult.UNKNOWN] * len(commits)
        return commit(commits)

    api.memory.store.commit_many = without_entries  # type: ignore[method-assign]  # a store that takes no entries
    answer = ask(api, example)
    assert answer.status_code in (412, 503) or (answer.status_code, answer.json["done"]) == (200, 0), answer.json
    assert documents(api.memory) == before


def test_every_change_is_recorded_with_who_what_before_and_after(api: Api) -> None:
    ask(api, Example("post", JOURNEYS, dict(WELCOME)), who="arthur")
    ask(api, Example("post", f"{JOURNEYS}/welcome/publish"))
    ask(api, Example("post", f"{JOURNEYS}/welcome/publish"))  # refused: nothing to record
    found = api.client.get("/v1/audit?subject=journeys/welcome", headers=bearer("olga")).json["items"]
    assert {(entry["principal"], entry["action"]) for entry in found} == {
        ("arthur@example.com", "journey.create"),
        ("olga@example.com", "journey.publish"),
    }
    published = next(entry for entry in found if entry["action"] == "journey.publish")
    assert [json.loads(published[when])["status"] for when in ("before", "after")] == ["DRAFT", "ONGOING"]
    created = next(entry for entry in found if entry["action"] == "journey.create")
    assert created["before"] is None


def test_entries_come_in_pages_that_miss_nothing(api: Api) -> None:
    for name in ("x", "y", "z"):
        ask(api, Example("put", f"/v1/bots/{BOT}/members/{name}", {}))
    found: list[str] = []
    token: str | None = ""
    while token is not None:
        page = api.client.get(
            "/v1/audit", query_string={"page_size": 2, **({"page_token": token} if token else {})}, headers=OLGA
        )
        assert 0 < len(page.json["items"]) <= 2
        found += [entry["id"] for entry in page.json["items"]]
        token = page.json["next_page_token"]
    assert sorted(found) == sorted(entry.id for entry in api.memory.store.scan(AuditEntry))


@pytest.mark.parametrize("token", ["x", "bm90IGEgbW9tZW50", "MjAyNi0wMy0wMlQwOTowMDowMA", "%00"])
def test_a_token_of_no_page_is_422(api: Api, token: str) -> None:
    answer = api.client.get("/v1/audit", query_string={"page_token": token}, headers=OLGA)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "page_token")


def test_without_tokens_everybody_is_local(api: Api, memory: InMemory) -> None:
    make_app(Access).test_client().delete(f"{JOURNEYS}/ongoing/members/ann")
    assert [entry.action for entry in memory.store.scan(AuditEntry) if entry.principal == "local"] == ["member.cancel"]
