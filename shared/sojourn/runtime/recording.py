"""From a member in a store to a golden history of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from sojourn.adapters.firestore_json import to_json
from sojourn.application.records import MAX_PAGE
from sojourn.application.workshop import Workshop
from sojourn.domain.errors import NotFound
from sojourn.domain.event import Event
from sojourn.domain.ids import member_key
from sojourn.domain.journey import JourneyVersion, version_id
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress
from sojourn.runtime.golden import Golden
from sojourn.runtime.pseudonym import Pseudonyms
from sojourn.runtime.replay import probed


def record(shop: Workshop, bot_id: str, member_id: str, *, journey_id: str | None = None, raw: bool = False) -> Golden:
    """The member's newest passage, one that is on the way before one that is over, and the answers to what may come.

    Without `raw` nobody can tell from it who it was. Raises NotFound.
    """
    progress = _passage(shop, bot_id, member_id, journey_id)
    (stored_version,) = shop.store.get_many(JourneyVersion, [version_id(progress.journey_id, progress.version)])
    if stored_version is None:
        raise NotFound(f"no version {progress.version} of journey {progress.journey_id!r}")
    definition: dict[str, JsonValue] = json.loads(stored_version.value.definition)
    (stored_member,) = shop.store.get_many(Member, [progress.member_key])
    member, events = stored_member.value if stored_member else None, _events(shop, progress)
    about = f"version {progress.version} of {progress.journey_id}, {progress.status} at {progress.node_id}"
    if not raw:
        names = Pseudonyms(definition, shop.tokens.token())
        definition, progress = names.journey(), names.progress(progress)
        member, events = member and names.member(member), [names.event(event) for event in events]
    golden = Golden(
        about=about,
        progress_id=progress.id,
        definition=definition,
        member=dict(to_json(member)) if member else None,
        document=dict(to_json(progress)),
    )
    return probed(golden, events)


def _passage(shop: Workshop, bot_id: str, member_id: str, journey_id: str | None) -> Progress:
    found = shop.store.newest(Progress, {"member_key": member_key(bot_id, member_id)}, limit=MAX_PAGE)
    passages = [stored.value for stored in found if journey_id in (None, stored.value.journey_id)]
    if not passages:
        raise NotFound(
            f"member {member_id!r} of bot {bot_id!r} never entered {repr(journey_id) if journey_id else 'a journey'}"
        )
    return min(passages, key=lambda progress: progress.status.terminal)  # of equals the first, which is the newest


def _events(shop: Workshop, progress: Progress) -> Sequence[Event]:
    """What the member did, once more, and of each event that is listened for one that says nothing."""
    kept = shop.store.member_events(progress.member_key, since=progress.trigger.occurred_at)
    again = [replace(one.event, id=f"{one.event.id}-again") for one in kept if one.event.name in progress.listens]
    subject = {"bot_id": progress.bot_id, "member_id": progress.member_id}
    empty = [replace(progress.trigger, id=f"{name}-empty", name=name, data=subject) for name in progress.listens]
    return [*again, *empty]
