"""What every `Store` promises about finding, listing and counting by attributes, in memory and on Firestore's emulator."""

from __future__ import annotations

from dataclasses import replace

from sojourn.application.ports import Store
from sojourn.application.records import MAX_PAGE, Moment, Question, Tally, Where
from sojourn.domain.audit import AuditEntry
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.history import Refusal
from sojourn.domain.ids import member_key
from sojourn.domain.journey import RejectedEvent, RejectedStatus
from sojourn.domain.progress import GoalReached, Progress, Status, Step
from tests.contract.records import NOON, a_journey, a_progress, a_refusal, a_rejected, an_effect, minutes, put

MARY = member_key("shop", "mary")


class TestFind:
    def test_every_condition_holds(self, store: Store) -> None:
        put(
            store,
            *(replace(a_progress(), id=f"{status}-{node}", status=status, node_id=node) for status in Status for node in "ab"),
        )
        put(store, a_progress("other", journey_id="other"))
        found = store.find(Progress, {"journey_id": "welcome", "node_id": "a", "status": Status.ERROR})
        assert [stored.value.id for stored in found] == ["ERROR-a"]

    def test_several_values_are_any_of_them(self, store: Store) -> None:
        put(store, *(replace(a_progress(), id=status.value, status=status) for status in Status))
        found = store.find(Progress, {"journey_id": "welcome", "status": (Status.READY, Status.ENDED)})
        assert [stored.value.id for stored in found] == ["ENDED", "READY"]

    def test_a_page_continues_beyond_an_id(self, store: Store) -> None:
        put(store, *(replace(a_progress(), id=name) for name in "dacb"))
        where = {"journey_id": "welcome", "status": Status.WAITING}
        first = store.find(Progress, where, limit=3)
        assert [stored.value.id for stored in first] == ["a", "b", "c"]
        assert [stored.value.id for stored in store.find(Progress, where, after="c")] == ["d"]

    def test_a_page_is_as_long_as_it_is_asked_for(self, store: Store) -> None:
        put(store, *(replace(a_progress(), id=f"p{number:03}") for number in range(MAX_PAGE + 1)))
        where = {"journey_id": "welcome", "status": Status.WAITING}
        assert len(store.find(Progress, where)) == MAX_PAGE
        assert len(store.find(Progress, where, limit=4 * MAX_PAGE)) == MAX_PAGE + 1

    def test_members_in_error(self, store: Store) -> None:
        put(store, *(replace(a_progress(), id=status.value, status=status) for status in Status))
        put(store, replace(a_progress("other"), id="other", status=Status.ERROR, bot_id="cafe", journey_id="cafe"))
        for where, found in (({}, ["ERROR", "other"]), ({"bot_id": "cafe"}, ["other"]), ({"journey_id": "welcome"}, ["ERROR"])):
            assert [stored.value.id for stored in store.find(Progress, {"in_error": True, **where})] == found

    def test_rejected_events_by_what_became_of_them(self, store: Store) -> None:
        replayed = replace(a_rejected("replayed"), replayed_at=NOON, abandoned_at=NOON)
        put(store, a_rejected("open"), replayed, replace(a_rejected("abandoned"), abandoned_at=NOON))
        found = {
            status: [stored.value.id for stored in store.find(RejectedEvent, {"status": status})] for status in RejectedStatus
        }
        assert found == {"OPEN": ["open"], "REPLAYED": ["replayed"], "ABANDONED": ["abandoned"]}


