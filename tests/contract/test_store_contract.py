"""What every `Store` promises, in memory and on Google's Firestore emulator."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from sojourn.application.ports import Store
from sojourn.application.records import MAX_PAGE, CommitResult, Create, S, Update
from sojourn.domain.effect import Effect
from sojourn.domain.ids import member_key
from sojourn.domain.journey import Journey, JourneyStatus, JourneyVersion, MemberEvent, RejectedEvent, Settling
from sojourn.domain.progress import Progress, Status
from tests.contract.records import NOON, a_journey, a_member_event, a_progress, a_rejected, an_effect, minutes, put

APPLIED, CONFLICT = CommitResult.APPLIED, CommitResult.CONFLICT
MARY = member_key("shop", "mary")
MANY = 230
"""More than two requests' worth of documents."""


class TestGetMany:
    def test_answers_in_the_order_of_the_question_with_none_for_what_is_not_there(self, store: Store) -> None:
        one, two = a_progress("one"), a_progress("two")
        put(store, one, two)
        found = store.get_many(Progress, [two.id, "missing", one.id, two.id])
        assert [stored and stored.value for stored in found] == [two, None, one, two]

    def test_asks_for_nothing(self, store: Store) -> None:
        assert store.get_many(Progress, []) == []

    def test_kinds_do_not_mix(self, store: Store) -> None:
        put(store, a_progress("same"))
        assert store.get_many(Effect, [a_progress("same").id]) == [None]

    @pytest.mark.parametrize("identifier", ["", "a/b", "..", "__x__", "\ud800", "\0", "é" * 2_000, "no version"])
    def test_what_can_be_no_id_is_not_there(self, store: Store, identifier: str) -> None:
        assert store.get_many(Progress, [identifier]) == [None]
        assert store.get_many(JourneyVersion, [identifier]) == [None]

    @pytest.mark.parametrize("identifier", ["summer/2026", "..", "__x__", "100%", "夏/祭り"])
    def test_an_author_may_name_a_journey_anything(self, store: Store, identifier: str) -> None:
        version = JourneyVersion(identifier, 3, "{}", NOON)
        put(store, a_journey(identifier), version)
        (head,), (pinned,) = store.get_many(Journey, [identifier]), store.get_many(JourneyVersion, [version.id])
        assert head and head.value.id == identifier and pinned and pinned.value == version

    def test_more_documents_than_one_request_takes(self, store: Store) -> None:
        all_of_them = [a_progress(f"p{number}") for number in range(MANY)]
        put(store, *all_of_them)
        found = store.get_many(Progress, [progress.id for progress in all_of_them])
        assert [stored and stored.value for stored in found] == all_of_them


