"""`advance`: what each stimulus does at each kind of node."""

from __future__ import annotations

from datetime import datetime

import pytest

from sojourn.domain.definition import Definition
from sojourn.domain.effect import CallWebhook, EmitEvent, EnrollJourney, SendMessage, UpdateMember
from sojourn.domain.engine import Transition, advance, advance_all
from sojourn.domain.event import Cause
from sojourn.domain.member import Member
from sojourn.domain.progress import MAX_TRAIL_STEPS, Progress, Status
from sojourn.domain.stimulus import Cancel, Due, EffectFinished, EventReceived, Resume, Stimulus
from sojourn.domain.visit import MAX_VISITS
from tests.builders import START, after, definition, event, member, progress, send, wait


def start(of: Definition, *, now: datetime = START, who: Member | None = None, max_nodes: int = 32) -> Transition:
    return advance(of, progress(of), Resume(), member=who, now=now, max_nodes=max_nodes)


def go_on(
    of: Definition, before: Transition | Progress, stimulus: Stimulus, *, now: datetime, who: Member | None = None
) -> Transition:
    at = before.progress if isinstance(before, Transition) else before
    return advance(of, at, stimulus, member=who, now=now)


def outcomes(transition: Transition) -> list[tuple[str, str]]:
    return [(step.node_id, step.outcome) for step in transition.progress.trail]


def wait_for_profile(**settings: object) -> dict[str, object]:
    branches = [{"name": "done", "event": "profile", "filter": "event.data.complete == true"}, {"name": "left", "event": "bye"}]
    return {"id": "listen", "key": "wait_for_event", "settings": {"branches": branches, "timeout": "2d", **settings}}


LISTENING = definition(
    [wait_for_profile(restart={"event": "opened"}), send("thanks"), send("sorry"), send("late")],
    [
        ("start", "listen"),
        ("listen", "thanks", 0),
        ("listen", "sorry", 1),
        ("listen", "late", 2),
        ("thanks", "end"),
        ("sorry", "end"),
        ("late", "end"),
    ],
)


def test_a_hop_walks_to_the_end_and_gives_its_effects() -> None:
    done = start(definition([send("hello", "Hi {{ event.data.name }}")]))
    assert done.progress.status is Status.ENDED
    assert done.progress.node_id is None
    assert done.progress.ended_at == START
    assert [effect.payload for effect in done.effects] == [SendMessage("mailbox", "Hi ")]


def test_a_wait_stops_the_hop_and_its_due_time_goes_on() -> None:
    of = definition([wait(), send()])
    waiting = start(of)
    assert (waiting.progress.status, waiting.progress.schedule_at) == (Status.WAITING, after(days=1))
    assert waiting.progress.sweep_at == after(days=1)
    assert waiting.effects == ()
    done = go_on(of, waiting, Due(after(days=1)), now=after(days=1, minutes=1))
    assert done.progress.status is Status.ENDED
    assert len(done.effects) == 1


def test_the_limit_of_nodes_ends_a_hop_as_running_and_the_next_goes_on_from_there() -> None:
    of = definition([send("one"), send("two")])
    first = start(of, max_nodes=2)
    assert (first.progress.status, first.progress.node_id) == (Status.RUNNING, "two")
    rest = go_on(of, first, Resume(), now=START)
    assert rest.progress.status is Status.ENDED
    assert [effect.node_id for effect in (*first.effects, *rest.effects)] == ["one", "two"]


def test_an_effect_has_the_same_id_on_every_retry_and_another_at_every_visit() -> None:
    of = definition([send()])
    assert start(of).effects[0].id == start(of, now=after(hours=3)).effects[0].id
    loop = definition([send(), wait()], [("start", "hello"), ("hello", "pause"), ("pause", "hello")])
    first = start(loop)
    second = go_on(loop, first, Due(after(days=1)), now=after(days=1))
    assert first.effects[0].id != second.effects[0].id


def test_a_branch_takes_the_first_condition_that_holds_and_else_otherwise() -> None:
    branches = [{"name": "big", "condition": "event.data.total > 100"}, {"name": "any", "condition": "event.data.total > 0"}]
    of = definition(
        [{"id": "how", "key": "branch", "settings": {"branches": branches}}, send("big"), send("small"), send("none")],
        [
            ("start", "how"),
            ("how", "big", 0),
            ("how", "small", 1),
            ("how", "none", 2),
            ("big", "end"),
            ("small", "end"),
            ("none", "end"),
        ],
    )
    for total, expected in ((101, "big"), (1.5, "small"), (0, "none")):
        at = progress(of, trigger=event(data={"total": total}))
        assert advance(of, at, Resume(), member=None, now=START).effects[0].node_id == expected


