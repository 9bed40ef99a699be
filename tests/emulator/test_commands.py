"""The commands that look into a cloud: what they print, as text and as JSON, and their exit codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import pause, publish_journey
from sojourn.application.messages import EFFECTS_TOPIC, RUNS_TOPIC, EffectMessage, RunMessage
from sojourn.application.perform_effects import perform_effects
from sojourn.application.records import Update
from sojourn.application.run_journeys import run_journeys
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress, Status
from sojourn.runtime.application import InMemory
from tests.builders import BOT, JOURNEY, MEMBER, after, definition, log, send, wait
from tests.emulator.conftest import Command

JOURNEY_OF_TWO = definition([send(), wait()], goal={"event": "order", "revenue": "event.data.total"})


def play(memory: InMemory, of: Definition = JOURNEY_OF_TWO) -> None:
    """Ann and Bob set out and are greeted; Ann comes again, which is refused."""
    publish_journey(memory.shop, of)
    ingest(memory.shop, [log(), log(member="bob"), log(id="again")])
    run_journeys(memory.shop, [RunMessage.model_validate_json(data) for data in memory.publisher.take(RUNS_TOPIC)])
    perform_effects(memory.shop, [EffectMessage.model_validate_json(data) for data in memory.publisher.take(EFFECTS_TOPIC)])


def kill(memory: InMemory) -> Effect:
    """One of the messages is DEAD."""
    (stored, *_) = memory.store.newest(Effect, {"status": EffectStatus.DONE})
    dead = replace(stored.value, status=EffectStatus.DEAD, reason="no answer")
    memory.store.commit_many([(Update(dead, stored.version),)])
    return dead


class TestMembers:
    def test_put_and_show(self, sojourn: Command) -> None:
        options = ("--attribute", "age=30", "--attribute", "name=Ann", "--address", "line=U1", "--timezone", "Asia/Taipei")
        put = sojourn("members", "put", BOT, MEMBER, *options, "--json")
        assert (put.code, put.json["attributes"]) == (0, {"age": 30, "name": "Ann"})
        shown = sojourn("members", "show", BOT, MEMBER)
        assert shown.code == 0
        assert "attributes.age" in shown.out and "Asia/Taipei" in shown.out and "addresses.line" in shown.out

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (("show", BOT, "nobody"), 1, "no member 'nobody'"),
            (("put", BOT, MEMBER, "--timezone", "Mars/One"), 2, "timezone: 'Mars/One' is no IANA time zone"),
            (("put", BOT, MEMBER, "--attribute", "age"), 2, "'age' is not NAME=VALUE"),
            (("put", BOT, MEMBER, "--rev", "7"), 1, "at revision 0, not 7"),
            (("import", "missing.csv"), 2, "does not exist"),
        ],
    )
    def test_wrong_use_is_a_sentence(self, sojourn: Command, arguments: tuple[str, ...], code: int, said: str) -> None:
        found = sojourn("members", *arguments)
        assert (found.code, said in " ".join(found.err.split()), found.out) == (code, True, "")

    def test_import_keeps_good_rows_and_names_bad_ones(self, sojourn: Command, memory: InMemory, tmp_path: Path) -> None:
        file = tmp_path / "members.csv"
        file.write_text("bot_id,member_id,timezone\nb,ann,UTC\nb,bob,Mars/One\nb,,UTC\nb,dan,UTC\n", encoding="utf-8")
        found = sojourn("members", "import", str(file))
        assert (found.code, found.out) == (2, "2 rows written, 2 bad\n")
        first, second = found.err.splitlines()
        assert first.startswith(f"{file}:3: timezone: 'Mars/One'") and second.startswith(f"{file}:4: member_id: ")
        assert {member.member_id for member in memory.store.scan(Member)} == {"ann", "dan"}

    def test_import_of_json_lines_in_json(self, sojourn: Command, tmp_path: Path) -> None:
        file = tmp_path / "members.jsonl"
        file.write_text('{"bot_id": "b", "member_id": "ann"}\n[]\n', encoding="utf-8")
        found = sojourn("members", "import", str(file), "--json")
        assert (found.code, found.json["written"]) == (2, 1)
        (bad,) = found.json["bad"]
        assert (bad["line"], bad["faults"][0]["message"]) == (2, "not a JSON object but []")

    def test_a_good_file_is_exit_code_0_and_bytes_that_are_no_text_2(self, sojourn: Command, tmp_path: Path) -> None:
        file = tmp_path / "members.jsonl"
        file.write_text('{"bot_id": "b", "member_id": "ann"}\n', encoding="utf-8")
        assert sojourn("members", "import", str(file)).code == 0
        file.write_bytes(b"\xff\n")
        found = sojourn("members", "import", str(file))
        assert found.code == 2 and "not UTF-8" in found.err


class TestProgress:
    def test_show_tells_the_history(self, sojourn: Command, memory: InMemory) -> None:
        play(memory)
        found = sojourn("progress", "show", BOT, MEMBER)
        assert found.code == 0
        for word in ("entered", "event joined", "refused: repeat_limit", "message over mailbox", "until 2026-03-03"):
            assert word in found.out
        lines = sojourn("progress", "show", BOT, MEMBER, "--journey", JOURNEY, "--json").json["lines"]
        assert [line["what"] for line in lines] == ["entered", "refused", "step", "step", "effect"]

    def test_every_way_to_show_a_passage_names_its_trace(self, sojourn: Command, memory: InMemory) -> None:
        play(memory)
        trace = next(one for one in memory.store.scan(Progress) if one.member_id == MEMBER).trace_id
        (passage,) = sojourn("progress", "show", BOT, MEMBER, "--json").json["passages"]
        assert passage["trace_id"] == sojourn("progress", "show", passage["id"], "--json").json["trace_id"] == trace
        assert all(f"trace {trace}" in sojourn("progress", "show", *who).out for who in ((BOT, MEMBER), (passage["id"],)))

    def test_list_by_status_and_node(self, sojourn: Command, memory: InMemory) -> None:
        play(memory)
        listed = sojourn("progress", "list", JOURNEY, "--status", "waiting", "--node", "pause", "--json").json
        assert {passage["member_id"] for passage in listed} == {"ann", "bob"}
        assert sojourn("progress", "list", JOURNEY, "--status", "ended", "--json").json == []
        page = sojourn("progress", "list", JOURNEY, "--limit", "1")
        assert "there may be more: --after" in page.out

    def test_retry(self, sojourn: Command, memory: InMemory) -> None:
        play(memory)
        (stored, *_) = memory.store.find(Progress, {"journey_id": JOURNEY})
        wrong = sojourn("progress", "retry", stored.value.id)
        assert wrong.code == 1 and "is WAITING: only ERROR can be retried" in wrong.err
        broken = replace(stored.value, status=Status.ERROR, end_reason="too large", schedule_at=None)
        memory.store.commit_many([(Update(broken, stored.version),)])
        assert sojourn("progress", "retry", stored.value.id, "--json").json["status"] == "READY"

    def test_nobody_is_exit_code_1_and_an_unknown_status_2(self, sojourn: Command) -> None:
        assert sojourn("progress", "show", BOT, "nobody").code == 1
        assert sojourn("progress", "list", JOURNEY, "--status", "lost").code == 2


class TestEffects:
    def test_list_retry_and_abandon(self, sojourn: Command, memory: InMemory) -> None:
        play(memory)
        dead = kill(memory)
        assert "no answer" in sojourn("effects", "list").out
        (listed,) = sojourn("effects", "list", "--json").json
        assert (listed["id"], listed["payload"]["channel"], "token" in listed) == (dead.id, "mailbox", False)
        assert sojourn("effects", "retry", dead.id).out == f"{dead.id} is PENDING\n"
        again = sojourn("effects", "retry", dead.id)
        assert again.code == 1 and "is PENDING" in again.err

    def test_abandon(self, sojourn: Command, memory: InMemory) -> None:
        play(memory)
        found = sojourn("effects", "abandon", kill(memory).id, "--because", "[moot]", "--json")
        assert (found.json["status"], found.json["reason"]) == ("SKIPPED", "abandoned by an operator: [moot]")
        assert sojourn("effects", "list", "--status", "done", "--json").json[0]["status"] == "DONE"

    def test_what_is_not_there(self, sojourn: Command) -> None:
        assert sojourn("effects", "retry", "nothing").code == 1


class TestRejected:
    def test_list_and_replay(self, sojourn: Command, memory: InMemory) -> None:
        publish_journey(memory.shop, JOURNEY_OF_TWO)
        ingest(memory.shop, [log(at=after(days=1))])
        (listed,) = sojourn("rejected", "list", "--json").json
        assert listed["reason"] == "future" and "support_journey" in listed["data"]
        assert sojourn("rejected", "replay", listed["id"]).code == 1
        memory.clock.set(after(days=1))
        replayed = sojourn("rejected", "replay", listed["id"], "--json")
        assert (replayed.code, replayed.json["notes"]) == (0, ["entered"])
        assert sojourn("rejected", "list", "--json").json == []
        assert listed["id"] in sojourn("rejected", "list", "--status", "replayed").out

    def test_what_is_not_there(self, sojourn: Command) -> None:
        assert sojourn("rejected", "replay", "nothing").code == 1


class TestReport:
    def test_a_tree_with_counts(self, sojourn: Command, memory: InMemory) -> None:
        play(memory)
        found = sojourn("journeys", "report", JOURNEY)
        assert found.code == 0
        for word in ("ONGOING: 2 entered, 2 on the way, 0 off it", "2 sent", "2 waiting", "2026-03-02", "repeat_limit"):
            assert word in found.out

    def test_as_json(self, sojourn: Command, memory: InMemory) -> None:
        play(memory)
        found = sojourn("journeys", "report", JOURNEY, "--json").json
        assert (found["trigger"], found["in_progress"], found["exit"], found["revenue"]) == (2, 2, 0, 0.0)
        assert found["versions"]["1"]["trigger"] == 2 and found["nodes"][1]["effects"]["sent"] == 2

    def test_nodes_that_only_older_versions_have_are_shown_apart(self, sojourn: Command, memory: InMemory) -> None:
        play(memory)
        pause(memory.shop, JOURNEY)
        publish_journey(memory.shop, definition([send("second")]))
        out = sojourn("journeys", "report", JOURNEY).out
        assert "of older versions" in out and "version  entered" in out
        assert out.index("second") < out.index("of older versions") < out.index("pause")

    def test_all_journeys_together(self, sojourn: Command, memory: InMemory) -> None:
        play(memory)
        assert sojourn("journeys", "report", "--json").json["passages_triggered"] == 2
        assert "bots that published a journey" in sojourn("journeys", "report").out

    def test_no_journey(self, sojourn: Command) -> None:
        found = sojourn("journeys", "report", "nowhere")
        assert (found.code, "no journey 'nowhere'" in found.err) == (1, True)
