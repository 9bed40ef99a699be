"""The operator's desk: filters find what they say, and a bulk repair does each thing once, whatever happens in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from sojourn.application import desk
from sojourn.application.desk import Repaired, Selection, repair_page, select
from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC
from sojourn.application.records import Commit, CommitResult, Update
from sojourn.application.repair import (
    ABANDON_REJECTED,
    REPLAY,
    RETRY_EFFECT,
    RETRY_PROGRESS,
    B,
    Repair,
    abandon_effect,
    abandoning_effects,
    abandoning_progress,
    retry_effect,
)
from sojourn.domain.audit import AuditEntry
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.errors import Unavailable
from sojourn.domain.journey import RejectedEvent, RejectedStatus
from sojourn.domain.progress import Progress, Status
from tests.application.conftest import Cloud, instead
from tests.builders import after, definition, log, wait
from tests.contract.records import a_progress, a_rejected, an_effect, put

DEAD_EFFECTS = desk.effects(EffectStatus.DEAD)


def dead(name: str, *, journey_id: str = "welcome", bot_id: str = "shop", reason: str = "503 from x") -> Effect:
    effect = an_effect(name, journey_id=journey_id)
    return replace(effect, status=EffectStatus.DEAD, bot_id=bot_id, reason=reason, attempts=5)


def stuck(name: str, *, journey_id: str = "welcome", bot_id: str = "shop", reason: str = "too large") -> Progress:
    progress = a_progress(name, journey_id=journey_id)
    return replace(progress, status=Status.ERROR, bot_id=bot_id, end_reason=reason)


def run(cloud: Cloud, repair: Repair[B], selection: Selection[B], *, limit: int = 2, dry_run: bool = False) -> list[Repaired]:
    """Page after page until there is none."""
    pages = [repair_page(cloud.shop, repair, selection, limit=limit, dry_run=dry_run)]
    while pages[-1].after is not None:
        pages.append(repair_page(cloud.shop, repair, selection, after=pages[-1].after, limit=limit, dry_run=dry_run))
    return pages


def done(pages: Sequence[Repaired]) -> int:
    return sum(page.done for page in pages)


def retried(cloud: Cloud) -> Counter[str]:
    """How often the audit tells of each effect's retry."""
    return Counter(entry.subject for entry in cloud.all(AuditEntry) if entry.action == "effect.retry")


def die_again(cloud: Cloud) -> None:
    """Whatever was retried is dead once more."""
    pending = [effect.id for effect in cloud.all(Effect) if effect.status is EffectStatus.PENDING]
    for stored in cloud.store.get_many(Effect, pending):
        assert stored is not None
        effect = replace(stored.value, status=EffectStatus.DEAD, sweep_at=None, shard=None)
        cloud.store.commit_many([(Update(effect, stored.version),)])


class TestSelections:
    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({}, {"a", "b", "c", "d"}),
            ({"journey_id": "welcome"}, {"a", "b"}),
            ({"bot_id": "cafe"}, {"c", "d"}),
            ({"journey_id": "welcome", "bot_id": "cafe"}, set()),
            ({"reason": "GONE"}, {"b", "d"}),
            ({"journey_id": "other", "reason": "gone"}, {"d"}),
            ({"journey_id": "nowhere"}, set()),
        ],
    )
    def test_all_filters_hold(self, cloud: Cloud, filters: dict[str, str], found: set[str]) -> None:
        given = {
            "a": ("welcome", "shop", "503 from x"),
            "b": ("welcome", "shop", "410 Gone from x"),
            "c": ("other", "cafe", "503 from x"),
            "d": ("other", "cafe", "410 Gone from x"),
        }
        effects = {name: dead(name, journey_id=j, bot_id=b, reason=r) for name, (j, b, r) in given.items()}
        members = {name: stuck(name, journey_id=j, bot_id=b, reason=r) for name, (j, b, r) in given.items()}
        put(cloud.store, *effects.values(), *members.values(), an_effect("pending"), a_progress("waiting"))
        page = select(cloud.shop, desk.effects(EffectStatus.DEAD, **filters), after=None, limit=9)
        assert {effect.id for effect in page.items} == {effects[name].id for name in found}
        others = select(cloud.shop, desk.members_in_error(**filters), after=None, limit=9)
        assert {progress.id for progress in others.items} == {members[name].id for name in found}

    def test_a_page_may_be_empty_and_yet_not_the_last(self, cloud: Cloud) -> None:
        put(cloud.store, *(dead(name) for name in "abc"))
        first = select(cloud.shop, desk.effects(EffectStatus.DEAD, reason="no such thing"), after=None, limit=2)
        assert (first.items, first.after is not None) == ([], True)
        last = select(cloud.shop, desk.effects(EffectStatus.DEAD, reason="no such thing"), after=first.after, limit=2)
        assert (last.items, last.after) == ([], None)

    def test_rejected_events_by_what_became_of_them_and_by_reason_or_detail(self, cloud: Cloud) -> None:
        replayed = replace(a_rejected("replayed"), replayed_at=after())
        abandoned = replace(a_rejected("abandoned"), abandoned_at=after())
        put(cloud.store, a_rejected("open"), replayed, abandoned)
        found = {
            status: [one.id for one in select(cloud.shop, desk.rejected_events(status), after=None, limit=9).items]
            for status in RejectedStatus
        }
        assert found == {"OPEN": ["open"], "REPLAYED": ["replayed"], "ABANDONED": ["abandoned"]}
        assert select(cloud.shop, desk.rejected_events(reason="not json"), after=None, limit=9).items
        assert not select(cloud.shop, desk.rejected_events(reason="too large"), after=None, limit=9).items


