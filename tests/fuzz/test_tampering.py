"""What is tampered with cannot reach another bot's members: messages name documents, and documents know whose they are.

Two bots have a member of the same id, on journeys that are alike but for whose they are. Whatever is sent in the name of one,
nothing of the other's changes.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from emulator.in_process import InProcessCloud
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import EFFECTS_TOPIC, EVENTS_TOPIC, RUNS_TOPIC, TOPIC_OF, Message, RunMessage
from sojourn.application.records import R, Record
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.ids import derived_id, effect_id, member_key, progress_id
from sojourn.domain.journey import MemberEvent, RejectedEvent, entries_id
from sojourn.domain.loading import parse_definition
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress, Status
from sojourn.runtime.api.access import Access
from sojourn.runtime.api.app import make_app
from tests.builders import START, event, payload
from tests.builders import entry as log_entry

OURS, THEIRS, ANN = "tea-taipei", "tea-berlin", "ann"
CATALOG = timedelta(seconds=10)
"""Until every function knows of a new journey."""
IDS_ALONE = {"v", "rev", "head_rev", "deep", "shards", "fired_at", "struck_at", "checkup"}
"""Fields of messages that are neither ids nor anything that belongs to somebody."""
IDS = {"progress_id", "effect_id", "journey_id", "node_id", "settle", "after"}


@dataclass(frozen=True, slots=True)
class Cloud:
    """The functions, and ann on a journey of each bot, waiting for `bought`."""

    functions: InProcessCloud

    def publish(self, bot: str, *actions: dict[str, JsonValue]) -> None:
        """A journey `welcome-{bot}`: in by `joined` or by hand, the actions, then a wait for `bought`; `left` cancels."""
        first = str(actions[0]["id"]) if actions else "wait"
        following = [*(str(action["id"]) for action in actions[1:]), "wait"]
        nodes: list[JsonValue] = [
            {"id": "by_event", "key": "event", "settings": {"name": "joined"}, "next": first},
            {"id": "by_hand", "key": "api", "next": first},
            *({**action, "next": after} for action, after in zip(actions, following, strict=False)),
            {
                "id": "wait",
                "key": "wait_for_event",
                "settings": {"timeout": "9d"},
                "branches": [{"name": "bought", "event": "bought", "next": "end"}],
                "else": "end",
            },
            {"id": "end", "key": "exit"},
        ]
        settings: JsonValue = {"exit_events": [{"event": "left"}]}
        raw = {"id": f"welcome-{bot}", "bot_id": bot, "name": "Welcome", "nodes": nodes, "settings": settings}
        publish_journey(self.functions.memory.shop, parse_definition(raw))
        self.functions.move_to(self.functions.memory.clock.now() + CATALOG)

    def log(self, name: str, bot: str, **data: JsonValue) -> None:
        """An event of ann's, through ingest and everything after it."""
        body = payload(name, metadata={"event_id": f"{name}-{bot}"}, bot_id=bot, member_id=ANN, **data)
        self.send(EVENTS_TOPIC, log_entry(body))

    def send(self, topic: str, data: bytes) -> None:
        self.functions.publish(topic, [data])

    def of(self, kind: type[R], bot: str) -> list[R]:
        """A bot's documents of a kind."""
        return [each for each in self.functions.memory.store.scan(kind) if getattr(each, "bot_id", None) == bot]

    def passage(self, bot: str) -> Progress:
        (found,) = self.of(Progress, bot)
        return found

    def theirs(self) -> list[Record]:
        """All that must not change."""
        return [*self.of(Progress, THEIRS), *self.of(Effect, THEIRS), *self.of(Member, THEIRS)]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with InProcessCloud(START) as functions:
        yield Cloud(functions)


@pytest.fixture
def both(cloud: Cloud) -> Cloud:
    for bot in (OURS, THEIRS):
        cloud.publish(bot)
        cloud.log("joined", bot)
    assert cloud.passage(THEIRS).status is Status.WAITING
    return cloud


def test_messages_of_the_engine_carry_ids_and_nothing_that_belongs_to_a_member() -> None:
    fields = {name for kind in Message.__subclasses__() for name in kind.model_fields}
    assert fields <= IDS_ALONE | IDS


@pytest.mark.parametrize("extra", [{"bot_id": OURS}, {"member_id": ANN}, {"status": "ENDED"}, {"data": {}}], ids=str)
def test_a_message_with_a_field_too_many_is_kept_aside_and_moves_nobody(extra: dict[str, JsonValue], both: Cloud) -> None:
    before, passage = both.theirs(), both.passage(THEIRS)
    right: dict[str, dict[str, JsonValue]] = {
        "run_journey": {"progress_id": passage.id},
        "perform": {"effect_id": passage.id},
        "sweep": {},
        "enroll": {"journey_id": passage.journey_id, "node_id": "by_hand"},
    }
    for function, message in right.items():
        both.send(TOPIC_OF[function], json.dumps({**message, **extra}).encode())
    assert both.theirs() == before
    assert len(list(both.functions.memory.store.scan(RejectedEvent))) == len(right)


@pytest.mark.parametrize("name", ["joined", "bought", "left"])
def test_the_bot_and_the_member_of_an_event_alone_decide_whom_it_reaches(name: str, both: Cloud) -> None:
    before = both.theirs()
    both.log(name, OURS, bots=[THEIRS], botId=THEIRS, journey_id=f"welcome-{THEIRS}", progress_id=both.passage(THEIRS).id)
    assert both.theirs() == before
    assert both.passage(OURS).status is (
        Status.WAITING if name == "joined" else Status.ENDED if name == "bought" else Status.CANCELED
    )


