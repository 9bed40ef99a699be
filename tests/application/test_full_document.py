"""A progress that Firestore takes no more of: refused, not lost. Its message dies of that, and the letter puts it in ERROR."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sojourn.application.dead_letters import GIVE_UP_AFTER, drain
from sojourn.application.messages import RUNS_TOPIC, RunMessage
from sojourn.application.ports import DeadLetter
from sojourn.application.records import CommitResult, Stored, Update
from sojourn.domain.progress import Progress, Status, Step
from tests.application.conftest import Cloud
from tests.builders import START, after, definition, log, send, wait

pytestmark = [pytest.mark.emulators, pytest.mark.slow]

DOCUMENT_BYTES = 1_048_576
STEP_BYTES = 20_000


def stored_of(cloud: Cloud) -> Stored[Progress]:
    (stored,) = cloud.store.get_many(Progress, [cloud.progress.id])
    assert stored is not None
    return stored


def fill(cloud: Cloud) -> None:
    """Trail and context so large that not one more step has room."""
    steps = tuple(Step("start", START, "entered", "x" * STEP_BYTES) for _ in range(40))
    fits, fails = 0, DOCUMENT_BYTES
    while fails - fits > 16:
        size = (fits + fails) // 2
        stored = stored_of(cloud)
        full = replace(stored.value, trail=steps, context={"start": {"x": "x" * size}}, token=f"{size}")
        (result,) = cloud.store.commit_many([(Update(full, stored.version),)])
        fits, fails = (size, fails) if result is CommitResult.APPLIED else (fits, size)


def test_a_member_whose_document_is_full_is_put_in_error_and_the_trail_makes_way(emulators_cloud: Cloud) -> None:
    cloud = emulators_cloud
    cloud.publish(definition([wait(duration="1m"), send()]))
    cloud.log(log())
    cloud.hop()
    fill(cloud)
    cloud.at(after(minutes=2))
    run = RunMessage(progress_id=cloud.progress.id, rev=cloud.progress.rev)
    assert [outcome.retry for outcome in cloud.hop(run)] == [True]
    for minutes in range(5, 60):
        cloud.at(after(minutes=minutes))
        cloud.sweep()
        if cloud.progress.sweep_count == GIVE_UP_AFTER:
            break
    letter = DeadLetter("1", RUNS_TOPIC, "run_journey", 20, after(minutes=2), run.to(RUNS_TOPIC).data)
    assert [outcome.code for outcome in drain(cloud.shop, [letter])] == ["error"]
    failed = cloud.progress
    assert failed.status is Status.ERROR and failed.schedule_at == after(minutes=1)
    assert [step.outcome for step in failed.trail] == ["error"]