class TestPages:
    def test_every_one_is_done_once_and_says_how_many_are_left(self, cloud: Cloud) -> None:
        put(cloud.store, *(dead(f"{number}") for number in range(5)))
        pages = run(cloud, RETRY_EFFECT, DEAD_EFFECTS)
        assert [(page.done, page.left) for page in pages] == [(2, 3), (2, 1), (1, 0)]
        assert {effect.status for effect in cloud.all(Effect)} == {EffectStatus.PENDING}
        assert len(cloud.waiting(EFFECTS_TOPIC)) == 5
        assert set(retried(cloud).values()) == {1} and len(retried(cloud)) == 5

    def test_a_last_page_that_is_full_is_the_last(self, cloud: Cloud) -> None:
        put(cloud.store, *(dead(f"{number}") for number in range(4)))
        assert [(page.done, page.left, page.after is None) for page in run(cloud, RETRY_EFFECT, DEAD_EFFECTS)] == [
            (2, 2, False),
            (2, 0, True),
        ]

    def test_nothing_to_do_is_done(self, cloud: Cloud) -> None:
        assert run(cloud, RETRY_EFFECT, DEAD_EFFECTS) == [Repaired(0, 0, (), 0, 0, None)]

    def test_a_dry_run_counts_and_changes_nothing(self, cloud: Cloud) -> None:
        put(cloud.store, *(dead(f"{number}") for number in range(3)), dead("other", reason="410 Gone"))
        before = cloud.documents()
        pages = run(cloud, RETRY_EFFECT, desk.effects(EffectStatus.DEAD, reason="503"), dry_run=True)
        assert (done(pages), sum(page.other for page in pages)) == (3, 1)
        assert cloud.documents() == before and cloud.waiting(EFFECTS_TOPIC) == []

    def test_those_of_another_reason_are_passed_over(self, cloud: Cloud) -> None:
        put(cloud.store, *(dead(f"{number}") for number in range(3)), dead("other", reason="410 Gone"))
        assert done(run(cloud, abandoning_effects("too late"), desk.effects(EffectStatus.DEAD, reason="gone"))) == 1
        (abandoned,) = [effect for effect in cloud.all(Effect) if effect.status is EffectStatus.SKIPPED]
        assert (abandoned.id, abandoned.reason) == (dead("other").id, "abandoned by an operator: too late")

    def test_one_that_dies_again_meanwhile_is_not_done_twice(self, cloud: Cloud) -> None:
        """Or a run against a receiver that is down would never end."""
        put(cloud.store, *(dead(f"{number}") for number in range(5)))
        page, rounds = repair_page(cloud.shop, RETRY_EFFECT, DEAD_EFFECTS, limit=2), 1
        while page.after is not None:
            die_again(cloud)
            page, rounds = repair_page(cloud.shop, RETRY_EFFECT, DEAD_EFFECTS, after=page.after, limit=2), rounds + 1
        assert rounds == 3 and len(retried(cloud)) == 5 and set(retried(cloud).values()) == {1}

    def test_members_go_on_and_leave(self, cloud: Cloud) -> None:
        put(cloud.store, stuck("a"), stuck("b", reason="visited too often"))
        assert done(run(cloud, RETRY_PROGRESS, desk.members_in_error(reason="large"))) == 1
        assert done(run(cloud, abandoning_progress(), desk.members_in_error())) == 1
        status = {progress.id: (progress.status, progress.end_reason) for progress in cloud.all(Progress)}
        assert status[stuck("a").id] == (Status.READY, None)
        assert status[stuck("b").id] == (Status.CANCELED, "abandoned by an operator: visited too often")
        assert [message["progress_id"] for message in cloud.waiting(RUNS_TOPIC)] == [stuck("a").id]

    def test_what_is_rejected_again_is_refused_and_stays(self, cloud: Cloud) -> None:
        cloud.publish(definition([wait()]))
        cloud.log(log(at=after(days=1)), b'{"jsonPayload": {"metadata": {"support_journey": true}}}')
        cloud.at(after(days=1))
        pages = run(cloud, REPLAY, desk.rejected_events())
        assert done(pages) == 1
        ((refused,),) = [page.refused for page in pages if page.refused]
        (kept,) = select(cloud.shop, desk.rejected_events(), after=None, limit=9).items
        assert (refused.id, "rejected: malformed, again" in refused.why) == (kept.id, True)
        assert cloud.progress.member_id == "ann"

    def test_abandoned_ones_are_no_longer_found_but_there_until_they_expire(self, cloud: Cloud) -> None:
        put(cloud.store, *(a_rejected(f"{number}") for number in range(3)))
        assert done(run(cloud, ABANDON_REJECTED, desk.rejected_events())) == 3
        assert select(cloud.shop, desk.rejected_events(), after=None, limit=9).items == []
        assert {(one.abandoned_at, one.expire_at) for one in cloud.all(RejectedEvent)} == {(after(), a_rejected("").expire_at)}