def test_a_missing_field_is_false_and_the_trail_says_so() -> None:
    of = definition(
        [{"id": "how", "key": "branch", "settings": {"branches": [{"name": "big", "condition": "event.data.total > 100"}]}}],
        [("start", "how"), ("how", "end", 0), ("how", "end", 1)],
    )
    reasons = [step.reason for step in start(of).progress.trail if step.outcome == "false"]
    assert reasons == ["event.data.total > 100: no total"]


@pytest.mark.parametrize("sticky", [True, False])
def test_a_split_takes_the_same_branch_on_a_retry_and_keeps_its_weights(sticky: bool) -> None:
    branches = [{"name": "a", "weight": 3}, {"name": "b", "weight": 1}]
    of = definition(
        [{"id": "ab", "key": "split", "settings": {"branches": branches, "sticky": sticky}}, send("a"), send("b")],
        [("start", "ab"), ("ab", "a", 0), ("ab", "b", 1), ("a", "end"), ("b", "end")],
    )
    taken = []
    for number in range(400):
        at = progress(of, trigger=event(member=f"m{number}"))
        at = Progress(**{**{name: getattr(at, name) for name in at.__slots__}, "id": f"p{number}"})
        one, two = (advance(of, at, Resume(), member=None, now=now).effects[0].node_id for now in (START, after(days=2)))
        assert one == two
        taken.append(one)
    assert 260 < taken.count("a") < 340


def test_a_branch_event_is_taken_and_put_into_the_context() -> None:
    came = event("profile", at=after(hours=1), data={"complete": True})
    done = go_on(LISTENING, start(LISTENING), EventReceived(came), now=after(hours=2))
    assert [effect.node_id for effect in done.effects] == ["thanks"]
    assert done.progress.context["listen"]["data"] == {"complete": True}
    assert came.id in done.progress.consumed


def test_the_second_branch_has_an_event_of_its_own() -> None:
    done = go_on(LISTENING, start(LISTENING), EventReceived(event("bye", at=after(hours=1))), now=after(hours=2))
    assert [effect.node_id for effect in done.effects] == ["sorry"]


def test_a_timeout_takes_the_last_path() -> None:
    done = go_on(LISTENING, start(LISTENING), Due(after(days=2)), now=after(days=2))
    assert [effect.node_id for effect in done.effects] == ["late"]
    assert ("listen", "timeout") in outcomes(done)


@pytest.mark.parametrize(
    ("name", "at", "data"),
    [
        ("profile", after(hours=1), {"complete": False}),
        ("profile", after(hours=1), {}),
        ("profile", after(hours=-1), {"complete": True}),
        ("unheard", after(hours=1), {"complete": True}),
    ],
    ids=["filter", "missing field", "before the wait began", "another event"],
)
def test_an_event_that_does_not_match_changes_nothing(name: str, at: datetime, data: dict[str, bool]) -> None:
    waiting = start(LISTENING)
    same = go_on(LISTENING, waiting, EventReceived(event(name, at=at, data=dict(data))), now=after(hours=2))
    assert same.progress is waiting.progress


def test_a_repeated_event_restarts_the_timeout_once() -> None:
    opened = event("opened", at=after(days=1))
    restarted = go_on(LISTENING, start(LISTENING), EventReceived(opened), now=after(days=1))
    assert restarted.progress.schedule_at == after(days=3)
    again = go_on(LISTENING, restarted, EventReceived(opened), now=after(days=2))
    assert again.progress is restarted.progress


@pytest.mark.parametrize(
    ("name", "status", "schedule_at"),
    [("profile", Status.WAITING, after(days=3)), ("opened", Status.WAITING, after(days=4))],
    ids=["led to another wait", "restarted"],
)
def test_an_event_and_the_wake_up_of_the_wait_it_ended_in_one_hop_wake_nobody_twice(
    name: str, status: Status, schedule_at: datetime
) -> None:
    of = definition(
        [wait_for_profile(restart={"event": "opened"}), wait()],
        [("start", "listen"), ("listen", "pause", 0), ("listen", "end", 1), ("listen", "end", 2), ("pause", "end")],
    )
    came = EventReceived(event(name, at=after(days=1), data={"complete": True}))
    both = advance_all(of, start(of).progress, [came, Due(after(days=2))], member=None, now=after(days=2))
    assert (both.progress.status, both.progress.schedule_at) == (status, schedule_at)


LEAVING = definition(
    [wait(), send()],
    exit_events=[{"event": "order", "filter": "event.data.cart == trigger.data.cart"}],
    goal={"event": "order", "window": "7d", "revenue": "event.data.total"},
)


