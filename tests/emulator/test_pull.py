"""Workers on Google's emulators: whole passages in pull mode, every message twice, one worker killed on the way."""

from __future__ import annotations

import os
import signal

import pytest

from bench.local import Bench, only, running
from bench.reference import START, WAIT, log_line
from sojourn.application.messages import EVENTS_TOPIC, SWEEPS_TOPIC
from sojourn.domain.progress import Progress, Status

MEMBERS = 120
FUNCTIONS = ("ingest", "run_journey", "sweep")

pytestmark = [pytest.mark.emulators, pytest.mark.slow]


def statuses(bench: Bench) -> dict[str, Status]:
    """Where each member is; a member who entered twice would be there twice."""
    found = list(bench.shop.store.scan(Progress))
    assert len({progress.member_id for progress in found}) == len(found)
    return {progress.member_id: progress.status for progress in found}


def test_members_enter_once_wait_and_end_though_lines_come_twice_and_a_worker_is_killed() -> None:
    with running(only(*FUNCTIONS, ack_deadline_seconds=10).pulled(*FUNCTIONS)) as bench:  # what a kill leaves comes soon
        assert {address.url for address in bench.cloud.addresses.functions.values()} == {""}
        bench.seconds(EVENTS_TOPIC, [log_line(number) for number in range(MEMBERS)] * 2)
        assert statuses(bench) == {f"m{number}": Status.WAITING for number in range(MEMBERS)}
        bench.cloud.kill("run_journey")
        bench.move_to(START + WAIT)
        bench.seconds(SWEEPS_TOPIC, [b"{}"])
        assert set(statuses(bench).values()) == {Status.ENDED}


def test_a_worker_that_is_asked_to_stop_ends_by_itself() -> None:
    with running(only("ingest").pulled("ingest")) as bench:
        bench.seconds(EVENTS_TOPIC, [log_line(0)])
        worker = bench.cloud._functions["ingest"][1].child
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.wait(30)
        assert worker.exit_code == 0