def test_a_run_message_that_names_their_member_brings_nothing_of_ours_along(both: Cloud) -> None:
    before = both.theirs()
    both.log("bought", OURS)
    for rev in (None, 1, 2, 3, 99):
        both.send(RUNS_TOPIC, RunMessage(progress_id=both.passage(THEIRS).id, rev=rev).to(RUNS_TOPIC).data)
    assert both.theirs() == before


def test_an_effect_message_that_names_their_effect_does_what_that_effect_says_once(cloud: Cloud) -> None:
    for bot in (OURS, THEIRS):
        cloud.publish(bot, {"id": "hello", "key": "send_message", "settings": {"message": "Hello {{ member.id }}"}})
        cloud.log("joined", bot)
    before = cloud.theirs()
    (effect,) = cloud.of(Effect, THEIRS)
    cloud.send(EFFECTS_TOPIC, json.dumps({"effect_id": effect.id}).encode())
    assert cloud.theirs() == before
    assert effect.status is EffectStatus.DONE


def test_a_journey_enrolls_nobody_on_another_bots_journey(cloud: Cloud) -> None:
    cloud.publish(THEIRS)
    cloud.publish(OURS, {"id": "cross", "key": "enroll_journey", "settings": {"journey_id": f"welcome-{THEIRS}"}})
    cloud.log("joined", OURS)
    assert cloud.of(Progress, THEIRS) == []
    (effect,) = cloud.of(Effect, OURS)
    assert (effect.status, effect.reason) == (
        EffectStatus.FAILED,
        f"no ongoing journey 'welcome-{THEIRS}' of bot '{OURS}' with an api trigger",
    )


def test_an_event_that_a_journey_emits_stays_with_its_member_whatever_its_data_says(cloud: Cloud) -> None:
    cloud.publish(THEIRS)
    cloud.log("joined", THEIRS)
    data: JsonValue = {"bot_id": THEIRS, "member_id": "{{ event.data.who }}"}
    cloud.publish(OURS, {"id": "shout", "key": "emit_event", "settings": {"name": "left", "data": data}})
    before = cloud.theirs()
    cloud.log("joined", OURS, who=ANN)
    assert cloud.theirs() == before
    assert cloud.passage(OURS).status is Status.CANCELED


def test_attributes_that_a_journey_sets_are_those_of_its_own_member(cloud: Cloud) -> None:
    for bot in (OURS, THEIRS):
        cloud.publish(bot, {"id": "mark", "key": "update_member", "settings": {"attributes": {"bot_id": "x", "seen": bot}}})
    cloud.log("joined", OURS)
    assert [member.attributes for member in cloud.of(Member, OURS)] == [{"bot_id": "x", "seen": OURS}]
    assert cloud.theirs() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"member_id": "bob"}, 200),
        ({"member_id": "bob", "data": {"bot_id": THEIRS, "member_id": ANN}}, 200),
        ({"member_id": "bob", "bot_id": THEIRS}, 422),
        ({"member_id": "bob", "progress_id": "p"}, 422),
    ],
)
def test_whoever_is_let_in_by_hand_is_a_member_of_the_journeys_bot(body: JsonValue, status: int, both: Cloud) -> None:
    before = both.theirs()
    client = make_app(Access).test_client()
    assert client.post(f"/v1/journeys/welcome-{OURS}/enroll", json=body).status_code == status
    both.functions.settle()
    assert both.theirs() == before
    entered = [progress for progress in both.of(Progress, OURS) if progress.member_id == "bob"]
    assert [(one.bot_id, one.trigger.data["bot_id"], one.trigger.data["member_id"]) for one in entered] == [
        (OURS, OURS, "bob") for _ in entered
    ]
    assert len(entered) == (status == 200)


def test_a_journey_cannot_be_given_to_another_bot(both: Cloud) -> None:
    client: Any = make_app(Access).test_client()
    path = f"/v1/journeys/welcome-{OURS}"
    assert client.post(f"{path}/pause").status_code == 200
    found = client.get(path)
    kept = ("id", "name", "settings", "nodes", "node_paths")
    body = {name: found.json[name] for name in kept} | {"bot_id": THEIRS}
    answer = client.put(path, json=body, headers={"If-Match": found.headers["ETag"]})
    assert answer.status_code in (409, 422)
    assert client.get(path).json["bot_id"] == OURS


parts = st.text(st.sampled_from("ab:/~|.\x00\x1f%"), min_size=1, max_size=4)


@given(parts, parts, parts, parts)
def test_ids_of_different_things_differ_wherever_a_separator_stands_in_their_names(a: str, b: str, c: str, d: str) -> None:
    """The same characters, cut elsewhere: `a:b` of `c` is not `a` of `b:c`."""
    whole = a + b + c + d
    cuts = list(itertools.combinations(range(1, len(whole)), 3))[:40]
    split = {(whole[:x], whole[x:y], whole[y:z], whole[z:]) for x, y, z in cuts}
    assert len({progress_id(*four) for four in split}) == len(split)
    triples = {(one, two, three + four) for one, two, three, four in split}
    assert len({entries_id(*three) for three in triples}) == len(triples)
    assert len({derived_id("refused", *three) for three in triples}) == len(triples)
    pairs = {(one + two, three + four) for one, two, three, four in split}
    assert len({member_key(*pair) for pair in pairs}) == len(pairs)
    assert len({effect_id(*pair, 1) for pair in pairs}) == len(pairs)


@given(parts, parts)
def test_an_event_of_one_member_is_never_that_of_another(first: str, second: str) -> None:
    one = MemberEvent(event(id=first + "x", member=second), START, START)
    other = MemberEvent(event(id=first, member="x" + second), START, START)
    assert one.id != other.id
