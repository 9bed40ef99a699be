"""Rules of entries: who may enter, once for an event, within the limits; and a refusal gives a reason that holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sojourn.domain.definition import Definition
from sojourn.domain.effect import EnrollJourney
from sojourn.domain.event import Event
from sojourn.domain.expression import Scope, as_text, compile_expression, scope
from sojourn.domain.history import Refusal
from sojourn.domain.ids import progress_id
from sojourn.domain.journey import Journey, JourneyStatus
from sojourn.domain.node import ApiTrigger, EventTrigger, entry_filter
from sojourn.domain.progress import Progress
from tests.simulation.baton import MINUTE, Task, moment
from tests.simulation.violation import require

if TYPE_CHECKING:
    from tests.simulation.witness import Witness

ENROLLED = "journey.enrolled"


def check_entry(witness: Witness, task: Task | None, entered: Progress) -> None:
    """Somebody enters."""
    name = f"{entered.member_id} enters {entered.journey_id} by {entered.trigger.id}"
    heads = witness.heads_since(entered.journey_id, task)
    open_ones = [head for head in heads if head.status is JourneyStatus.ONGOING and head.version == entered.version]
    require(bool(open_ones), f"{name} while it is not open")
    definition = witness.versions[entered.journey_id][entered.version]
    require(wants(definition, entered.trigger), f"{name}, which no trigger asks for")
    require(entered.entry_key == key_of(definition, entered.trigger), f"{name} with the entry key {entered.entry_key}")
    identifier = progress_id(entered.bot_id, entered.journey_id, entered.member_id, entered.entry_key)
    require(entered.id == identifier and entered.rev == 1 and entered.status == "READY", f"{name}: not as one enters")
    require(entered.since == entered.trigger.occurred_at, f"{name}: since is not when the event occurred")
    earlier = passages_of(witness, entered.journey_id, entered.member_key)
    known = [one for one in earlier if _is_known(witness, one, entered)]
    require(all(one.trigger.id != entered.trigger.id for one in known), f"{name} a second time")
    limit = definition.settings.repeat_journey_times
    require(limit is None or len(known) < limit, f"{name}, more than {limit} times")
    if definition.settings.skips_while_active:
        require(all(one.status.terminal for one in known), f"{name} while on the way already")


def _is_known(witness: Witness, earlier: Progress, entered: Progress) -> bool:
    """All passages are known but those that began by other rules once these were there: by a head from a cache."""
    rules, other = (_entered_as(witness, one).settings.entry_rules for one in (entered, earlier))
    if rules == other:
        return True
    versions = witness.versions[entered.journey_id]
    first = next((n + 1 for n in range(entered.version, 0, -1) if versions[n].settings.entry_rules != rules), 1)
    published = next(at for at, _, head in witness.heads[entered.journey_id] if head.version == first)
    return witness.passages[earlier.id][0][0] < published


def _entered_as(witness: Witness, progress: Progress) -> Definition:
    """The version by which a passage began, or begins."""
    log = witness.passages.get(progress.id)
    return witness.versions[progress.journey_id][log[0][1].version if log else progress.version]


def check_refusal(witness: Witness, task: Task | None, refusal: Refusal) -> None:
    """Somebody is refused: the reason must have held while the task was at it, or a cached head ago."""
    heads = witness.heads_since(refusal.journey_id, task)
    event = event_of(witness, refusal)
    holds = any(_holds(witness, task, refusal, event, head) for head in heads)
    require(holds, f"{event.id} is refused for {refusal.reason}, which does not hold")


def event_of(witness: Witness, refusal: Refusal) -> Event:
    """The event that was refused: one that was published, or the one by which another journey enrolls."""
    published = next((event for _, event in witness.world.published if event.id == refusal.event_id), None)
    if published is not None:
        return published
    payload = witness.effects[refusal.event_id][0][1].payload
    require(isinstance(payload, EnrollJourney), f"{refusal.event_id} was never published")
    assert isinstance(payload, EnrollJourney)
    return Event(refusal.event_id, refusal.event_name, refusal.bot_id, refusal.member_id, refusal.occurred_at, payload.data)


def _holds(witness: Witness, task: Task | None, refusal: Refusal, event: Event, head: Journey) -> bool:
    definition = witness.versions[head.id].get(head.version or 0)
    if definition is None:
        return False
    settings = definition.settings
    earlier = passages_of(witness, head.id, event.member_key)
    began = task.began if task else witness.world.baton.now
    match refusal.reason:
        case "filter":
            return not wants(definition, event)
        case "paused":
            return head.status is JourneyStatus.PAUSED
        case "ended":
            over = settings.schedule_end_at is not None and settings.schedule_end_at <= moment(witness.world.baton.now + MINUTE)
            return head.status is JourneyStatus.ENDED or over
        case "entry_key_missing":
            return key_of(definition, event) is None
        case "entry_key_taken" | "repeat_limit" if any(one.entry_key == key_of(definition, event) for one in earlier):
            return True
        case "repeat_limit":
            return settings.repeat_journey_times is not None and len(earlier) >= settings.repeat_journey_times
        case "already_active":
            return any(_was_live(witness, one.id, began) for one in earlier)
    return False


def _was_live(witness: Witness, progress_id: str, since: int) -> bool:
    """Whether the passage was on the way at any time from then on."""
    log = witness.passages[progress_id]
    ended = next((witness.times[at] for at, one in log if one.status.terminal), None)
    return ended is None or ended >= since


def passages_of(witness: Witness, journey_id: str, member_key: str) -> list[Progress]:
    """The member's passages through the journey, as they stand."""
    latest = [log[-1][1] for log in witness.passages.values()]
    return [one for one in latest if one.journey_id == journey_id and one.member_key == member_key]


def wants(definition: Definition, event: Event) -> bool:
    """Whether a trigger of the journey asks for the event."""
    if event.name == ENROLLED:
        return any(isinstance(node, ApiTrigger) for node in definition.nodes)
    triggers = [node for node in definition.nodes if isinstance(node, EventTrigger) and node.settings.name == event.name]
    if not triggers:
        return False
    condition = entry_filter(triggers[0])
    return condition is None or compile_expression(condition).holds(_seen_by(event)).value is True


def key_of(definition: Definition, event: Event) -> str | None:
    """What tells the passage that the event starts from others of the member."""
    settings = definition.settings
    if settings.entry_key is not None:
        value = compile_expression(settings.entry_key).evaluate(_seen_by(event)).value
        return None if value is None else f"key:{as_text(value)}"  # type: ignore[arg-type]  # a number or a text
    return "1" if settings.repeat_journey_times == 1 else event.id


def _seen_by(event: Event) -> Scope:
    return scope({"event": event.variables(), "trigger": event.variables()})