class TestCommitMany:
    def test_nothing_to_commit(self, store: Store) -> None:
        assert store.commit_many([]) == []

    def test_what_is_there_cannot_be_created(self, store: Store) -> None:
        put(store, a_progress())
        assert store.commit_many([(Create(replace(a_progress(), rev=2)),)]) == [CONFLICT]
        (found,) = store.get_many(Progress, [a_progress().id])
        assert found and found.value.rev == 1

    @pytest.mark.parametrize("knows_before", [False, True])
    def test_an_update_of_what_was_read_replaces_the_whole_document(self, store: Store, knows_before: bool) -> None:
        before = replace(a_progress(), awaits="effect", sweep_at=NOON, shard=1)
        put(store, before)
        (read,) = store.get_many(Progress, [before.id])
        assert read
        after = replace(read.value, rev=2, awaits=None, sweep_at=None, shard=None, context={"n": {"out": 1}})
        update = Update(after, read.version, read.value if knows_before else None)
        assert store.commit_many([(update,)]) == [APPLIED]
        (found,) = store.get_many(Progress, [before.id])
        assert found and found.value == after

    def test_an_update_of_what_changed_since_is_a_conflict(self, store: Store) -> None:
        put(store, a_progress())
        (read,) = store.get_many(Progress, [a_progress().id])
        assert read
        first, second = (Update(replace(a_progress(), rev=2, token=token), read.version) for token in ("one", "two"))
        assert store.commit_many([(first,)]) + store.commit_many([(second,)]) == [APPLIED, CONFLICT]
        (found,) = store.get_many(Progress, [a_progress().id])
        assert found and found.value.token == "one"

    def test_what_is_not_there_cannot_be_updated(self, store: Store) -> None:
        put(store, a_progress("there"))
        (read,) = store.get_many(Progress, [a_progress("there").id])
        assert read
        assert store.commit_many([(Update(a_progress("not there"), read.version),)]) == [CONFLICT]

    def test_writes_of_one_commit_are_applied_together(self, store: Store) -> None:
        assert store.commit_many([(Create(a_progress()), Create(an_effect("x")), Create(an_effect("y")))]) == [APPLIED]
        assert None not in store.get_many(Effect, [an_effect("x").id, an_effect("y").id])

    def test_or_not_at_all(self, store: Store) -> None:
        put(store, an_effect("x"))
        assert store.commit_many([(Create(a_progress()), Create(an_effect("x")))]) == [CONFLICT]
        assert store.get_many(Progress, [a_progress().id]) == [None]

    def test_a_conflict_does_not_fail_its_neighbours(self, store: Store) -> None:
        put(store, a_progress("taken"), an_effect("taken"))
        commits = [
            (Create(a_progress("a")),),
            (Create(a_progress("taken")),),
            (Create(a_progress("b")), Create(an_effect("b"))),
            (Create(a_progress("c")), Create(an_effect("taken"))),
            (Create(a_progress("d")),),
        ]
        assert store.commit_many(commits) == [APPLIED, CONFLICT, APPLIED, CONFLICT, APPLIED]
        ids = [a_progress(name).id for name in "abcd"]
        assert [stored is not None for stored in store.get_many(Progress, ids)] == [True, True, False, True]

    def test_more_commits_than_one_request_takes_are_answered_one_by_one(self, store: Store) -> None:
        put(store, *(a_progress(f"p{number}") for number in range(0, MANY, 7)))
        results = store.commit_many([(Create(a_progress(f"p{number}")),) for number in range(MANY)])
        assert results == [CONFLICT if number % 7 == 0 else APPLIED for number in range(MANY)]

    def test_large_documents_are_spread_over_requests(self, store: Store) -> None:
        large = [a_rejected(f"r{number}", data=random.Random(number).randbytes(700_000)) for number in range(8)]
        put(store, *large)
        found = store.get_many(RejectedEvent, [rejected.id for rejected in large])
        assert [stored and stored.value.data for stored in found] == [rejected.data for rejected in large]


class TestDue:
    @pytest.mark.parametrize("record", [a_progress(), an_effect()], ids=["progress", "effect"])
    def test_is_what_the_shard_must_look_at_until_then_oldest_first(self, store: Store, record: S) -> None:
        due_at = {"late": minutes(2), "early": minutes(0), "at the end": minutes(5), "after": minutes(5.0001)}
        swept = [replace(record, id=f"{name}", shard=3, sweep_at=at) for name, at in due_at.items()]
        other_shard, never = replace(record, id="other", shard=4, sweep_at=NOON), replace(record, id="never")
        put(store, *swept, other_shard, never)
        page = store.due(type(record), 3, since=None, until=minutes(5))
        assert page.after is None and not page.unreadable
        assert [stored.value.id for stored in page.found] == ["early", "late", "at the end"]

    def test_begins_at_the_lower_bound(self, store: Store) -> None:
        put(store, *(replace(a_progress(), id=f"p{at}", shard=0, sweep_at=minutes(at)) for at in range(4)))
        found = store.due(Progress, 0, since=minutes(1), until=minutes(9)).found
        assert [stored.value.id for stored in found] == ["p1", "p2", "p3"]

    def test_a_page_continues_inside_a_moment(self, store: Store) -> None:
        ids = sorted(f"{number}" for number in range(MAX_PAGE + 3))
        put(store, *(replace(a_progress(), id=each, shard=0, sweep_at=NOON) for each in ids))
        first = store.due(Progress, 0, since=NOON, until=NOON)
        second = store.due(Progress, 0, since=NOON, until=NOON, after=first.after)
        assert [stored.value.id for stored in (*first.found, *second.found)] == ids
        assert len(first.found) == MAX_PAGE and second.after is None

    def test_hands_over_what_can_be_updated(self, store: Store) -> None:
        put(store, replace(a_progress(), shard=0, sweep_at=NOON))
        (found,) = store.due(Progress, 0, since=None, until=NOON).found
        settled = replace(found.value, rev=2, sweep_at=None, shard=None)
        assert store.commit_many([(Update(settled, found.version),)]) == [APPLIED]
        assert store.due(Progress, 0, since=None, until=NOON).found == []


