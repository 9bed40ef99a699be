"""The operator's desk on the command line: filters, pages, one thing whole, bulk repairs, and what garbage looks like there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sojourn.application.lifecycle import publish_journey
from sojourn.application.records import Commit, CommitResult
from sojourn.domain.audit import AuditEntry
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.errors import Unavailable
from sojourn.domain.journey import RejectedEvent
from sojourn.domain.loading import parse_definition
from sojourn.domain.progress import Progress, Status, Step
from sojourn.runtime.application import InMemory
from tests.api.conftest import WELCOME
from tests.application.conftest import instead
from tests.builders import START, after
from tests.contract.records import NOON, a_progress, a_rejected, an_effect, minutes, put
from tests.emulator.conftest import Command


def dead(name: str, reason: str = "503 from x", *, at: float = 0) -> Effect:
    return replace(an_effect(name), status=EffectStatus.DEAD, reason=reason, created_at=minutes(at))


def stuck(name: str, reason: str = "too large") -> Progress:
    return replace(a_progress(name), status=Status.ERROR, end_reason=reason, trail=(Step("wait", NOON, "error", reason),))


class TestLists:
    def test_what_fits_comes_newest_first_and_what_does_not_by_id_in_pages(self, sojourn: Command, memory: InMemory) -> None:
        put(memory.store, *(dead(f"{number}", at=number) for number in range(5)))
        everything = [effect["created_at"] for effect in sojourn("effects", "list", "--json").json]
        assert everything == sorted(everything, reverse=True) and len(everything) == 5
        found: list[str] = []
        arguments: tuple[str, ...] = ()
        while page := sojourn("effects", "list", "--limit", "2", "--json", *arguments).json:
            found += [effect["id"] for effect in page]
            arguments = ("--after", found[-1])
        assert found == sorted(dead(f"{number}").id for number in range(5))
        assert f"--after {found[1]}" in sojourn("effects", "list", "--limit", "2").out

    def test_a_page_is_full_whatever_it_passes_over(self, sojourn: Command, memory: InMemory) -> None:
        put(memory.store, *(dead(f"{number}", "410 Gone" if number % 7 == 0 else "503") for number in range(30)))
        assert len(sojourn("effects", "list", "--limit", "3", "--reason", "gone", "--json").json) == 3
        assert len(sojourn("effects", "list", "--limit", "9", "--reason", "gone", "--json").json) == 5

    def test_members_in_error_are_found_on_any_journey(self, sojourn: Command, memory: InMemory) -> None:
        put(memory.store, stuck("a"), replace(stuck("b"), journey_id="other"), a_progress("well"))
        assert len(sojourn("progress", "list", "--status", "error", "--json").json) == 2
        assert len(sojourn("progress", "list", "other", "--status", "error", "--json").json) == 1
        assert len(sojourn("progress", "list", "welcome", "--json").json) == 2
        assert len(sojourn("progress", "list", "--status", "error", "--reason", "nothing", "--json").json) == 0

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("progress", "list"), "name a journey, or --status ERROR"),
            (("progress", "list", "--status", "waiting"), "name a journey, or --status ERROR"),
            (("progress", "list", "welcome", "--bot", "shop"), "name a journey, or --status ERROR"),
            (("effects", "list", "--limit", "0"), "--limit"),
            (("effects", "retry-all", "--status", "done"), "'done' is not one of"),
            (("effects", "retry"), "Missing argument"),
            (("rejected", "list", "--status", "lost"), "--status"),
            (("progress", "enroll", "welcome", "ann", "--data", "x"), "'x' is not NAME=VALUE"),
        ],
    )
    def test_wrong_use_is_a_sentence_and_exit_code_2(self, sojourn: Command, arguments: tuple[str, ...], said: str) -> None:
        found = sojourn(*arguments)
        assert (found.code, said in " ".join(found.err.split()), found.out) == (2, True, ""), found.err


class TestOneWhole:
    def test_everything_about_it(self, sojourn: Command, memory: InMemory) -> None:
        put(memory.store, dead("x"), stuck("a"), a_rejected("r"))
        assert '"message": "hello"' in sojourn("effects", "show", dead("x").id).out
        progress = sojourn("progress", "show", stuck("a").id).out
        assert "wait: error, too large" in progress and '"total": 12.5' in progress
        assert "entry: not JSON" in sojourn("rejected", "show", "r").out
        shown = [sojourn(*line.split(), "--json").json["id"] for line in SHOW]
        assert shown == [dead("x").id, stuck("a").id, "r"]

    @pytest.mark.parametrize("kind", ["effects", "progress", "rejected"])
    def test_what_is_not_there(self, sojourn: Command, kind: str) -> None:
        found = sojourn(kind, "show", "nothing")
        assert (found.code, "'nothing'" in found.err) == (1, True)

    def test_what_a_log_entry_says_moves_no_cursor_and_breaks_no_terminal(self, sojourn: Command, memory: InMemory) -> None:
        evil = replace(a_rejected("r", data=b"\x1b[2J\xff[bold]"), detail="\x1b]0;title\x07 [red]‮\ud800 茶")
        put(memory.store, evil)
        for found in (sojourn("rejected", "show", "r"), sojourn("rejected", "list")):
            assert found.code == 0
            assert "\x1b" not in found.out and "\x07" not in found.out and "‮" not in found.out
            assert "[red]" in found.out and "茶" in found.out and "\\u001b]0;title" in found.out


SHOW = (f"effects show {dead('x').id}", f"progress show {stuck('a').id}", "rejected show r")


class TestBulk:
    def test_a_dry_run_a_limit_and_the_rest(self, sojourn: Command, memory: InMemory) -> None:
        put(memory.store, *(dead(f"{number}") for number in range(5)), dead("gone", "410 Gone"))
        assert sojourn("effects", "retry-all", "--dry-run", "--reason", "503").out == (
            "5 would be retried, 1 for another reason, 0 left\n"
        )
        assert sojourn("effects", "retry-all", "--limit", "2").out == "2 retried, 4 left\n"
        assert sojourn("effects", "abandon-all", "--because", "moot", "--json").json == {
            **{"dry_run": False, "done": 4, "overtaken": 0, "other": 0, "left": 0},
            "refused": [],
        }
        assert {effect.status for effect in memory.store.scan(Effect)} == {EffectStatus.PENDING, EffectStatus.SKIPPED}
        assert len(list(memory.store.scan(AuditEntry))) == 6

    def test_many_pages(self, sojourn: Command, memory: InMemory) -> None:
        put(memory.store, *(dead(f"{number}") for number in range(501)))
        assert sojourn("effects", "retry-all").out == "501 retried, 0 left\n"

    def test_members_in_error_and_rejected_events(self, sojourn: Command, memory: InMemory) -> None:
        put(memory.store, stuck("a"), stuck("b", "visited too often"), *(a_rejected(f"r{number}") for number in range(3)))
        assert sojourn("progress", "retry-all", "--reason", "LARGE").out == "1 retried, 1 for another reason, 0 left\n"
        assert sojourn("progress", "abandon-all", "--bot", "shop").out == "1 abandoned, 0 left\n"
        assert sojourn("rejected", "abandon", "r0").out.startswith("r0 is ABANDONED; it is kept until ")
        assert sojourn("rejected", "abandon-all").out == "2 abandoned, 0 left\n"
        assert sojourn("rejected", "list", "--json").json == []

    def test_what_is_refused_is_named_and_exit_code_1(self, sojourn: Command, memory: InMemory) -> None:
        put(memory.store, *(a_rejected(f"r{number:02}") for number in range(30)))
        found = sojourn("rejected", "replay-all")
        assert (found.code, found.out) == (1, "0 replayed, 30 refused, 0 left\n")
        assert found.err.startswith("rejected event r00: rejected: malformed, again\n")
        assert found.err.endswith("… and 10 more\n")

    def test_a_run_that_breaks_off_says_how_far_it_came_and_the_next_one_continues(
        self, sojourn: Command, memory: InMemory
    ) -> None:
        put(memory.store, *(dead(f"{number}") for number in range(450)))
        commit, calls = memory.store.commit_many, list[int]()

        def dies(commits: Sequence[Commit]) -> list[CommitResult]:
            calls.append(len(commits))
            if len(calls) == 2:
                raise Unavailable("Firestore: deadline exceeded")
            return commit(commits)

        memory.store.commit_many = dies  # type: ignore[method-assign]  # a store that is away once
        broken = sojourn("effects", "retry-all")
        assert (broken.code, broken.out) == (1, "200 retried, 250 left\n")
        assert broken.err == "Firestore: deadline exceeded\n"
        assert sojourn("effects", "retry-all").out == "250 retried, 0 left\n"

    def test_ctrl_c_says_how_far_it_came(self, sojourn: Command, memory: InMemory) -> None:
        put(memory.store, *(dead(f"{number}") for number in range(3)))

        def interrupted(_: object) -> list[CommitResult]:
            raise KeyboardInterrupt

        instead(memory.store, "commit_many", interrupted)
        found = sojourn("effects", "retry-all")
        assert (found.code != 0, found.out) == (True, "0 retried\n")
        assert sojourn("effects", "retry-all").out == "3 retried, 0 left\n"


class TestMembers:
    def test_one_in_error_is_abandoned_with_a_reason(self, sojourn: Command, memory: InMemory) -> None:
        put(memory.store, stuck("a"))
        found = sojourn("progress", "abandon", stuck("a").id, "--because", "[moot]")
        assert (found.code, "CANCELED, abandoned by an operator: [moot]" in found.out) == (0, True)
        assert sojourn("progress", "retry", stuck("a").id).code == 1

    def test_an_enrollment_that_is_refused_is_exit_code_1_with_the_word(self, sojourn: Command, memory: InMemory) -> None:
        publish_journey(memory.shop, parse_definition(dict(WELCOME)))
        codes = [sojourn("progress", "enroll", "welcome", "ann", "--event-id", event) for event in ("e1", "e1", "e2")]
        assert [(found.code, found.out) for found in codes] == [
            (0, "ann: entered\n"),
            (0, "ann: duplicate\n"),
            (1, "ann: repeat_limit\n"),
        ]
        canceled = sojourn("progress", "cancel", "welcome", "ann", "--because", "asked by phone", "--json").json
        assert [passage["end_reason"] for passage in canceled] == ["canceled by an operator: asked by phone"]
        assert sojourn("progress", "advance", "welcome", "ann").code == 1


def test_a_dead_letter_is_published_again(sojourn: Command, memory: InMemory) -> None:
    letter = replace(a_rejected("letter"), reason="dead_lettered", topic="journey-enrollments", published_at=after())
    put(memory.store, letter)
    assert "journey-enrollments" in sojourn("rejected", "list").out
    assert sojourn("rejected", "replay", "letter").out == "letter: published\n"
    assert memory.publisher.take("journey-enrollments") == [letter.data]
    assert [one.replayed_at for one in memory.store.scan(RejectedEvent)] == [START]