def test_an_exit_event_cancels_and_wins_over_a_wake_up_due_at_the_same_time() -> None:
    at = advance(LEAVING, progress(LEAVING, trigger=event(data={"cart": 1})), Resume(), member=None, now=START).progress
    ordered = EventReceived(event("order", at=after(days=1), data={"cart": 1, "total": 12.5}))
    left = advance_all(LEAVING, at, [ordered, Due(after(days=1))], member=None, now=after(days=1))
    assert (left.progress.status, left.progress.end_reason) == (Status.CANCELED, "exit event order")
    assert left.effects == ()
    assert left.progress.sweep_at is None
    assert left.progress.goal is not None
    assert left.progress.goal.revenue == 12.5


def test_an_exit_event_of_another_cart_does_not_count() -> None:
    at = advance(LEAVING, progress(LEAVING, trigger=event(data={"cart": 1})), Resume(), member=None, now=START).progress
    other = advance(
        LEAVING, at, EventReceived(event("order", at=after(hours=1), data={"cart": 2})), member=None, now=after(hours=1)
    )
    assert other.progress.status is Status.WAITING
    assert other.progress.goal is not None


def test_the_goal_counts_once_and_within_its_window_also_after_the_end() -> None:
    of = definition([send()], goal={"event": "order", "window": "7d"})
    ended = start(of).progress
    assert ended.listens == ("order",)
    first = go_on(of, ended, EventReceived(event("order", at=after(days=2))), now=after(days=2)).progress
    assert first.goal is not None
    assert (first.status, first.listens, first.ended_at) == (Status.ENDED, (), START)
    late = go_on(of, ended, EventReceived(event("order", at=after(days=8))), now=after(days=8))
    assert late.progress is ended


def test_conditions_see_whether_the_goal_was_reached() -> None:
    of = definition(
        [
            wait(),
            {"id": "bought", "key": "branch", "settings": {"branches": [{"name": "yes", "condition": "journey.goal_reached"}]}},
            send(),
        ],
        [("start", "pause"), ("pause", "bought"), ("bought", "end", 0), ("bought", "hello", 1), ("hello", "end")],
        goal={"event": "order"},
    )
    waiting = start(of)
    bought = go_on(of, waiting, EventReceived(event("order", at=after(hours=1))), now=after(hours=1))
    assert go_on(of, bought, Due(after(days=1)), now=after(days=1)).effects == ()
    assert len(go_on(of, waiting, Due(after(days=1)), now=after(days=1)).effects) == 1


def test_a_message_in_the_sleep_window_waits_for_its_end_in_the_members_zone() -> None:
    of = definition([send()], sleep_start_time="22:00", sleep_end_time="08:00", timezone_of="member")
    taipei = member(timezone="Asia/Taipei")
    night = datetime.fromisoformat("2026-03-02T16:00:00+00:00")  # midnight in Taipei
    asleep = start(of, now=night, who=taipei)
    assert asleep.effects == ()
    assert asleep.progress.schedule_at == datetime.fromisoformat("2026-03-03T00:00:00+00:00")
    assert start(of, now=night).effects != ()  # in the journey's zone, UTC, it is 16:00
    awake = go_on(of, asleep, Due(asleep.progress.schedule_at), now=asleep.progress.schedule_at, who=taipei)
    assert len(awake.effects) == 1
    assert awake.progress.visits["hello"] == 1


def test_every_action_becomes_its_effect() -> None:
    of = definition(
        [
            {
                "id": "hook",
                "key": "webhook",
                "settings": {"url": "https://example.com/in", "body": {"total": "{{ event.data.total }}"}},
            },
            {"id": "know", "key": "update_member", "settings": {"attributes": {"tier": "gold", "old": None}}},
            {"id": "say", "key": "emit_event", "settings": {"name": "tier.reached", "data": {"tier": "{{ 'gold' }}"}}},
            {"id": "next", "key": "enroll_journey", "settings": {"journey_id": "other"}},
        ]
    )
    done = advance(of, progress(of, trigger=event(data={"total": 12})), Resume(), member=None, now=START)
    assert [effect.payload for effect in done.effects] == [
        CallWebhook("https://example.com/in", {"total": 12}),
        UpdateMember({"tier": "gold", "old": None}),
        EmitEvent("tier.reached", {"tier": "gold"}),
        EnrollJourney("other", {}),
    ]


def test_an_awaited_result_wakes_the_member_and_is_in_the_context() -> None:
    of = definition([send(await_result=True)])
    waiting = start(of)
    assert (waiting.progress.status, waiting.progress.awaits) == (Status.WAITING, waiting.effects[0].id)
    assert waiting.progress.sweep_at is not None
    unrelated = go_on(of, waiting, EffectFinished("another", "DONE", after(hours=1)), now=after(hours=1))
    assert unrelated.progress is waiting.progress
    finished = EffectFinished(waiting.effects[0].id, "DONE", after(hours=1), result={"id": "m1"})
    done = go_on(of, waiting, finished, now=after(hours=1))
    assert done.progress.status is Status.ENDED
    assert done.progress.context["hello"]["result"] == {"id": "m1"}