class TestTwoAtOnce:
    def test_each_does_what_the_other_has_not(self, cloud: Cloud) -> None:
        """The other run overtakes between the query and the commit."""
        put(cloud.store, *(dead(f"{number}") for number in range(3)))

        def overtaken(commits: Sequence[Commit]) -> list[CommitResult]:
            retry_effect(cloud.shop, commits[0][0].record.id)
            return cloud.store.commit_many(commits)

        instead(cloud.store, "commit_many", overtaken)
        page = repair_page(cloud.shop, RETRY_EFFECT, DEAD_EFFECTS)
        assert (page.done, page.overtaken, page.refused) == (2, 1, ())
        assert set(retried(cloud).values()) == {1} and len(retried(cloud)) == 3
        assert len(cloud.waiting(EFFECTS_TOPIC)) == 3

    def test_of_a_retry_and_an_abandoning_one_holds(self, cloud: Cloud) -> None:
        put(cloud.store, dead("a"))

        def overtaken(commits: Sequence[Commit]) -> list[CommitResult]:
            abandon_effect(cloud.shop, dead("a").id)
            return cloud.store.commit_many(commits)

        instead(cloud.store, "commit_many", overtaken)
        assert repair_page(cloud.shop, RETRY_EFFECT, DEAD_EFFECTS).done == 0
        assert cloud.only(Effect).status is EffectStatus.SKIPPED
        assert cloud.waiting(EFFECTS_TOPIC) == []


class TestKilled:
    def test_before_the_messages_the_sweep_sends_them(self, cloud: Cloud) -> None:
        put(cloud.store, *(dead(f"{number}") for number in range(3)))
        instead(cloud.shop.publisher, "publish_many", _die)
        with pytest.raises(Unavailable):
            run(cloud, RETRY_EFFECT, DEAD_EFFECTS)
        cloud.at(after(minutes=5))
        cloud.sweep()
        assert len(cloud.waiting(EFFECTS_TOPIC)) == 2

    def test_in_the_middle_a_new_run_continues(self, cloud: Cloud) -> None:
        put(cloud.store, *(dead(f"{number}") for number in range(5)))

        def half(commits: Sequence[Commit]) -> list[CommitResult]:
            cloud.store.commit_many(commits[:1])
            raise Unavailable("killed")

        instead(cloud.store, "commit_many", half)
        with pytest.raises(Unavailable):
            run(cloud, RETRY_EFFECT, DEAD_EFFECTS)
        assert done(run(cloud, RETRY_EFFECT, DEAD_EFFECTS)) == 4
        assert set(retried(cloud).values()) == {1} and len(retried(cloud)) == 5


def _die(*_: object) -> list[bool]:
    raise Unavailable("killed")
