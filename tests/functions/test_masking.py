"""What is known of members, what is written to them and what opens doors is in no line of any log.

A whole run with planted values: the shop's fortnight, entries that are rejected, webhooks that fail, a walk over the API, and
functions that meet a bug which quotes what it was given. Then all that was written anywhere is searched for what was planted.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import JsonValue

from emulator.demo import InProcessDemo, play
from emulator.functions_table import REPOSITORY, load_functions_table
from emulator.in_process import call, load_main
from emulator.scenarios.shop import LogLine, Scenario, shop
from sojourn.adapters.channels.webhook import Manners, WebhookChannel
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC
from sojourn.application.workshop import Workshop
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.errors import Unavailable
from sojourn.domain.loading import parse_definition
from sojourn.domain.retry import RetryPolicy
from sojourn.runtime.api.app import make_app
from sojourn.runtime.application import in_memory, install
from sojourn.runtime.envelope import push_body
from sojourn.runtime.log import Fields, listening
from tests.api.conftest import ACCESS, WELCOME
from tests.builders import BOT, START, entry, payload
from tests.contract.records import an_effect

EMAIL, PHONE, NAME, ADDRESS = "canary.mail@example.com", "canary-886912345678", "Canary-Mei-Ling", "canary-line-U7f3c9"
WORDS, TOKEN, QUERY, PASSWORD = "canary words to a member", "canary-bearer-token", "canary-query-key", "canary-password"
PATH_ID, ANSWER, MEMBER = "canary.member@example.com", "canary-answer-of-a-receiver", "canary-member-1"
PLANTED = (EMAIL, PHONE, NAME, ADDRESS, WORDS, TOKEN, QUERY, PASSWORD, PATH_ID, ANSWER, MEMBER, "olga@example.com", "canary")
HOOK = f"https://crm:{PASSWORD}@hooks.example.com/in?key={QUERY}"
FUNCTIONS = {
    name: getattr(load_main(REPOSITORY / "functions" / name / "main.py"), spec.entry_point)
    for name, spec in load_functions_table().functions.items()
}


class Heard:
    """Every line of the functions and the API, and what else was written meanwhile."""

    def __init__(self, capture: pytest.CaptureFixture[str], log: pytest.LogCaptureFixture) -> None:
        self.lines: list[Fields] = []
        self._capture, self._log = capture, log

    def line(self, line: Fields) -> None:
        self.lines.append(line)

    def expect_nothing_planted(self, *, lines: int) -> None:
        """Also that there was something to search."""
        written = "".join(self._capture.readouterr())
        said = [record.getMessage() + str(record.exc_info or "") for record in self._log.records]
        texts = [*(json.dumps(line, default=str, ensure_ascii=False) for line in self.lines), written, *said]
        assert len(self.lines) >= lines
        assert [(value, text) for text in texts for value in PLANTED if value in text] == []


@pytest.fixture
def heard(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[Heard]:
    """Of this project's loggers everything, of the others' what they say unasked."""
    caplog.set_level(logging.DEBUG, logger="sojourn")
    found = Heard(capsys, caplog)
    with listening(found.line):
        yield found
    install(None)


def planted(scenario: Scenario) -> Scenario:
    """The scenario with personal data in every place that has room for it."""
    attributes: dict[str, JsonValue] = {"first_name": NAME, "email": EMAIL, "phone": PHONE, "nested": [{"deep": EMAIL}]}
    members = tuple(replace(member, attributes=attributes, addresses={"line": ADDRESS}) for member in scenario.members)
    return replace(scenario, members=members, lines=tuple(map(_planted_line, scenario.lines)))


def _planted_line(line: LogLine) -> LogLine:
    """Ours carry it in their data and in what no reader knows; what is broken stays broken."""
    try:
        fields: Any = json.loads(line.raw)
    except ValueError:
        return replace(line, raw=line.raw + EMAIL.encode())
    if not isinstance(fields, dict):
        return line
    if isinstance(fields.get("data"), dict):
        fields["data"] |= {"email": EMAIL, "words": WORDS}
    return replace(line, raw=json.dumps({**fields, "customer": NAME, "authorization": f"Bearer {TOKEN}"}).encode())


@pytest.mark.slow
def test_a_fortnight_of_the_shop_leaves_nothing_of_its_members_in_the_log(heard: Heard) -> None:
    scenario = planted(shop(members_per_bot=6))
    with InProcessDemo(scenario.start) as demo, listening(heard.line):
        for _ in play(demo, scenario):
            pass
        kept = [effect for effect in demo.shop.store.scan(Effect) if NAME in str(effect.payload)]
    assert kept, "what was planted went through the engine"
    outcomes = {word for line in heard.lines for word in (line.get("outcomes") or ())}  # type: ignore[attr-defined]
    assert {"entered", "rejected", "advanced", "done", "ended"} <= outcomes
    heard.expect_nothing_planted(lines=200)


def journey(*nodes: dict[str, JsonValue]) -> Any:
    """In by `joined`, then one node after the other."""
    following = [*(f"n{index + 1}" for index in range(len(nodes) - 1)), "end"]
    listed: list[JsonValue] = [
        {"id": "start", "key": "event", "settings": {"name": "joined"}, "next": "n0"},
        *({**node, "id": f"n{index}", "next": then} for index, (node, then) in enumerate(zip(nodes, following, strict=True))),
        {"id": "end", "key": "exit"},
    ]
    return parse_definition({"id": "journey-1", "bot_id": BOT, "name": "A journey", "nodes": listed})


def answer(request: httpx.Request) -> httpx.Response:
    """A receiver that refuses, breaks down, sends somewhere else, or is not there; each time it repeats what it was told."""
    kind = int(json.loads(request.content)["node_id"].removeprefix("n"))
    if kind == 3:
        raise httpx.LocalProtocolError(f"Illegal header value {TOKEN!r} for {request.url}", request=request)
    echo = json.dumps({"error": ANSWER, "id": ANSWER, "you_said": request.content.decode(), "with": str(request.headers)})
    headers = {"Location": str(request.url), "Set-Cookie": TOKEN}
    return httpx.Response((404, 503, 302, 0, 200)[kind], stream=httpx.ByteStream(echo.encode()), headers=headers)


def receiving(cloud_shop: Workshop) -> Workshop:
    """The workshop with channels that such a receiver stands behind."""
    client = httpx.Client(transport=httpx.MockTransport(answer))
    manners = Manners(retry=RetryPolicy(max_attempts=1))
    return replace(
        cloud_shop,
        channels={
            "webhook": WebhookChannel(None, manners, client=client),
            "mailbox": WebhookChannel(HOOK, manners, client=client),
        },
    )


def test_webhooks_that_fail_leave_neither_address_nor_message_in_the_log_nor_secrets_in_the_reason(heard: Heard) -> None:
    memory = in_memory(START)
    receiver = receiving(memory.shop)
    hook: dict[str, JsonValue] = {"key": "webhook", "settings": {"url": HOOK, "body": {"to": "{{ trigger.data.email }}"}}}
    send: dict[str, JsonValue] = {"key": "send_message", "settings": {"message": WORDS + " {{ trigger.data.email }}"}}
    publish_journey(memory.shop, journey(hook, hook, hook, hook, send))
    install(receiver)
    assert call(FUNCTIONS["ingest"], push_body(entry(payload(email=EMAIL, member_id=MEMBER))))[1] == 204
    for function, topic in (("run_journey", RUNS_TOPIC), ("perform", EFFECTS_TOPIC)):
        for data in memory.publisher.take(topic):
            assert call(FUNCTIONS[function], push_body(data))[1] == 204
    effects = list(memory.store.scan(Effect))
    assert {effect.status for effect in effects} == {EffectStatus.FAILED, EffectStatus.DEAD, EffectStatus.DONE}
    reasons = " ".join(effect.reason or "" for effect in effects)
    assert "hooks.example.com" in reasons and not any(secret in reasons for secret in (QUERY, PASSWORD, ANSWER, EMAIL, TOKEN))
    heard.expect_nothing_planted(lines=7)


@pytest.mark.parametrize(
    "address",
    [
        f"https://crm:{PASSWORD}@hooks.example.com/in",
        f"https://crm:p@{PASSWORD}@hooks.example.com/in",
        f"https://crm:p/{PASSWORD}@hooks.example.com/in",
        f"http://crm:{PASSWORD}@hooks.example.com/in",
        f"https://hooks.example.com/in?key={QUERY}#{TOKEN}",
        f"https://hooks.example.com:{PASSWORD}@",
    ],
)
def test_no_reason_shows_what_an_address_keeps_to_itself(address: str) -> None:
    client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(404, stream=httpx.ByteStream(b""))))
    reason = WebhookChannel(client=client).deliver(an_effect(), "Hello", url=address).reason
    assert reason is not None and "canary" not in reason


class Broken:
    """A store whose every method raises, and quotes what it was given."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def method(*given: object, **named: object) -> None:
            try:
                raise KeyError(f"{EMAIL} {given}")
            except KeyError as cause:
                raise self._error(f"{name}: {PHONE} {given} {named} {TOKEN}") from cause

        return method