def test_a_date_that_is_missing_or_past_lets_the_member_go_on_and_says_why() -> None:
    of = definition(
        [{"id": "day", "key": "wait", "settings": {"until_date": {"date": "member.attributes.birthday", "offset": "-3d"}}}]
    )
    for who, reason in (
        (member(), "no birthday"),
        (member(birthday="soon"), "is no date"),
        (member(birthday="2020-01-01"), "is over"),
    ):
        done = start(of, who=who)
        assert done.progress.status is Status.ENDED
        assert reason in str(done.progress.trail[1].reason)
    waiting = start(of, who=member(birthday="2026-03-10"))
    assert waiting.progress.schedule_at == datetime.fromisoformat("2026-03-07T00:00:00+00:00")


def test_cancel_leaves_with_the_reason_and_a_terminal_progress_moves_no_more() -> None:
    of = definition([wait()])
    left = go_on(of, start(of), Cancel("journey ended"), now=after(hours=1))
    assert (left.progress.status, left.progress.end_reason) == (Status.CANCELED, "journey ended")
    for stimulus in (Resume(), Due(START), Cancel("again")):
        assert go_on(of, left, stimulus, now=after(days=2)).progress is left.progress


def test_a_loop_that_nobody_meant_ends_in_error_at_its_node() -> None:
    of = definition([wait(duration="1m")], [("start", "pause"), ("pause", "pause")])
    at = start(of).progress
    for _ in range(MAX_VISITS):
        assert at.schedule_at is not None
        at = go_on(of, at, Due(at.schedule_at), now=at.schedule_at).progress
    assert (at.status, at.node_id) == (Status.ERROR, "pause")
    assert "visited 1,000 times" in str(at.end_reason)
    assert len(at.trail) == MAX_TRAIL_STEPS


def test_a_node_that_the_version_lacks_is_an_error_not_a_crash() -> None:
    of = definition([wait()])
    at = start(of).progress
    other = definition([send()])
    assert go_on(other, at, Due(after(days=1)), now=after(days=1)).progress.status is Status.ERROR


def test_a_payload_out_of_bounds_is_an_error_that_names_the_node() -> None:
    of = definition([send("hello", "{{ event.data.text }}")])
    at = progress(of, trigger=event(data={"text": "x" * 70_000}))
    failed = advance(of, at, Resume(), member=None, now=START).progress
    assert (failed.status, failed.expire_at) == (Status.ERROR, None), "it waits for an operator, however long"
    assert "node 'hello' puts out 70,002 bytes" in str(failed.end_reason)


EMITTING = definition(
    [
        {"id": "listen", "key": "wait_for_event", "settings": {"branches": [{"name": "a", "event": "again"}], "timeout": "2d"}},
        {"id": "say", "key": "emit_event", "settings": {"name": "again"}},
    ],
    [("start", "listen"), ("listen", "say", 0), ("listen", "say", 1), ("say", "listen")],
)


def depths(transition: Transition) -> list[int]:
    return [effect.payload.depth or 1 for effect in transition.effects if isinstance(effect.payload, EmitEvent)]


def test_an_emitted_event_counts_from_the_event_that_moved_the_member() -> None:
    first = go_on(EMITTING, start(EMITTING), EventReceived(event("again", id="e2")), now=START)
    assert (depths(first), first.progress.moved_by) == ([1], None)
    again = go_on(EMITTING, first, EventReceived(event("again", id="e3", depth=1)), now=START)
    assert (depths(again), again.progress.cause) == ([2], Cause(1, START))
    real = go_on(EMITTING, again, EventReceived(event("again", id="e4")), now=START)
    assert depths(real) == [1]


def test_time_passed_begins_a_new_row_of_emitted_events_and_a_short_wait_does_not() -> None:
    waiting = go_on(EMITTING, start(EMITTING), EventReceived(event("again", id="e2", depth=5)), now=START).progress
    assert waiting.schedule_at is not None
    soon = advance_all(EMITTING, waiting, [Due(waiting.schedule_at)], member=None, now=after(hours=11))
    assert depths(soon) == [6]
    later = go_on(EMITTING, waiting, Due(waiting.schedule_at), now=after(days=2))
    assert depths(later) == [1]


def test_a_passage_that_an_emitted_event_started_counts_from_it_until_a_log_line_moves_the_member() -> None:
    entered = progress(EMITTING, trigger=event(depth=4))
    waiting = go_on(EMITTING, entered, Resume(), now=START)
    assert waiting.progress.cause == Cause(4, START)
    assert depths(go_on(EMITTING, waiting, EventReceived(event("again", id="e2")), now=START)) == [1]
