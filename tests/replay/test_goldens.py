"""No change of code breaks a journey that is already running: what the engine answered to members in flight it answers today.

Where a difference is meant, `python -m tests.replay` writes it down.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path

import pytest

from sojourn.domain.outline import KINDS
from sojourn.domain.progress import Status
from sojourn.runtime.golden import Golden, read_golden, write_golden
from sojourn.runtime.replay import answered, states
from tests.replay.files import goldens
from tests.replay.journeys import SCRIPTS

GOLDENS = {path.stem: read_golden(path.read_text()) for path in goldens()}
ON_RECORD, NOW = "on record", "the engine now"
CONTEXT_LINES = 12


def difference(golden: Golden) -> str:
    """Line by line what is answered otherwise, with what it was asked; nothing where all is as it was."""
    then, now = (write_golden(one).splitlines() for one in (golden, answered(golden)))
    return "\n".join(difflib.unified_diff(then, now, ON_RECORD, NOW, lineterm="", n=CONTEXT_LINES))


@pytest.mark.parametrize("name", GOLDENS)
def test_every_member_in_flight_gets_the_answers_that_are_on_record(name: str) -> None:
    found = difference(GOLDENS[name])
    assert found == "", f"{name}.json: {GOLDENS[name].about}\n{found}"


@pytest.mark.parametrize("path", goldens(), ids=lambda path: path.stem)
def test_a_golden_is_written_as_it_is_read(path: Path) -> None:
    assert write_golden(read_golden(path.read_text())) == path.read_text()


def test_every_script_has_its_golden() -> None:
    assert set(SCRIPTS) <= set(GOLDENS)


def test_there_are_members_in_flight_at_every_kind_of_node_and_of_every_status() -> None:
    found = [state for golden in GOLDENS.values() for state in states(golden)]
    at = {state.definition.by_id[state.progress.node_id].key for state in found if state.progress.node_id is not None}
    assert at == set(KINDS)
    assert {state.progress.status for state in found} == set(Status)
    assert {(state.progress.awaits is not None, state.progress.parked) for state in found} >= {(True, False), (False, True)}


def test_everything_that_can_be_done_to_a_member_is_done_and_every_stimulus_comes() -> None:
    hops = [hop for golden in GOLDENS.values() for hop in (*golden.hops, *golden.probes)]
    assert {hop.action.do for hop in hops} == {"advance", "park", "unpark", "extend", "migrate", "fail", "retry"}
    kinds = {kind for hop in hops if hop.action.do == "advance" for stimulus in hop.action.stimuli for kind in stimulus}
    assert kinds == {"resume", "due", "event", "effect_finished", "cancel"}


def test_every_kind_of_effect_comes_of_them() -> None:
    effects = [one for golden in GOLDENS.values() for hop in golden.hops for one in hop.effects.values()]
    kinds = {json.dumps(effect["payload"]["mapValue"]["fields"]["kind"]) for effect in effects}  # type: ignore[index, call-overload]
    assert len(kinds) == 5