GOOD: Mapping[str, JsonValue] = {"progress_id": MEMBER, "effect_id": MEMBER, "journey_id": MEMBER, "node_id": "clock"}
FIELDS: Mapping[str, Sequence[str]] = {
    "run_journey": ("progress_id",),
    "perform": ("effect_id",),
    "enroll": ("journey_id", "node_id"),
    "sweep": (),
}


@pytest.mark.parametrize("error", [ZeroDivisionError, Unavailable, UnicodeError, RecursionError])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_bug_that_quotes_what_it_was_given_tells_its_kind_and_its_place(
    name: str, error: type[Exception], heard: Heard
) -> None:
    memory = in_memory(START)
    install(replace(memory.shop, store=Broken(error), catalog=Broken(error)))  # type: ignore[arg-type]
    body = (
        entry(payload(email=EMAIL))
        if name == "ingest"
        else json.dumps({field: GOOD[field] for field in FIELDS.get(name, ())}).encode()
    )
    _, status = call(FUNCTIONS[name], push_body(body))
    (line,) = heard.lines
    assert status == (503 if error is Unavailable else 500)
    assert line["error"] == f"{error.__name__} from KeyError"
    assert error is Unavailable or "in method" in str(line["stack_trace"])
    heard.expect_nothing_planted(lines=1)


