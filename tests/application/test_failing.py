"""A journey that fails for too many pauses itself, says why, and is not paused again for what was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from sojourn.application.failing import pause_failing
from sojourn.application.lifecycle import get_journey, pause, publish_journey, resume
from sojourn.application.messages import EFFECTS_TOPIC, EffectMessage
from sojourn.application.records import Question, Tally
from sojourn.application.report import journey_report
from sojourn.domain.audit import ENGINE, AuditEntry
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Delivery, Effect
from sojourn.domain.errors import Unavailable
from sojourn.domain.journey import Journey, JourneyStatus
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud, MemoryCloud, instead
from tests.application.scripted import DONE, ScriptedChannel, sent_to_many
from tests.builders import JOURNEY, after, definition, log, send, wait

GONE = Delivery("permanent", "no such address")
LIMIT = {"share": 0.25, "members": 8, "window": "30m"}


def a_journey(**limit: object) -> Definition:
    return definition([send(), wait(duration="10d")], pause_on_failures={**LIMIT, **limit})


def failing(cloud: Cloud, failed: int, of: int, journey: Definition | None = None) -> None:
    """A journey that went on ten minutes ago, and of whose messages so many have failed by now."""
    messages = sent_to_many(cloud, of, ScriptedChannel(*[GONE] * failed), journey or a_journey())
    cloud.at(after(minutes=10))
    cloud.perform(*messages)


def more(cloud: Cloud, *names: str) -> None:
    """Others enter, and their messages are performed."""
    now = cloud.clock.now()
    cloud.log(*(log(member=name, at=now) for name in names))
    cloud.hop()
    cloud.perform(*(EffectMessage.model_validate(message) for message in cloud.waiting(EFFECTS_TOPIC)))


def head(cloud: Cloud) -> Journey:
    return get_journey(cloud.shop, JOURNEY)


def test_the_tick_pauses_it_and_it_says_why_and_who(cloud: Cloud) -> None:
    failing(cloud, 2, 8)
    assert "journey_paused" in cloud.sweep().notes
    paused = head(cloud)
    assert (paused.status, paused.paused_at) == (JourneyStatus.PAUSED, after(minutes=10))
    assert paused.pause_reason == (
        "2 of 8 messages and other effects failed since 2026-03-02 09:05 UTC (25%; the limit is 25%),"
        " for example: no such address"
    )
    assert journey_report(cloud.shop, JOURNEY).pause_reason == paused.pause_reason
    entry = next(one for one in cloud.all(AuditEntry) if one.action == "journey.pause")
    assert (entry.principal, entry.subject) == (ENGINE, f"journeys/{JOURNEY}")
    assert entry.after is not None and "no such address" in entry.after


@pytest.mark.parametrize(("failed", "of"), [(1, 8), (7, 7), (0, 20)], ids=["below the share", "too few", "none"])
def test_it_goes_on_below_the_limit(cloud: Cloud, failed: int, of: int) -> None:
    failing(cloud, failed, of)
    assert "journey_paused" not in cloud.sweep().notes
    assert head(cloud).status is JourneyStatus.ONGOING


def test_null_switches_it_off(cloud: Cloud) -> None:
    failing(cloud, 20, 20, definition([send(), wait()], pause_on_failures=None))
    cloud.sweep()
    assert head(cloud).status is JourneyStatus.ONGOING


def test_members_in_error_count_among_those_who_moved(cloud: Cloud) -> None:
    huge = send(message="{{ event.data.text }}")
    journey = definition([huge, wait(duration="10d")], pause_on_failures=LIMIT)
    cloud.publish(journey)
    cloud.at(after(minutes=10))
    cloud.log(*(log(member=f"m{number}", text="x" * (70_000 if number < 2 else 1)) for number in range(8)))
    cloud.hop()
    assert sum(progress.status is Status.ERROR for progress in cloud.all(Progress)) == 2
    cloud.sweep()
    assert (head(cloud).pause_reason or "").startswith(
        "2 of 8 members failed since 2026-03-02 09:05 UTC (25%; the limit is 25%)"
    )
    assert "puts out 70,0" in (head(cloud).pause_reason or "")


def test_what_is_older_than_the_window_does_not_count(cloud: Cloud) -> None:
    failing(cloud, 8, 8)
    cloud.at(after(minutes=50))
    more(cloud, *(f"later-{number}" for number in range(7)))
    assert pause_failing(cloud.shop, after(minutes=50)) == 0


def test_resumed_by_hand_it_is_not_paused_for_the_old_failures_but_for_new_ones(cloud: Cloud) -> None:
    failing(cloud, 8, 8)
    cloud.sweep()
    cloud.at(after(minutes=12))
    resume(cloud.shop, JOURNEY)
    cloud.settle()
    assert (head(cloud).pause_reason, head(cloud).ongoing_since) == (None, after(minutes=12))
    for minute in (12, 13, 16, 20):
        cloud.at(after(minutes=minute))
        cloud.sweep()
        assert head(cloud).status is JourneyStatus.ONGOING
    cloud.shop = replace(cloud.shop, channels={"mailbox": ScriptedChannel(*[GONE] * 8)})
    more(cloud, *(f"later-{number}" for number in range(8)))
    cloud.sweep()
    reason = head(cloud).pause_reason
    assert reason is not None and reason.startswith("8 of 8 messages and other effects failed since 2026-03-02 09:15 UTC")


def test_an_operator_s_pause_has_no_reason_of_ours(cloud: Cloud) -> None:
    failing(cloud, 8, 8)
    pause(cloud.shop, JOURNEY)
    cloud.sweep()
    assert (head(cloud).status, head(cloud).pause_reason) == (JourneyStatus.PAUSED, None)


def test_two_ticks_at_once_pause_it_once(cloud: Cloud) -> None:
    failing(cloud, 8, 8)
    paused: list[int] = []
    real = cloud.store.commit_many

    def the_other_tick_is_faster(commits: Sequence[object]) -> object:
        paused.append(pause_failing(cloud.shop, after(minutes=10)))
        return real(commits)  # type: ignore[arg-type]

    instead(cloud.store, "commit_many", the_other_tick_is_faster)
    paused.append(pause_failing(cloud.shop, after(minutes=10)))
    assert paused == [1, 0]
    assert len([one for one in cloud.all(AuditEntry) if one.action == "journey.pause"]) == 1


def test_of_many_journeys_only_the_broken_one_is_paused(cloud: Cloud) -> None:
    for number in range(3):
        publish_journey(cloud.shop, a_journey().model_copy(update={"id": f"other-{number}"}))
    channel = ScriptedChannel()
    messages = sent_to_many(cloud, 8, channel, a_journey())
    broken = {effect.id for effect in cloud.all(Effect) if effect.journey_id == "other-1"}
    cloud.at(after(minutes=10))
    for message in messages:
        channel.usual = GONE if message.effect_id in broken else DONE
        cloud.perform(message)
    cloud.sweep()
    assert [one.id for one in cloud.store.journeys((JourneyStatus.PAUSED,))] == ["other-1"]


class Asked:
    """A store that keeps what it was asked to count."""

    def __init__(self, cloud: MemoryCloud) -> None:
        self.questions: list[Question] = []
        real = cloud.store.tally_many

        def tally_many(questions: Sequence[Question]) -> list[Tally]:
            self.questions += questions
            return real(questions)

        cloud.store.tally_many = tally_many  # type: ignore[method-assign]


def test_while_all_is_well_it_costs_two_queries_however_many_journeys_there_are(memory_cloud: MemoryCloud) -> None:
    cloud = memory_cloud
    for number in range(100):
        publish_journey(cloud.shop, a_journey().model_copy(update={"id": f"other-{number}"}))
    asked = Asked(cloud)
    cloud.store.forget_counts()
    assert pause_failing(cloud.shop, after(minutes=10)) == 0
    assert (dict(cloud.store.queries), asked.questions, dict(cloud.store.reads)) == ({"Effect": 1, "Progress": 1}, [], {})


def test_a_journey_with_few_failures_costs_two_counts_and_one_with_many_at_most_four(memory_cloud: MemoryCloud) -> None:
    cloud = memory_cloud
    failing(cloud, 1, 8)
    asked = Asked(cloud)
    pause_failing(cloud.shop, after(minutes=10))
    assert len(asked.questions) == 2
    asked.questions.clear()
    cloud.shop = replace(cloud.shop, channels={"mailbox": ScriptedChannel(*[GONE] * 2)})
    more(cloud, "bob", "eve")
    assert pause_failing(cloud.shop, after(minutes=10)) == 1
    assert len(asked.questions) == 3, "members are well, so nobody asks of how many"


def test_where_it_cannot_be_counted_the_tick_goes_on(memory_cloud: MemoryCloud) -> None:
    cloud = memory_cloud
    failing(cloud, 8, 8)

    def unavailable(*_: object) -> object:
        raise Unavailable("Firestore: simulated")

    instead(cloud.store, "distinct", unavailable)
    outcome = cloud.sweep()
    assert (outcome.code, outcome.retry) == ("swept", False) and "failures_unavailable" in outcome.notes
    cloud.at(cloud.clock.now() + timedelta(minutes=1))
    assert "journey_paused" in cloud.sweep().notes