class TestNewest:
    def test_comes_first(self, store: Store) -> None:
        put(store, *(replace(an_effect(), id=f"x{at}", created_at=minutes(at)) for at in (1, 3, 2)))
        put(store, replace(an_effect(), id="other", member_key="somebody"))
        assert [stored.value.id for stored in store.newest(Effect, {"member_key": MARY}, limit=2)] == ["x3", "x2"]

    def test_pages_continue_within_a_moment(self, store: Store) -> None:
        entries = [AuditEntry(name, minutes(at), "olga", "x", "y", None, None) for at, name in enumerate("abcdef", start=1)]
        same = [replace(entry, id=f"{entry.id}{entry.id}") for entry in entries]
        put(store, *entries, *same)
        found: list[str] = []
        place: Moment | None = None
        while page := store.newest(AuditEntry, {}, after=place, limit=5):
            found += [stored.value.id for stored in page]
            place = (page[-1].value.created_at, page[-1].value.id)
        assert found == [name for entry in reversed(entries) for name in (f"{entry.id}{entry.id}", entry.id)]

    def test_pages_of_a_subject(self, store: Store) -> None:
        put(store, *(AuditEntry(f"{at}", minutes(at), "olga", "x", f"s{at % 2}", None, None) for at in range(6)))
        found = store.newest(AuditEntry, {"subject": "s1"}, after=(minutes(5), "5"))
        assert [stored.value.id for stored in found] == ["3", "1"]

    def test_refusals_of_a_member(self, store: Store) -> None:
        put(store, a_refusal("e1"), a_refusal("e2", at=minutes(1)), a_refusal("e3", member_id="john"))
        assert [stored.value.event_id for stored in store.newest(Refusal, {"member_key": MARY})] == ["e2", "e1"]


class TestDistinct:
    def test_lists_each_text_once_the_greatest_first(self, store: Store) -> None:
        put(
            store, *(a_refusal(f"{word}{number}", word) for word in ("paused", "filter", "repeat_limit") for number in range(3))
        )
        assert store.distinct(Refusal, "reason", {"journey_id": "welcome"}) == ["repeat_limit", "paused", "filter"]
        assert store.distinct(Refusal, "reason", {"journey_id": "other"}) == []

    def test_leaves_out_what_has_none(self, store: Store) -> None:
        skipped = replace(an_effect("skipped"), status=EffectStatus.SKIPPED, reason="the member left: exit event")
        put(store, skipped, an_effect("pending"))
        assert store.distinct(Effect, "skipped_for", {"journey_id": "welcome", "node_id": "greet"}) == ["the member left"]

    def test_days_of_entry(self, store: Store) -> None:
        put(store, *(replace(a_progress(), id=f"p{day}", created_at=minutes(day * 720)) for day in range(4)))
        assert store.distinct(Progress, "entered_on", {"journey_id": "welcome"}) == ["2026-11-22", "2026-11-21", "2026-11-20"]


class TestTally:
    def test_counts_without_reading(self, store: Store) -> None:
        put(store, *(a_progress(f"p{number}") for number in range(7)), a_journey("welcome"))
        where = {"journey_id": "welcome", "status": Status.WAITING}
        other = {"journey_id": "other", "status": Status.WAITING}
        assert store.tally_many([Question(Progress, where), Question(Progress, other)]) == [Tally(7), Tally(0)]

    def test_asks_nothing(self, store: Store) -> None:
        assert store.tally_many([]) == []

    def test_counts_what_lies_beyond_an_id(self, store: Store) -> None:
        put(store, *(replace(an_effect(), id=name, status=EffectStatus.DEAD) for name in "badc"), an_effect("pending"))
        where = {"status": EffectStatus.DEAD}
        asked = [Question(Effect, where), *(Question(Effect, where, after=name) for name in "abd")]
        assert [tally.count for tally in store.tally_many(asked)] == [4, 3, 2, 0]

    def test_adds_up_revenue_and_counts_goals_without_any(self, store: Store) -> None:
        goals = [GoalReached("e", NOON, 12.5), GoalReached("e", NOON, 3.0), GoalReached("e", NOON), None]
        put(store, *(replace(a_progress(), id=f"p{number}", goal=goal) for number, goal in enumerate(goals)))
        where: Where = {"journey_id": "welcome", "version": 1, "goal_reached": True}
        assert store.tally_many([Question(Progress, where, "goal_revenue")]) == [Tally(3, 15.5)]

    def test_counts_who_came_to_a_node_and_who_left_there(self, store: Store) -> None:
        trail = (Step("a", NOON, "sent"), Step("b", NOON, "canceled", "exit event"))
        left = replace(a_progress("left"), status=Status.CANCELED, node_id=None, visits={"a": 2, "b": 1}, trail=trail)
        there = replace(a_progress("there"), node_id="b", visits={"a": 1})
        put(store, left, there)
        asked = [Question(Progress, {"journey_id": "welcome", "reached": node}) for node in "abc"]
        asked += [Question(Progress, {"journey_id": "welcome", "left_at": node}) for node in "ab"]
        assert [tally.count for tally in store.tally_many(asked)] == [2, 2, 0, 0, 1]
