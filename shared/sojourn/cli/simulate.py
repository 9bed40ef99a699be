"""`sojourn journeys simulate`: what a journey would do with a member, before it is published; a file needs no cloud."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from emulator.journey_tree import journey_tree
from sojourn.application.history import describe_effect
from sojourn.cli.local import Json
from sojourn.cli.stores import print_json, workshop
from sojourn.cli.tables import cells_of, console, local, show, timed
from sojourn.domain.action import content_of
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.domain.errors import DefinitionInvalid, InputError
from sojourn.domain.expression import as_text
from sojourn.domain.moment import format_duration
from sojourn.domain.progress import Progress, Status
from sojourn.domain.strict_json import read_json
from sojourn.runtime.api.simulate import simulation_view
from sojourn.runtime.definition_file import load_definition, load_document
from sojourn.runtime.rehearsal import Rehearsal, rehearse, rehearse_stored
from sojourn.runtime.script import Script, read_script

FILE_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_HEARD = {"signaled": "heard", "unwanted": "nobody listens"}
_EVENT = re.compile(r"(?P<name>[^@=]*)(?:@(?P<when>[^=]*))?(?:=(?P<data>.*))?", re.DOTALL)


def simulate(
    journey: Annotated[str, typer.Argument(metavar="FILE|JOURNEY", help="A definition, or the id of a journey in the cloud.")],
    member: Annotated[
        str | None, typer.Option(help="JSON or a file: member_id, attributes, timezone, locale; or the id of a real member.")
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[@WHEN][=JSON]", help="With WHEN what is logged later; without, what starts."),
    ] = None,
    events: Annotated[
        Path | None, typer.Option(help="YAML or JSON: what is logged later, as a list; or a whole script.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="When it starts; without a time zone on the member's clock.")] = None,
    until: Annotated[str | None, typer.Option(help="When to stop: a moment, or a duration since the start.")] = None,
    timezone: Annotated[str | None, typer.Option(help="The member's, such as Europe/Berlin.")] = None,
    as_json: Json = False,
) -> None:
    """Play a member through a journey: where they go, when, what is sent. Nothing is written, nothing goes out.

    WHEN is a moment, or a duration since the start: --event 'mail.opened@2h={"link": 3}'. A script is what the API takes: also
    version, trigger, results (what channels answer, by node) and members (how many alike, to see how branches divide them).
    Exit code 1 where the member does not enter, or ends in ERROR.
    """
    raw = _read_events(events) if events is not None else {}
    raw |= _read_member(member) if member is not None else {}
    raw |= {name: value for name, value in (("at", at), ("until", until)) if value is not None}
    _add_events(raw, event or [])
    if timezone is not None:
        _move(raw, timezone, real=not _is_file(journey))
    found = _rehearse(journey, read_script(raw))
    if as_json:
        print_json(simulation_view(found))
    else:
        _print(found)
    if found.entry.outcome != "entered" or any(passage.status is Status.ERROR for passage in found.passages):
        raise typer.Exit(1)


def _rehearse(journey: str, script: Script) -> Rehearsal:
    if not _is_file(journey):
        return rehearse_stored(workshop(), journey, script)
    return rehearse(load_definition(Path(journey)), script, now=datetime.now(UTC))


def _is_file(text: str) -> bool:
    return Path(text).suffix.lower() in FILE_SUFFIXES or Path(text).is_file()


def _read_events(path: Path) -> dict[str, Any]:
    found = _read_file(path)
    return {"events": found} if isinstance(found, list) else _mapping(found, f"{path}: neither a list of events nor a script")


def _read_member(text: str) -> dict[str, Any]:
    """Who it is, and unless that is a real member what is known of them."""
    if text.lstrip().startswith("{"):
        known = _read_json(text, option="--member")
    elif _is_file(text):
        known = _read_file(Path(text))
    else:
        return {"member_id": text, "member": None}
    member = _mapping(known, f"--member {text}: not an object with attributes, timezone, locale")
    return {"member_id": member.pop("member_id", None), "member": member}


def _move(raw: dict[str, Any], timezone: str, *, real: bool) -> None:
    """Give a member who is made up another time zone."""
    known = raw.get("member")
    if real and known is None and raw.get("member_id") is not None:
        raise InputError(
            f"--timezone: member {raw['member_id']!r} is a real one, who has a time zone; or give --member as JSON"
        )
    raw["member"] = {**_mapping(known or {}, "member: not an object"), "timezone": timezone}


def _add_events(raw: dict[str, Any], given: list[str]) -> None:
    """The one without a moment starts; the others come after those of the file."""
    events = [_read_event(text) for text in given]
    starting = [event for event in events if not event.keys() & {"at", "after"}]
    if len(starting) > 1:
        names = " and ".join(event["name"] for event in starting)
        raise InputError(f"--event: {names} cannot both start; write NAME@WHEN for what comes later")
    later = [event for event in events if event not in starting]
    if starting:
        raw["event"] = starting[0]
    if later:
        raw["events"] = [*_list(raw.get("events", []), "events: not a list"), *later]


def _read_event(text: str) -> dict[str, Any]:
    parts = _EVENT.fullmatch(text)
    assert parts is not None, "every text has a name, an empty one at worst"
    event: dict[str, Any] = {"name": parts["name"]}
    if parts["when"] is not None:
        event["at" if re.match(r"\d{4}-", parts["when"]) else "after"] = parts["when"]
    if parts["data"] is not None:
        event["data"] = _read_json(parts["data"], option=f"--event {parts['name']}")
    return event


def _read_file(path: Path) -> Any:
    """JSON values; a date that YAML reads as one becomes text again."""
    try:
        return to_jsonable_python(load_document(path))
    except DefinitionInvalid as error:
        raise InputError("\n".join(f"{path}: {str(fault).removeprefix(f'{path}: ')}" for fault in error.faults)) from error


def _read_json(text: str, *, option: str) -> JsonValue:
    try:
        return read_json(text)
    except ValueError as error:
        raise InputError(f"{option}: not JSON ({error}): {text:.80}") from error


def _mapping(value: Any, otherwise: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(otherwise)
    return value


def _list(value: Any, otherwise: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(otherwise)
    return value


def _print(found: Rehearsal) -> None:
    zone, entry, out = found.zone, found.entry, console()
    heard = [(one.at, ("", f"{one.name}: {_HEARD.get(one.outcome, one.outcome)}", one.why or "")) for one in found.heard]
    told = [*heard, *((line.at, cells_of(line)) for line in found.lines)]
    rows = timed(sorted(told, key=lambda row: row[0]), lambda at: local(at, zone))
    title = f"{found.definition.name}, version {found.version}, with {found.member.member_id}"
    show((f"time in {zone.key}", "node", "outcome", "reason"), rows, title=title)
    if found.effects:
        out.print()
        show(("asked for", "node", "what", "became", "content"), timed(_effects(found), lambda at: local(at, zone)))
    out.print()
    if len(found.crowd) > len(found.passages):
        out.print(journey_tree(found.definition, found.crowd))
    if entry.outcome != "entered":
        out.print(": ".join(filter(None, ["does not enter", entry.outcome, entry.why])), markup=False, soft_wrap=True)
    for passage in found.passages:
        out.print(_end(passage, found), markup=False, soft_wrap=True)
    for warning in (*found.warnings, *_stopped(found)):
        out.print(warning, style="yellow", markup=False, soft_wrap=True)


def _effects(found: Rehearsal) -> list[tuple[datetime, tuple[str, ...]]]:
    return [
        (one.created_at, (one.node_id, describe_effect(one), _became(one, found), as_text(content_of(one.payload))))
        for one in found.effects
    ]


def _became(effect: Effect, found: Rehearsal) -> str:
    later = effect.status is EffectStatus.DONE and effect.updated_at != effect.created_at
    when = f" {local(effect.updated_at, found.zone)}" if later else ""
    return f"{effect.status.lower()}{when}{f': {effect.reason}' if effect.reason else ''}"


def _end(passage: Progress, found: Rehearsal) -> str:
    """Where a passage is when the rehearsal is over, and since when or until when."""
    parts = [passage.status.value, *([f"at {passage.node_id}"] if passage.node_id else [])]
    if passage.ended_at is not None:
        parts.append(f"after {format_duration(passage.ended_at - passage.created_at)}")
    elif passage.schedule_at is not None:
        parts.append(f"until {local(passage.schedule_at, found.zone)}")
    goal = passage.goal
    revenue = f", revenue {goal.revenue:,.2f}" if goal is not None and goal.revenue is not None else ""
    return (
        " ".join(parts)
        + (f": {passage.end_reason}" if passage.end_reason else "")
        + (f", goal reached{revenue}" if goal else "")
    )


def _stopped(found: Rehearsal) -> list[str]:
    match found.stopped:
        case "over":
            return []
        case "until":
            return [f"the rehearsal stopped on {local(found.stopped_at, found.zone)}"]
        case "limit":
            return [f"the rehearsal gave up on {local(found.stopped_at, found.zone)}: so much happens that it may never end"]