BODIES = {
    "no envelope": f'{{"email": "{EMAIL}"}}',
    "no JSON": f"{{{EMAIL}",
    "data that is no text": f'{{"message": {{"data": {{"email": "{EMAIL}"}}, "attributes": {{"token": "{TOKEN}"}}}}}}',
    "data that is no base64": f'{{"message": {{"data": "{EMAIL}"}}}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_push_request_is_not_quoted(name: str, body: str, heard: Heard) -> None:
    install(in_memory(START).shop)
    assert call(FUNCTIONS[name], body.encode())[1] == 400
    heard.expect_nothing_planted(lines=1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_data_that_is_no_message_is_kept_and_not_quoted(name: str, heard: Heard) -> None:
    install(in_memory(START).shop)
    data = {"jsonPayload": {"metadata": {"support_journey": True}, "email": EMAIL}, "progress_id": [EMAIL], PHONE: TOKEN}
    assert call(FUNCTIONS[name], push_body(json.dumps(data).encode()))[1] == 204
    heard.expect_nothing_planted(lines=1)


def test_a_walk_over_the_api_leaves_routes_and_a_name_for_who_asked(heard: Heard) -> None:
    memory = in_memory(START)
    install(memory.shop)
    client: Any = make_app(lambda: ACCESS).test_client()
    member = f"/v1/bots/{BOT}/members/{PATH_ID}"
    on_journey = f"/v1/journeys/welcome/members/{PATH_ID}"
    known = {"attributes": {"email": EMAIL, "phone": PHONE}, "addresses": {"line": ADDRESS}}
    asked: list[tuple[str, str, Any]] = [
        ("POST", "/v1/journeys", WELCOME),
        ("POST", "/v1/journeys/welcome/publish", None),
        ("PUT", member, known),
        ("PUT", member, {"attributes": [EMAIL], PHONE: 1}),
        ("GET", member, None),
        ("POST", "/v1/journeys/welcome/enroll", {"member_id": PATH_ID, "data": {"email": EMAIL}}),
        ("POST", "/v1/journeys/welcome/enroll", {"member_id": [PATH_ID]}),
        ("GET", on_journey, None),
        ("DELETE", on_journey, None),
        ("DELETE", on_journey, None),
        ("GET", f"/v1/effects?status={EMAIL}&page_token={TOKEN}", None),
        ("GET", f"/v1/nowhere/{EMAIL}?q={QUERY}", None),
        (f"GET{PHONE}", member, None),
        ("POST", f"/v1/rejected-events/{EMAIL}/replay", None),
    ]
    statuses = []
    for token in ("olga", TOKEN):
        for method, path, body in asked:
            headers = {
                "Authorization": f"Bearer {token}",
                "Cookie": f"session={TOKEN}",
                "User-Agent": EMAIL,
                "X-Forwarded-For": PHONE,
            }
            statuses.append(client.open(path, method=method, json=body, headers=headers).status_code)
    assert {200, 201, 401, 404, 405, 409, 422} <= set(statuses)
    install(replace(memory.shop, store=Broken(ZeroDivisionError)))
    assert client.get(member, headers={"Authorization": "Bearer olga"}).status_code == 500
    heard.expect_nothing_planted(lines=2 * len(asked) + 1)
    requests = {str(line["message"]) for line in heard.lines}
    assert "api: PUT /v1/bots/{bot_id}/members/{member_id} 200" in requests
    assert any(message.startswith("api: another method ") for message in requests)


def test_the_same_person_has_the_same_name_in_the_log_and_another_person_another(heard: Heard) -> None:
    install(in_memory(START).shop)
    client: Any = make_app(lambda: ACCESS).test_client()
    for token in ("olga", "vera", "olga"):
        client.get("/v1/journeys?bot_id=b", headers={"Authorization": f"Bearer {token}"})
    first, second, third = (line["principal"] for line in heard.lines)
    assert first == third != second


def test_what_is_planted_would_be_found(heard: Heard) -> None:
    heard.line({"message": f"sent to {EMAIL}"})
    with pytest.raises(AssertionError, match="canary"):
        heard.expect_nothing_planted(lines=1)
