"""Goldens bite: an engine or a codec with one thing wrong is found by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from sojourn.adapters import firestore_codec
from sojourn.adapters.firestore_values import JSON
from sojourn.domain import engine, ids, sleep, visit, walk
from sojourn.domain.event import Event
from sojourn.domain.progress import Progress, Status
from tests.replay.test_goldens import GOLDENS, difference

Patch = Callable[[pytest.MonkeyPatch], None]


def another_path(patch: pytest.MonkeyPatch) -> None:
    """The last path is taken where it should be the first."""
    leave = walk.Walk.leave
    patch.setattr(
        walk.Walk, "leave", lambda self, outcome, *, index=0, reason=None: leave(self, outcome, index=index ^ 1, reason=reason)
    )


def waits_from_since(patch: pytest.MonkeyPatch) -> None:
    """A wait is counted from when its cause happened, not from when the member came to it."""

    def wait(found: walk.Walk, moment: datetime, outcome: str, reason: str | None = None) -> None:
        wait_until(found, moment - (found.now - found.since), outcome, reason)

    wait_until = walk.Walk.wait_until
    patch.setattr(walk.Walk, "wait_until", wait)


def events_before_the_wait(patch: pytest.MonkeyPatch) -> None:
    """What happened before the member began to wait counts too."""
    receive = engine._receive

    def changed(found: walk.Walk, event: Event) -> None:
        found.since = found.before.trigger.occurred_at
        receive(found, event)

    patch.setattr(engine, "_receive", changed)


def dice(patch: pytest.MonkeyPatch) -> None:
    """Splits throw other dice."""
    patch.setattr(visit, "fraction", lambda *parts: 1 - ids.fraction(*parts))


def effect_without_visit(patch: pytest.MonkeyPatch) -> None:
    """A loop's second message has the id of the first."""
    patch.setattr(visit, "effect_id", lambda progress, node, number: ids.derived_id("effect", progress, node, 1, 0))


def events_count_again(patch: pytest.MonkeyPatch) -> None:
    """An event counts again and again."""
    patch.setattr(walk.Walk, "consume", lambda self, event: None)


def stays_at_the_node(patch: pytest.MonkeyPatch) -> None:
    """A member who left keeps the node where they were."""
    finish = walk.Walk.finish

    def changed(found: walk.Walk, status: Status, reason: str | None) -> None:
        node = found.node_id
        finish(found, status, reason)
        found.node_id = node

    patch.setattr(walk.Walk, "finish", changed)


def sleeps_by_the_journey(patch: pytest.MonkeyPatch) -> None:
    """The sleep window hangs in the journey's zone, whoever the member is."""
    patch.setattr(visit, "sleeps_until", lambda settings, member, now: sleep.sleeps_until(settings, None, now))


def pause_is_not_added(patch: pytest.MonkeyPatch) -> None:
    """A wait that a pause interrupted is as long as it was."""
    patch.setattr(
        "sojourn.runtime.replay.extended",
        lambda progress, *, resume, now, **_: replace(progress, extended=resume, updated_at=now),
    )


def migrated_waits_begin_anew(patch: pytest.MonkeyPatch) -> None:
    """Whoever waits when a newer version is published waits for another day."""
    migrate = engine.migrate

    def changed(*given: Any, now: datetime, **named: Any) -> Progress:
        moved = migrate(*given, now=now, **named)
        return replace(moved, schedule_at=now + timedelta(days=1)) if moved.schedule_at else moved

    patch.setattr("sojourn.runtime.replay.migrate", changed)


def renamed_field(patch: pytest.MonkeyPatch) -> None:
    """A document's field is called otherwise, and nobody wrote a migration."""
    shape = firestore_codec._SHAPES[Progress]
    patch.setattr(shape, "_readers", {("awaited" if name == "awaits" else name): read for name, read in shape._readers.items()})


def other_form(patch: pytest.MonkeyPatch) -> None:
    """The trail is written in another form than it was."""
    shape = firestore_codec._SHAPES[Progress]
    writers = [(name, get, JSON.write if name == "consumed" else write) for name, get, write in shape._writers]
    patch.setattr(shape, "_writers", writers)


MUTATIONS: tuple[Patch, ...] = (
    another_path,
    waits_from_since,
    events_before_the_wait,
    dice,
    effect_without_visit,
    events_count_again,
    stays_at_the_node,
    sleeps_by_the_journey,
    pause_is_not_added,
    migrated_waits_begin_anew,
    renamed_field,
    other_form,
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_an_engine_with_one_thing_wrong_answers_otherwise(mutation: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    assert any(difference(golden) for golden in GOLDENS.values())
