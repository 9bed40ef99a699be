"""A rehearsal of the shop's journeys is what the whole cloud in one process makes of the same log lines, step for step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from emulator.in_process import InProcessCloud
from emulator.local_cloud import EVENTS_TOPIC, TICK_TOPIC
from emulator.scenarios.shop import FOLDER
from sojourn.application.lifecycle import publish_journey
from sojourn.application.members import MemberRecord, put_member
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect
from sojourn.domain.event import Event, write_log_entry
from sojourn.domain.progress import Progress
from sojourn.runtime.definition_file import load_definition
from sojourn.runtime.rehearsal import rehearse
from sojourn.runtime.script import read_script

BEGIN = datetime.fromisoformat("2026-03-02T20:30:00Z")
STEP = timedelta(minutes=30)
"""Everything in the stories below happens on a half hour, so that the cloud's clock meets each moment."""
DAYS = 12

Happening = tuple[float, str, Mapping[str, JsonValue]]
"""So many hours after the beginning, the event, its data."""
ONBOARDING: list[list[Happening]] = [
    [],
    [(1, "order.completed", {"total": 12})],
    [(48, "profile.completed", {"favourite": "oolong"}), (60, "order.completed", {"total": 30})],
    [(30, "account.closed", {})],
    [(5, "member.joined", {}), (200, "order.completed", {"total": 5})],
]
CARTS: list[list[Happening]] = [
    [(1, "cart.updated", {"cart_id": "c-1", "items": 2, "total": 20}), (20, "order.completed", {"cart_id": "c-2", "total": 9})],
    [(3, "order.completed", {"cart_id": "c-1", "total": 20})],
    [(2, "cart.updated", {"cart_id": "c-2", "items": 1, "total": 8}), (40, "order.completed", {"cart_id": "c-1", "total": 20})],
]
STORIES = [
    *(("onboarding.yaml", "member.joined", {}, story) for story in ONBOARDING),
    *(("abandoned_cart.yaml", "cart.updated", {"cart_id": "c-1", "items": 1, "total": 20}, story) for story in CARTS),
]
MEMBERS = [("ann", "Europe/Berlin"), ("mei", "Asia/Taipei")]


def played(of: Definition, member: MemberRecord, happenings: list[Happening]) -> tuple[list[Progress], list[Effect]]:
    """What the functions make of it, half hour by half hour."""
    with InProcessCloud(BEGIN) as cloud:
        publish_journey(cloud.memory.shop, of)
        put_member(cloud.memory.shop, member)
        for number in range(int(timedelta(days=DAYS) / STEP)):
            now = BEGIN + number * STEP
            cloud.move_to(now)
            for index, (hours, name, data) in enumerate(happenings):
                if BEGIN + timedelta(hours=hours) == now:
                    event = Event(f"e-{index}", name, of.bot_id, member.member_id, now, data)
                    cloud.publish(EVENTS_TOPIC, [write_log_entry(event)])
            cloud.publish(TICK_TOPIC, [b"{}"])
        return list(cloud.memory.store.scan(Progress)), list(cloud.memory.store.scan(Effect))


def seen(progress: Progress) -> tuple[Any, ...]:
    goal = (progress.goal.at, progress.goal.revenue) if progress.goal else None
    return progress.id, progress.trail, progress.status, progress.end_reason, goal, progress.visits, progress.ended_at


def done(effect: Effect) -> tuple[Any, ...]:
    return effect.id, effect.node_id, effect.payload, effect.status, effect.created_at, effect.updated_at, effect.reason


@pytest.mark.slow
@pytest.mark.parametrize(("member_id", "timezone"), MEMBERS)
@pytest.mark.parametrize(("file", "name", "data", "story"), STORIES)
def test_a_rehearsal_is_what_the_cloud_does(
    file: str, name: str, data: dict[str, JsonValue], story: list[Happening], member_id: str, timezone: str
) -> None:
    of = load_definition(Path(FOLDER) / file)
    known: dict[str, JsonValue] = {"attributes": {"first_name": "Ann"}, "timezone": timezone}
    later = [{"name": name, "after": f"{int(hours * 60)}m", "data": given} for hours, name, given in story]
    script = {"member_id": member_id, "member": known, "at": BEGIN.isoformat(), "event": {"data": data}, "events": later}
    found = rehearse(of, read_script({**script, "until": f"{DAYS}d"}), now=BEGIN)
    member = MemberRecord.model_validate({"bot_id": of.bot_id, "member_id": member_id, **known})
    progress, effects = played(of, member, [(0, name, data), *story])
    assert found.passages
    assert sorted(map(seen, found.passages)) == sorted(map(seen, progress))
    assert sorted(map(done, found.effects)) == sorted(map(done, effects))
