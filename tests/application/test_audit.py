"""Audit: every change of a document has its entry in the same commit, and what is more than a document is recorded first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import pytest

from sojourn.application import lifecycle
from sojourn.application.audit import differences, list_entries
from sojourn.application.ingest import reject
from sojourn.application.members import MemberRecord, MemberRow, import_members, put_member
from sojourn.application.operations import advance_member, cancel_member, enroll_member, retry_member
from sojourn.application.records import Commit, CommitResult, Moment, Update
from sojourn.application.repair import (
    abandon_effect,
    abandon_progress,
    abandon_rejected,
    replay_rejected,
    retry_effect,
    retry_progress,
)
from sojourn.application.workshop import Workshop
from sojourn.domain.audit import ENGINE, MAX_STATE_BYTES, AuditEntry, bounded_state
from sojourn.domain.effect import EffectStatus
from sojourn.domain.errors import Changed, NotAllowed, Unavailable
from sojourn.domain.journey import Journey, JourneyStatus, RejectedEvent
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud, MemoryCloud, instead
from tests.builders import BOT, JOURNEY, MEMBER, after, definition, log, wait
from tests.contract.records import an_effect, put

OLGA = "olga@example.com"
DEAD = replace(an_effect("dead"), status=EffectStatus.DEAD, reason="503 from https://line.example")
BY_HAND: dict[str, object] = {"id": "by_hand", "key": "api"}
JOINABLE = definition([BY_HAND, wait()], [("start", "pause"), ("by_hand", "pause"), ("pause", "end")])
RENAMED = JOINABLE.model_copy(update={"name": "Renamed"})
ANN = MemberRecord(bot_id=BOT, member_id=MEMBER, attributes={"age": 30})

HEAD, ANN_S, ON_IT = f"journeys/{JOURNEY}", f"bots/{BOT}/members/{MEMBER}", f"journeys/{JOURNEY}/members/{MEMBER}"
NOW, TOMORROW = "2026-03-02T09:00:00Z", "2026-03-03T09:00:00Z"


def entries(cloud: Cloud, by: str = OLGA) -> list[AuditEntry]:
    """What somebody changed."""
    return [entry for entry in cloud.all(AuditEntry) if entry.principal == by]


def of(text: str | None, field: str) -> object:
    """A field of a state."""
    return json.loads(text)[field] if text is not None else None


def published(cloud: Cloud) -> None:
    lifecycle.publish_journey(cloud.shop, JOINABLE)


def drafted(cloud: Cloud) -> None:
    lifecycle.create_journey(cloud.shop, JOINABLE)


def paused(cloud: Cloud) -> None:
    published(cloud)
    lifecycle.pause(cloud.shop, JOURNEY)


def on_the_way(cloud: Cloud) -> None:
    published(cloud)
    cloud.log(log())
    cloud.hop()


def in_error(cloud: Cloud) -> None:
    on_the_way(cloud)
    (stored,) = cloud.store.get_many(Progress, [cloud.progress.id])
    assert stored is not None
    broken = replace(stored.value, status=Status.ERROR, end_reason="too large", schedule_at=None, sweep_at=None, shard=None)
    cloud.store.commit_many([(Update(broken, stored.version),)])


def dead(cloud: Cloud) -> None:
    put(cloud.store, DEAD)


def rejected(cloud: Cloud) -> None:
    published(cloud)
    reject(cloud.shop, log(), "malformed", "a bug that is mended by now")


def kept(cloud: Cloud) -> str:
    return cloud.only(RejectedEvent).id


def nothing(_: Cloud) -> None:
    pass


Begin: TypeAlias = Callable[[Cloud], None]
Make: TypeAlias = Callable[[Cloud, Workshop], object]
CHANGES: list[tuple[str, str, Begin, Make, str, object, object]] = [
    ("journey.create", HEAD, nothing, lambda _, s: lifecycle.create_journey(s, JOINABLE), "status", None, "DRAFT"),
    ("journey.edit", HEAD, drafted, lambda _, s: lifecycle.edit_journey(s, RENAMED), "name", "A journey", "Renamed"),
    ("journey.publish", HEAD, drafted, lambda _, s: lifecycle.publish(s, JOURNEY), "version", None, 1),
    ("journey.pause", HEAD, published, lambda _, s: lifecycle.pause(s, JOURNEY), "status", "ONGOING", "PAUSED"),
    ("journey.resume", HEAD, paused, lambda _, s: lifecycle.resume(s, JOURNEY), "status", "PAUSED", "ONGOING"),
    ("journey.end", HEAD, published, lambda _, s: lifecycle.end(s, JOURNEY, reason="enough"), "end_reason", None, "enough"),
    ("journey.delete", HEAD, drafted, lambda _, s: lifecycle.delete_journey(s, JOURNEY), "status", "DRAFT", None),
    ("member.put", ANN_S, nothing, lambda _, s: put_member(s, ANN), "attributes", None, {"age": 30}),
    ("member.cancel", ON_IT, on_the_way, lambda _, s: cancel_member(s, JOURNEY, MEMBER), "status", "WAITING", "CANCELED"),
    ("member.advance", ON_IT, on_the_way, lambda _, s: advance_member(s, JOURNEY, MEMBER), "schedule_at", TOMORROW, NOW),
    ("member.retry", ON_IT, in_error, lambda _, s: retry_member(s, JOURNEY, MEMBER), "end_reason", "too large", None),
    ("member.retry", ON_IT, in_error, lambda c, s: retry_progress(s, c.progress.id), "status", "ERROR", "READY"),
    ("member.abandon", ON_IT, in_error, lambda c, s: abandon_progress(s, c.progress.id), "status", "ERROR", "CANCELED"),
    ("effect.retry", "effects/", dead, lambda _, s: retry_effect(s, DEAD.id), "status", "DEAD", "PENDING"),
    ("effect.abandon", "effects/", dead, lambda _, s: abandon_effect(s, DEAD.id), "status", "DEAD", "SKIPPED"),
    ("rejected.replayed", "rejected-", rejected, lambda c, s: replay_rejected(s, kept(c)), "replayed_at", None, NOW),
    ("rejected.abandon", "rejected-", rejected, lambda c, s: abandon_rejected(s, kept(c)), "abandoned_at", None, NOW),
]


@pytest.mark.parametrize(("action", "subject", "begin", "make", "field", "was", "becomes"), CHANGES)
def test_a_change_is_recorded_with_who_what_before_and_after(
    cloud: Cloud, action: str, subject: str, begin: Begin, make: Make, field: str, was: object, becomes: object
) -> None:
    begin(cloud)
    make(cloud, cloud.shop.by(OLGA))
    (entry,) = [entry for entry in entries(cloud) if entry.action != "rejected.replay"]  # which says that it is tried
    assert (entry.action, entry.created_at) == (action, after())
    assert entry.subject.startswith(subject)
    assert (of(entry.before, field), of(entry.after, field)) == (was, becomes)


@pytest.mark.parametrize(("begin", "make"), [change[2:4] for change in CHANGES])
def test_a_change_whose_entry_is_refused_is_not_made(memory_cloud: MemoryCloud, begin: Begin, make: Make) -> None:
    """And it is the entry that stands in the way: the same commit without it would have been applied."""
    cloud = memory_cloud
    begin(cloud)
    before = cloud.documents()
    commit, refused = cloud.store.commit_many, list[str]()

    def without_audit(commits: Sequence[Commit]) -> list[CommitResult]:
        if any(isinstance(write.record, AuditEntry) for each in commits for write in each):
            refused.append("entry")
            return [CommitResult.UNKNOWN] * len(commits)
        return commit(commits)

    cloud.store.commit_many = without_audit  # type: ignore[method-assign]  # a store that takes no entries
    with pytest.raises((Unavailable, Changed)):
        make(cloud, cloud.shop.by(OLGA))
    assert refused
    assert {key: record for key, record in cloud.documents().items() if key[0] != "MemberEvent"} == before


def test_a_change_that_is_not_allowed_is_not_recorded(cloud: Cloud) -> None:
    drafted(cloud)
    with pytest.raises(NotAllowed):
        lifecycle.resume(cloud.shop.by(OLGA), JOURNEY)
    assert entries(cloud) == []


def test_after_a_lost_race_the_entry_tells_what_was_really_replaced(cloud: Cloud) -> None:
    drafted(cloud)

    def overtaken(commits: Sequence[Commit]) -> list[CommitResult]:
        lifecycle.edit_journey(cloud.shop, RENAMED)
        return cloud.store.commit_many(commits)

    instead(cloud.store, "commit_many", overtaken)
    lifecycle.edit_journey(cloud.shop.by(OLGA), JOINABLE)
    (entry,) = entries(cloud)
    assert (of(entry.before, "name"), of(entry.after, "name")) == ("Renamed", "A journey")
    assert of(entry.after, "rev") == cloud.only(Journey).rev == 3


@pytest.mark.parametrize("make", [lifecycle.delete_journey, lifecycle.publish])
@pytest.mark.parametrize("answer", [CommitResult.UNKNOWN, CommitResult.CONFLICT])
def test_a_change_that_was_applied_but_answered_otherwise_is_made_and_recorded_once(
    cloud: Cloud, make: Callable[[Workshop, str], object], answer: CommitResult
) -> None:
    drafted(cloud)

    def lost(commits: Sequence[Commit]) -> list[CommitResult]:
        cloud.store.commit_many(commits)
        return [answer] * len(commits)

    instead(cloud.store, "commit_many", lost)
    make(cloud.shop.by(OLGA), JOURNEY)
    assert len(entries(cloud)) == 1
    assert [head.version for head in cloud.all(Journey)] == ([] if make is lifecycle.delete_journey else [1])


def test_what_the_tick_does_is_the_engine_s(cloud: Cloud) -> None:
    lifecycle.publish_journey(cloud.shop.by(OLGA), definition([wait()], schedule_end_at=after(days=2).isoformat()))
    cloud.at(after(days=2))
    cloud.sweep()
    assert cloud.only(Journey).status is JourneyStatus.ENDED
    (entry,) = entries(cloud, ENGINE)
    assert (entry.action, of(entry.after, "end_reason")) == ("journey.end", "schedule_end_at reached")


def test_what_members_said_and_were_sent_is_in_no_entry(cloud: Cloud) -> None:
    published(cloud)
    cloud.log(log(secret="4711"))
    cloud.hop()
    cancel_member(cloud.shop.by(OLGA), JOURNEY, MEMBER)
    dead(cloud)
    retry_effect(cloud.shop.by(OLGA), DEAD.id)
    told = "".join(f"{entry.before}{entry.after}" for entry in entries(cloud))
    assert "4711" in repr(cloud.progress) and "hello" in repr(DEAD)
    assert "4711" not in told and "hello" not in told


class TestImports:
    """A file of members has two entries, whatever its length."""

    def test_its_counts_are_told(self, cloud: Cloud) -> None:
        rows = [MemberRow(number, {"bot_id": BOT, "member_id": f"m{number}"}) for number in range(1, 451)]
        rows.append(MemberRow(451, {"bot_id": BOT}))
        assert len(list(import_members(cloud.shop.by(OLGA), rows, source="members.csv"))) == 451
        found = {of(entry.after, "over"): entry for entry in entries(cloud)}
        assert found.keys() == {False, True}
        assert {entry.subject for entry in found.values()} == {"members"}
        assert json.loads(found[True].after or "") == {"source": "members.csv", "written": 450, "bad": 1, "over": True}

    def test_one_that_breaks_off_tells_how_far_it_came(self, cloud: Cloud) -> None:
        def rows() -> Iterator[MemberRow]:
            yield from (MemberRow(number, {"bot_id": BOT, "member_id": f"m{number}"}) for number in range(250))
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="disk"):
            list(import_members(cloud.shop.by(OLGA), rows()))
        assert [of(entry.after, "written") for entry in entries(cloud) if of(entry.after, "over")] == [200]

    def test_nothing_is_imported_that_could_not_be_recorded(self, cloud: Cloud) -> None:
        instead(cloud.store, "commit_many", lambda commits: [CommitResult.UNKNOWN] * len(commits))
        with pytest.raises(Unavailable, match="not done"):
            list(import_members(cloud.shop, [MemberRow(1, {"bot_id": BOT, "member_id": MEMBER})]))
        assert cloud.all(Member) == []


def test_an_enrollment_is_recorded_before_anybody_enters(cloud: Cloud) -> None:
    published(cloud)
    instead(cloud.store, "commit_many", lambda commits: [CommitResult.UNKNOWN] * len(commits))
    with pytest.raises(Unavailable, match="could not be recorded"):
        enroll_member(cloud.shop.by(OLGA), JOURNEY, MEMBER, data={}, event_id="e1")
    assert cloud.all(Progress) == []
    enroll_member(cloud.shop.by(OLGA), JOURNEY, MEMBER, data={"sku": 7}, event_id="e1")
    (entry,) = entries(cloud)
    assert (entry.subject, json.loads(entry.after or "")) == (ON_IT, {"event_id": "e1", "data": {"sku": 7}})
    assert cloud.progress.trigger.id == "e1"


def test_entries_come_newest_first_in_pages_that_miss_nothing_also_within_a_moment(cloud: Cloud) -> None:
    for number in range(5):
        cloud.at(after(seconds=number // 2))
        put_member(cloud.shop.by(f"p{number}"), ANN)
    found: list[AuditEntry] = []
    place: Moment | None = None
    while page := list_entries(cloud.shop, subject=ANN_S, after=place, limit=2):
        found += page
        place = (page[-1].created_at, page[-1].id)
    assert [entry.created_at for entry in found] == [after(seconds=number) for number in (2, 1, 1, 0, 0)]
    assert {entry.principal for entry in found} == {f"p{number}" for number in range(5)}
    assert list_entries(cloud.shop, subject="journeys/other", after=None, limit=2) == []


def test_differences_are_the_fields_that_changed(cloud: Cloud) -> None:
    published(cloud)
    lifecycle.pause(cloud.shop.by(OLGA), JOURNEY)
    (entry,) = entries(cloud)
    assert differences(entry) == {
        "status": ("ONGOING", "PAUSED"),
        "paused_at": (None, NOW),
        "rev": (2, 3),
    }


@pytest.mark.parametrize("text", ["x", "茶", "\ud800"])
def test_a_state_that_is_too_large_is_known_by_its_digest(cloud: Cloud, text: str) -> None:
    largest = text * (MAX_STATE_BYTES // len(text.encode("utf-8", "surrogatepass")))
    assert bounded_state(largest) == largest
    put(cloud.store, AuditEntry("both", after(), OLGA, "a", "b", largest, largest))
    assert json.loads(bounded_state(largest + text) or "").keys() == {"bytes", "sha256"}