class TestQueries:
    def test_listeners_are_the_member_s_progress_that_waits_for_the_event(self, store: Store) -> None:
        both, one = a_progress("both", listens=("paid", "left")), a_progress("one", listens=("paid",))
        none, other = a_progress("none"), replace(a_progress("other", listens=("paid",)), member_key="somebody")
        put(store, both, one, none, other)
        assert store.listeners(MARY, "paid") == sorted([both.id, one.id])
        assert store.listeners(MARY, "left") == [both.id]
        assert store.listeners(MARY, "unheard") == []

    def test_who_stops_to_listen_is_not_found(self, store: Store) -> None:
        put(store, a_progress(listens=("paid",)))
        (read,) = store.get_many(Progress, [a_progress().id])
        assert read
        store.commit_many([(Update(replace(a_progress(), rev=2), read.version),)])
        assert store.listeners(MARY, "paid") == []

    def test_member_events_come_in_the_order_they_occurred(self, store: Store) -> None:
        at = {"c": minutes(1), "b": minutes(2), "a": minutes(2), "before": NOON - timedelta(microseconds=1), "now": NOON}
        put(store, *(a_member_event(name, at=moment) for name, moment in at.items()))
        put(store, a_member_event("other", at=minutes(1), member_id="john"))
        found: list[MemberEvent] = store.member_events(MARY, since=NOON)
        assert [kept.event.id for kept in found] == ["now", "c", "a", "b"]

    def test_journeys_come_by_id(self, store: Store) -> None:
        put(store, *(a_journey(f"{status.value}-{name}", status) for status in JourneyStatus for name in "ba"))
        found = store.journeys([JourneyStatus.PAUSED, JourneyStatus.ONGOING])
        assert [journey.id for journey in found] == ["ONGOING-a", "ONGOING-b", "PAUSED-a", "PAUSED-b"]
        assert store.journeys([]) == []

    def test_journeys_to_end_are_active_and_over(self, store: Store) -> None:
        ends = {"over": minutes(0), "now": minutes(5), "later": minutes(6), "endless": None}
        put(store, *(a_journey(f"{status.value}-{n}", status, ends=at) for status in JourneyStatus for n, at in ends.items()))
        found = store.journeys_to_end(minutes(5))
        assert {stored.value.id for stored in found} == {"ONGOING-over", "ONGOING-now", "PAUSED-over", "PAUSED-now"}

    def test_journeys_to_settle_are_those_with_work_left(self, store: Store) -> None:
        work = Settling(parked=True, started_at=NOON)
        put(store, a_journey("quiet"), *(replace(a_journey(s.value, s), settling=work) for s in JourneyStatus))
        assert {journey.id for journey in store.journeys_to_settle()} == {status.value for status in JourneyStatus}

    def test_live_progress_is_not_terminal(self, store: Store) -> None:
        for parked in (True, False):
            put(store, *(replace(a_progress(), id=f"{status}-{parked}", status=status, parked=parked) for status in Status))
        put(store, a_progress("other", journey_id="other"))
        found = {stored.value.id for stored in store.live_progress("welcome", parked=True)}
        assert found == {"READY-True", "RUNNING-True", "WAITING-True"}
        rest = store.live_progress("welcome", parked=False, after="READY-False")
        assert [stored.value.id for stored in rest] == ["RUNNING-False", "WAITING-False"]

    def test_parked_effects_are_of_one_journey(self, store: Store) -> None:
        parked, other = replace(an_effect("parked"), parked=True), replace(an_effect("other", journey_id="other"), parked=True)
        put(store, parked, other, an_effect("not parked"))
        assert [stored.value for stored in store.parked_effects("welcome")] == [parked]

    def test_what_is_no_longer_parked_is_not_found(self, store: Store) -> None:
        put(store, replace(an_effect(), parked=True))
        (found,) = store.parked_effects("welcome")
        assert store.commit_many([(Update(replace(an_effect(), rev=2), found.version),)]) == [APPLIED]
        assert store.parked_effects("welcome") == []

    def test_a_scan_sees_every_document_of_the_kind(self, store: Store) -> None:
        heads = [a_journey(name) for name in ("a", "summer/2026")]
        versions = [JourneyVersion(head.id, number, "{}", NOON) for head in heads for number in (1, 2)]
        put(store, *heads, *versions, a_progress())
        assert sorted(store.scan(Journey), key=lambda head: head.id) == heads
        assert sorted(store.scan(JourneyVersion), key=lambda version: version.id) == versions
        assert list(store.scan(Effect)) == []
