"""Rehearsals: what a journey would do with a member, by the real engine, and without touching anything real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import pytest

from sojourn.application.lifecycle import edit_journey, pause, publish_journey
from sojourn.application.members import MemberRecord, put_member
from sojourn.domain.breaker import BreakerPolicy
from sojourn.domain.definition import Definition
from sojourn.domain.effect import EffectStatus
from sojourn.domain.errors import InputError, NotFound
from sojourn.domain.loading import parse_definition
from sojourn.domain.progress import MAX_TRAIL_STEPS, Status
from sojourn.domain.retry import RetryPolicy
from sojourn.runtime import stage
from sojourn.runtime.application import InMemory, in_memory
from sojourn.runtime.rehearsal import Rehearsal, rehearse, rehearse_stored
from sojourn.runtime.script import read_script
from tests.builders import BOT, JOURNEY, START, after, definition, send, wait

Paths: TypeAlias = list[tuple[str, str] | tuple[str, str, int]]
BERLIN = {"timezone": "Europe/Berlin"}


def play(of: Definition, cloud: InMemory | None = None, **script: object) -> Rehearsal:
    """The rehearsal of a script that begins at START, unless it says otherwise."""
    return rehearse(of, read_script(script), now=START, shop=cloud.shop if cloud else None)


def steps(found: Rehearsal) -> list[tuple[str | None, str]]:
    return [(line.node_id, line.outcome) for line in found.lines if line.what == "step"]


def became(found: Rehearsal) -> list[tuple[str, EffectStatus, str | None]]:
    return [(effect.node_id, effect.status, effect.reason) for effect in found.effects]


def journey(trigger: Mapping[str, object], *nodes: Mapping[str, object], **settings: object) -> Definition:
    """A chain behind a trigger of any kind."""
    listed = [{"id": "start", **trigger}, *nodes, {"id": "end", "key": "exit"}]
    chained = [{**node, "next": listed[index + 1]["id"]} for index, node in enumerate(listed[:-1])]
    return parse_definition(
        {"id": JOURNEY, "bot_id": BOT, "name": "A journey", "nodes": [*chained, listed[-1]], "settings": settings}
    )


def emit(name: str) -> dict[str, object]:
    return {"id": "emit", "key": "emit_event", "settings": {"name": name, "data": {"from": "here"}}}


def fork(condition: str) -> dict[str, object]:
    return {"id": "fork", "key": "branch", "settings": {"branches": [{"name": "yes", "condition": condition}]}}


FORKED: Paths = [("start", "fork"), ("fork", "hello"), ("fork", "end", 1), ("hello", "end")]


def test_a_member_goes_to_the_end_on_the_clock_of_the_journey() -> None:
    found = play(definition([wait(), send()]))
    assert (found.entry.outcome, found.stopped, found.stopped_at) == ("entered", "over", after(days=1))
    assert steps(found) == [("pause", "waiting"), ("pause", "due"), ("hello", "sent"), ("end", "exited")]
    assert found.passages[0].status is Status.ENDED
    assert [(effect.created_at, effect.updated_at) for effect in found.effects] == [(after(days=1), after(days=1))]
    assert became(found) == [("hello", EffectStatus.DONE, None)]


def test_a_moment_without_a_zone_is_on_the_members_clock_and_nights_are_slept_there() -> None:
    sleepy = definition([send()], timezone_of="member", sleep_start_time="22:00", sleep_end_time="08:00")
    found = play(sleepy, member=BERLIN, at="2026-03-02T22:30")
    assert found.entry.at == datetime.fromisoformat("2026-03-02T21:30:00Z")
    assert found.zone.key == "Europe/Berlin"
    assert found.lines[1].reason == "until 08:00 Europe/Berlin"
    assert found.effects[0].updated_at == datetime.fromisoformat("2026-03-03T07:00:00Z")


def test_what_decided_a_branch_is_told() -> None:
    gold = definition([fork("member.attributes.tier == 'gold'"), send()], FORKED)
    found = play(gold, member={"attributes": {"tier": "gold"}})
    assert ("fork", "yes") in steps(found)
    assert any(line.reason and 'member.attributes.tier = "gold"' in line.reason for line in found.lines)
    assert ("fork", "else") in steps(play(gold, member={"attributes": {"tier": "tin"}}))


def test_events_come_after_the_start_or_at_a_moment_and_in_the_order_of_time() -> None:
    waiting = {
        "id": "listen",
        "key": "wait_for_event",
        "settings": {"timeout": "2d", "branches": [{"name": "opened", "event": "opened", "filter": "event.data.link == 2"}]},
    }
    path: Paths = [("start", "listen"), ("listen", "hello"), ("listen", "end", 1), ("hello", "end")]
    events = [
        {"name": "opened", "at": "2026-03-02T12:00:00Z", "data": {"link": 2}},
        {"name": "opened", "after": "2h", "data": {"link": 1}},
        {"name": "closed", "after": "1h"},
    ]
    found = play(definition([waiting, send()], path), events=events)
    heard = [(one.at, one.name, one.outcome) for one in found.heard]
    assert heard == [
        (after(hours=1), "closed", "unwanted"),
        (after(hours=2), "opened", "signaled"),
        (after(hours=3), "opened", "signaled"),
    ]
    assert found.stopped_at == after(hours=3)
    assert found.branches() == {"listen": {"opened": 1, "timeout": 0}}


@pytest.mark.parametrize(
    ("settings", "filter", "outcome", "why"),
    [
        ({}, "event.data.total > 100", "filter", "event.data.total > 100 (event.data.total = 3)"),
        ({}, "event.data.price > 100", "filter", "event.data.price > 100: no price"),
        ({"entry_key": "event.data.order"}, None, "entry_key_missing", "event.data.order: no order"),
        ({"schedule_end_at": "2026-03-01T00:00:00Z"}, None, "ended", "the journey ends at 2026-03-01 00:00 UTC"),
    ],
)
def test_why_a_member_does_not_enter_is_told(settings: dict[str, object], filter: str | None, outcome: str, why: str) -> None:
    found = play(
        journey({"key": "event", "settings": {"name": "joined", "filter": filter}}, **settings), event={"data": {"total": 3}}
    )
    assert (found.entry.outcome, found.entry.why) == (outcome, why)
    assert (found.passages, found.effects) == ((), ())


def test_a_journey_that_begins_later_is_begun_then_unless_the_script_says_when() -> None:
    later = definition([send()], schedule_start_at="2026-04-01T08:00:00Z")
    assert play(later).entry.at == datetime.fromisoformat("2026-04-01T08:00:00Z")
    early = play(later, at="2026-03-31T08:00:00Z").entry
    assert (early.outcome, early.why) == ("not_started", "the journey begins at 2026-04-01 08:00 UTC")


def test_a_second_entry_is_refused_as_the_settings_say_and_the_timeline_tells_it() -> None:
    found = play(definition([wait()]), events=[{"name": "joined", "after": "1h"}])
    assert [one.outcome for one in found.heard] == ["repeat_limit"]
    assert [(line.what, line.outcome) for line in found.lines if line.what != "step"] == [
        ("entered", "entered"),
        ("refused", "repeat_limit"),
    ]
    again = play(definition([wait()], repeat_journey_times=2, while_active="allow"), events=[{"name": "joined", "after": "1h"}])
    assert len(again.passages) == 2


def test_an_exit_event_and_the_end_of_the_journey_take_the_member_off() -> None:
    leaving = play(definition([wait()], exit_events=[{"event": "bought"}]), events=[{"name": "bought", "after": "1h"}])
    assert (leaving.passages[0].status, leaving.passages[0].end_reason) == (Status.CANCELED, "exit event bought")
    ending = play(definition([wait()], schedule_end_at="2026-03-02T15:00:00Z"))
    assert (ending.passages[0].end_reason, ending.stopped_at) == ("schedule_end_at reached", after(hours=6))


def test_the_goal_counts_also_after_the_end() -> None:
    goal = {"event": "bought", "revenue": "event.data.total", "window": "2d"}
    found = play(definition([send()], goal=goal), events=[{"name": "bought", "after": "1d", "data": {"total": 7}}])
    assert found.passages[0].goal is not None
    assert found.passages[0].goal.revenue == 7


def test_the_message_quota_of_the_journey_holds() -> None:
    found = play(definition([send("one"), send("two")], message_quota=1))
    assert sorted(effect.status for effect in found.effects) == [EffectStatus.DONE, EffectStatus.SKIPPED]


@pytest.mark.parametrize(
    ("result", "outcome", "status"),
    [
        ({}, "done", EffectStatus.DONE),
        ({"outcome": "permanent", "reason": "gone"}, "failed", EffectStatus.FAILED),
        ({"outcome": "retryable", "reason": "busy"}, "dead", EffectStatus.DEAD),
    ],
)
def test_a_node_that_awaits_goes_on_with_the_result_of_the_script(
    result: dict[str, object], outcome: str, status: EffectStatus
) -> None:
    call = {"id": "call", "key": "webhook", "settings": {"url": "https://example.com/x", "await_result": True}}
    found = play(definition([call, send("say", "{{ context.call.outcome }}")]), results={"call": result})
    assert ("call", outcome) in steps(found)
    assert found.effects[0].status is status
    assert found.effects[1].payload.message == status  # type: ignore[union-attr]  # a message


def test_every_attempt_is_told() -> None:
    found = play(definition([send()]), results={"hello": {"outcome": "retryable", "reason": "busy"}})
    states = [line.outcome for line in found.lines if line.what == "effect"]
    assert states == ["pending", "pending", "pending", "pending", "dead"]
    assert len({line.at for line in found.lines if line.what == "effect"}) == 5


def test_what_is_put_out_into_our_own_system_comes_back() -> None:
    setting = {"id": "set", "key": "update_member", "settings": {"attributes": {"tier": "gold"}}}
    nodes: list[Mapping[str, object]] = [setting, emit("promoted"), wait(), fork("member.attributes.tier == 'gold'"), send()]
    path: Paths = [("start", "set"), ("set", "emit"), ("emit", "pause"), ("pause", "fork"), *FORKED[1:]]
    found = play(definition(nodes, path, exit_events=[{"event": "promoted", "filter": "event.data.from == 'there'"}]))
    assert ("fork", "yes") in steps(found)
    leaving = play(definition(nodes, path, exit_events=[{"event": "promoted", "filter": "event.data.from == 'here'"}]))
    assert leaving.passages[0].end_reason == "exit event promoted"


def test_another_journey_is_not_there_and_the_effect_says_so() -> None:
    other = {"id": "other", "key": "enroll_journey", "settings": {"journey_id": "elsewhere"}}
    ((_, status, reason),) = became(play(definition([other])))
    assert status is EffectStatus.FAILED
    assert reason is not None
    assert "no ongoing journey 'elsewhere'" in reason


def test_a_journey_is_entered_through_its_own_kind_of_trigger() -> None:
    by_api = play(journey({"key": "api"}, send("hello", "{{ trigger.data.code }}")), event={"data": {"code": "x"}})
    assert (by_api.entry.name, by_api.entry.outcome) == ("journey.enrolled", "entered")
    assert by_api.effects[0].payload.message == "x"  # type: ignore[union-attr]  # a message
    weekly = {"key": "schedule", "settings": {"cron": "0 9 * * WED", "timezone": "Europe/Berlin"}}
    scheduled = play(journey(weekly, send()))
    assert (scheduled.entry.at, scheduled.entry.outcome) == (datetime.fromisoformat("2026-03-04T08:00:00Z"), "entered")


def test_a_schedule_for_one_moment_is_rehearsed_then_and_not_after_it() -> None:
    once = journey({"key": "schedule", "settings": {"at": "2026-01-01T09:00:00Z"}}, send())
    assert play(once).entry.at == datetime.fromisoformat("2026-01-01T09:00:00Z")
    late = play(once, at="2026-01-02T09:00:00Z").entry
    assert (late.outcome, late.why) == ("another_year", "the schedule has one moment, which is over")


def test_who_is_not_in_the_audience_is_told_why() -> None:
    gold = {"cron": "0 9 * * *", "audience": {"filter": "member.attributes.tier == 'gold'"}}
    definition = journey({"key": "schedule", "settings": gold}, send())
    entry = play(definition, member={"attributes": {"tier": "tin"}}).entry
    assert (entry.outcome, entry.why) == ("filter", "member.attributes.tier == 'gold' (member.attributes.tier = \"tin\")")
    assert play(definition, member={"attributes": {"tier": "gold"}}).entry.outcome == "entered"


def test_a_trigger_is_chosen_by_its_id_or_by_its_event() -> None:
    nodes = [
        {"id": "one", "key": "event", "settings": {"name": "joined"}, "next": "end"},
        {"id": "two", "key": "event", "settings": {"name": "returned"}, "next": "end"},
        {"id": "end", "key": "exit"},
    ]
    both = parse_definition({"id": JOURNEY, "bot_id": BOT, "name": "Two", "nodes": nodes})
    assert [play(both, **script).entry.name for script in ({}, {"trigger": "two"}, {"event": {"name": "returned"}})] == [
        "joined",
        "returned",
        "returned",
    ]


def test_a_long_passage_is_told_from_its_beginning_though_a_progress_keeps_only_its_newest_steps() -> None:
    loop: Paths = [("start", "pause"), ("pause", "fork"), ("fork", "end"), ("fork", "pause", 1)]
    found = play(definition([wait(), fork("now > timestamp('2026-05-01T00:00:00Z')")], loop))
    assert len(found.passages[0].trail) == MAX_TRAIL_STEPS
    assert len(steps(found)) > 3 * MAX_TRAIL_STEPS
    assert steps(found)[0] == ("pause", "waiting")


def test_it_stops_when_the_script_says_and_after_a_year_without() -> None:
    slow = definition([wait("pause", "400d")])
    assert (play(slow).stopped, play(slow).stopped_at) == ("until", after(days=365))
    assert play(slow, until="401d").stopped == "over"
    assert play(slow, until="2026-03-03T09:00").stopped_at == after(days=1)


def test_a_journey_that_never_comes_to_rest_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "MAX_MESSAGES", 50)
    loop: Paths = [("start", "pause"), ("pause", "fork"), ("fork", "end"), ("fork", "pause", 1)]
    assert play(definition([wait("pause", "1m"), fork("false")], loop)).stopped == "limit"
    fed = definition([emit("joined")], repeat_journey_times=None, while_active="allow")
    assert play(fed).stopped == "over"  # after so many events in a row the engine itself calls it a loop


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "PATIENCE_SECONDS", -1.0)
    assert play(definition([wait()])).stopped == "limit"


def test_others_like_the_member_go_the_same_way_and_are_divided_by_a_split() -> None:
    split = {"id": "dice", "key": "split", "settings": {"branches": [{"name": "a", "weight": 1}, {"name": "b", "weight": 3}]}}
    path: Paths = [("start", "dice"), ("dice", "hello"), ("dice", "end", 1), ("hello", "end")]
    found = play(definition([split, send()], path), members=100)
    taken = found.branches()["dice"]
    assert sum(taken.values()) == len(found.crowd) == 100
    assert 10 < taken["a"] < 40
    assert len(found.passages) == 1


class Untouchable:
    """A channel that must not be used."""

    idempotent = resend_when_uncertain = True
    retry = RetryPolicy()
    breaker: BreakerPolicy | None = None

    def deliver(self, *_: object, **__: object) -> Any:
        raise AssertionError("a rehearsal sends nothing")


@pytest.fixture
def real() -> InMemory:
    """A cloud with a member and a journey, published and drafted anew."""
    cloud = in_memory(START)
    put_member(cloud.shop, MemberRecord(bot_id=BOT, member_id="ann", attributes={"tier": "gold"}, timezone="Asia/Taipei"))
    publish_journey(cloud.shop, definition([send("hello", "{{ member.attributes.tier }}, {{ journey.version }}")]))
    return cloud


def test_of_the_real_cloud_nothing_is_written_and_nothing_goes_out(real: InMemory) -> None:
    shop = replace(real.shop, channels=dict.fromkeys(real.shop.channels, Untouchable()))
    real.store.forget_counts()
    published = dict(real.publisher.published)
    found = rehearse_stored(shop, JOURNEY, read_script({"member_id": "ann"}))
    assert found.effects[0].payload.message == "gold, 1"  # type: ignore[union-attr]  # a message
    assert (dict(real.store.writes), dict(real.publisher.published)) == ({}, published)


def test_a_member_id_alone_is_the_real_member_and_with_attributes_somebody_made_up(real: InMemory) -> None:
    assert rehearse_stored(real.shop, JOURNEY, read_script({"member_id": "ann"})).member.timezone == "Asia/Taipei"
    made_up = rehearse_stored(real.shop, JOURNEY, read_script({"member_id": "ann", "member": {"attributes": {"tier": "tin"}}}))
    assert made_up.member.attributes == {"tier": "tin"}
    with pytest.raises(NotFound, match="no member 'bob'"):
        rehearse_stored(real.shop, JOURNEY, read_script({"member_id": "bob"}))


def test_the_version_is_the_one_asked_for_and_a_draft_is_the_next(real: InMemory) -> None:
    def version(**script: object) -> int:
        return rehearse_stored(real.shop, JOURNEY, read_script(script)).version

    with pytest.raises(NotFound, match="has no draft; version 1 is published"):
        version(version="draft")
    pause(real.shop, JOURNEY)
    edit_journey(real.shop, definition([wait()]))
    assert (version(), version(version="draft"), version(version=1)) == (2, 2, 1)
    unsaved = rehearse_stored(real.shop, JOURNEY, read_script({}), definition=definition([wait(), send()]))
    assert (unsaved.version, unsaved.passages[0].version) == (2, 2)


def test_a_channel_that_the_cloud_lacks_is_a_warning_and_no_obstacle(real: InMemory) -> None:
    found = play(definition([send("hello", "Hi", channel="pigeon")]), real)
    assert became(found) == [("hello", EffectStatus.DONE, None)]
    assert found.warnings == ("node 'hello': the cloud has no channel 'pigeon'",)
    assert play(definition([send("hello", "Hi", channel="pigeon")])).warnings == ()


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ({"events": [{"name": "x"}]}, "events.0: give exactly one of after, at"),
        ({"events": [{"name": "x", "after": "1h", "at": "2026-03-03T00:00"}]}, "events.0: give exactly one of after, at"),
        ({"events": [{"name": "x", "after": "soon"}]}, "events.0.after: 'soon' is no duration"),
        ({"events": [{"name": "x", "at": "2026-03-01T00:00"}]}, "events.0.at: 2026-03-01T00:00:00+00:00 is before the start"),
        ({"events": [{"name": "x", "after": "1h"}] * 101}, "events: Tuple should have at most 100 items"),
        ({"at": "Monday"}, "at: a moment is written 2026-03-02T21:30"),
        ({"at": 5}, "at: a moment is written"),
        ({"at": "1969-01-01T00:00"}, "at: the year must be between 2000 and 2100"),
        ({"until": "-1h"}, "until: 2026-03-02T08:00:00+00:00 is before the start"),
        ({"until": "later"}, "a duration 30m, 1d or 1d 12h, not 'later'"),
        ({"trigger": "end"}, "trigger: no trigger 'end'; there are start (joined)"),
        ({"event": {"name": "left"}}, "event.name: no trigger 'left'; there are start (joined)"),
        ({"results": {"pause": {}}}, "results.pause: no node of that id sends or calls; there are: hello"),
        ({"results": {"hello": {"outcome": "lost"}}}, "results.hello.outcome: "),
        ({"members": 201}, "members: Input should be less than or equal to 200"),
        ({"member": {"timezone": "Mars"}}, "member.timezone: 'Mars' is no IANA time zone"),
        ({"nonsense": 1}, "nonsense: Extra inputs are not permitted"),
        ([], "Input should be a valid dictionary"),
    ],
)
def test_a_script_that_cannot_be_is_a_sentence(script: Any, sentence: str) -> None:
    with pytest.raises(InputError) as raised:
        rehearse(definition([wait(), send()]), read_script(script), now=START)
    assert sentence in str(raised.value)


def test_every_fault_of_a_script_is_named_at_once() -> None:
    with pytest.raises(InputError) as raised:
        read_script({"at": "x", "until": "y", "members": 0})
    assert len(str(raised.value).splitlines()) == 3


def test_a_schedule_brings_no_data() -> None:
    with pytest.raises(InputError, match="a schedule, which brings no data"):
        play(journey({"key": "schedule", "settings": {"cron": "0 9 * * *"}}), event={"data": {"x": 1}})


def test_the_same_script_gives_the_same_rehearsal() -> None:
    one, two = (play(definition([wait(), send()]), member_id="ann", events=[{"name": "x", "after": "1h"}]) for _ in range(2))
    assert (one.lines, one.heard, one.stopped_at) == (two.lines, two.heard, two.stopped_at)
    assert one.stopped_at - one.entry.at == timedelta(days=1)


def test_scripted_failures_of_many_do_not_pause_the_journey_that_is_rehearsed() -> None:
    nodes = [wait("a", "10m"), send(), wait("b", "1m"), wait("c", "1m"), send("again")]
    found = play(definition(nodes), members=40, results={"hello": {"outcome": "permanent"}})
    assert found.stopped == "over" and found.passages[0].status is Status.ENDED
