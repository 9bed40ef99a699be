"""`sojourn progress`: where members are on their journeys, how they came there, why they did not set out; and moving them."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from sojourn.application import desk, operations
from sojourn.application.audit import read
from sojourn.application.history import Passage, Timeline, list_passages, passage_of, timeline
from sojourn.application.repair import RETRY_PROGRESS, abandon_progress, abandoning_progress, retry_progress
from sojourn.cli.desk import (
    DEFAULT_LIMIT,
    After,
    AtMost,
    Because,
    DryRun,
    OfBot,
    OfJourney,
    Run,
    WithReason,
    page_of,
    repair_all,
    say_more,
    show_whole,
)
from sojourn.cli.local import Json
from sojourn.cli.stores import Limit, pairs, print_json, workshop
from sojourn.cli.tables import cells_of, moment, say, show, timed
from sojourn.domain.progress import Progress, Status
from sojourn.runtime.member_file import read_value

app = typer.Typer(no_args_is_help=True, help="Members on their journeys.", rich_markup_mode=None)
ProgressId = Annotated[str, typer.Argument(metavar="PROGRESS", help="The progress.")]
JourneyId = Annotated[str, typer.Argument(metavar="JOURNEY", help="The journey.")]
MemberId = Annotated[str, typer.Argument(metavar="MEMBER", help="The member of the journey's bot.")]
ENTERED = ("entered", "duplicate")
"""Outcomes of an enrollment after which the member is in, by this event."""


@app.command("show")
def show_timeline(
    bot: Annotated[str, typer.Argument(help="The bot; or, alone, the id of a progress.")],
    member: Annotated[str | None, typer.Argument(help="The member of the bot.")] = None,
    journey: Annotated[str | None, typer.Option(help="Only this journey.")] = None,
    as_json: Json = False,
) -> None:
    """Tell a member's history: every passage with its steps and messages, and the events that started none.

    With the id of a progress: everything about that passage.
    """
    if member is None:
        _show_passage(bot, as_json)
        return
    found = timeline(workshop(), bot, member, journey_id=journey)
    if as_json:
        print_json(found)
    else:
        _print_timeline(found)


@app.command("list")
def list_progress(
    journey: Annotated[str | None, typer.Argument(help="The journey; members in ERROR are found without one.")] = None,
    status: Annotated[Status | None, typer.Option(case_sensitive=False, help="Only members of this status.")] = None,
    node: Annotated[str | None, typer.Option(help="Only members who stand at this node.")] = None,
    bot: OfBot = None,
    reason: WithReason = "",
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List a journey's passages, by id; with --status ERROR those on any journey, of a bot, or for a reason."""
    if journey is not None and not bot and not reason:
        passages = list_passages(workshop(), journey, status=status, node_id=node, after=after, limit=limit)
        beyond = passages[-1].id if len(passages) == limit else None
    elif status is Status.ERROR and node is None:
        page = page_of(desk.members_in_error(journey_id=journey, bot_id=bot, reason=reason), after=after, limit=limit)
        passages, beyond = [passage_of(progress) for progress in page.items], page.after
    else:
        raise typer.BadParameter("name a journey, or --status ERROR: only those are found by bot, by reason, on any journey")
    if as_json:
        print_json(passages)
        return
    columns = ("progress", "member", "journey", "status", "node", "entered (UTC)", "until", "reason")
    show(columns, [_row(passage) for passage in passages])
    say_more(beyond)


@app.command()
def enroll(
    journey: JourneyId,
    member: MemberId,
    data: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; JSON where it reads as JSON, else text.")] = None,
    event_id: Annotated[str | None, typer.Option(help="The same one enters once; without it this is another event.")] = None,
    as_json: Json = False,
) -> None:
    """Let a member in through the journey's `api` trigger; exit code 1 where it does not, with the word for why."""
    given: dict[str, JsonValue] = {name: read_value(value) for name, value in pairs("--data", data).items()}
    outcome = operations.enroll_member(workshop(), journey, member, data=given, event_id=event_id)
    if as_json:
        print_json({"outcome": outcome.code})
    else:
        say(f"{member}: {outcome.code}")
    if outcome.code not in ENTERED:
        raise typer.Exit(1)


@app.command()
def cancel(journey: JourneyId, member: MemberId, because: Because = "", as_json: Json = False) -> None:
    """Take a member off a journey; messages that are not out yet are skipped."""
    _print_passages(operations.cancel_member(workshop(), journey, member, reason=because), as_json)


@app.command()
def advance(journey: JourneyId, member: MemberId, as_json: Json = False) -> None:
    """What the member waits for is due now."""
    _print_passages(operations.advance_member(workshop(), journey, member), as_json)


@app.command()
def retry(progress: ProgressId, as_json: Json = False) -> None:
    """Let a member in ERROR go on from the node where it went wrong."""
    _print_passage(retry_progress(workshop(), progress), as_json)


@app.command()
def abandon(progress: ProgressId, because: Because = "", as_json: Json = False) -> None:
    """Take a member in ERROR off the journey."""
    _print_passage(abandon_progress(workshop(), progress, reason=because), as_json)


@app.command("retry-all")
def retry_all(
    journey: OfJourney = None,
    bot: OfBot = None,
    reason: WithReason = "",
    limit: AtMost = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let every member in ERROR that the filters find go on, all there are without any. Interrupted, run it again."""
    found = desk.members_in_error(journey_id=journey, bot_id=bot, reason=reason)
    repair_all(RETRY_PROGRESS, found, Run(limit, dry_run, as_json))


@app.command("abandon-all")
def abandon_all(
    journey: OfJourney = None,
    bot: OfBot = None,
    reason: WithReason = "",
    because: Because = "",
    limit: AtMost = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take every member in ERROR that the filters find off their journey. Interrupted, run it again."""
    found = desk.members_in_error(journey_id=journey, bot_id=bot, reason=reason)
    repair_all(abandoning_progress(because), found, Run(limit, dry_run, as_json))


def _show_passage(identifier: str, as_json: bool) -> None:
    found = read(workshop(), Progress, identifier).value
    if as_json:
        print_json(to_jsonable_python(found) | {"trace_id": found.trace_id})
    else:
        trail = [
            (moment(step.at), f"{step.node_id}: {', '.join(filter(None, [step.outcome, step.reason]))}") for step in found.trail
        ]
        show_whole(found, title=_summary(passage_of(found)), more=trail)


def _print_passages(found: list[Progress], as_json: bool) -> None:
    if as_json:
        print_json([passage_of(progress) for progress in found])
        return
    for progress in found:
        _print_passage(progress, as_json)


def _print_passage(progress: Progress, as_json: bool) -> None:
    passage = passage_of(progress)
    if as_json:
        print_json(passage)
    else:
        say(f"{passage.bot_id}/{passage.member_id}: {_summary(passage)}")


def _row(passage: Passage) -> tuple[str, ...]:
    where = (passage.id, f"{passage.bot_id}/{passage.member_id}", passage.journey_id, passage.status, passage.node_id or "")
    return (*where, moment(passage.entered_at), moment(passage.schedule_at), passage.end_reason or "")


def _print_timeline(found: Timeline) -> None:
    columns = ("time (UTC)", "journey", "node", "outcome", "reason")
    rows = timed((line.at, (line.journey_id, *cells_of(line))) for line in found.lines)
    show(columns, rows, title=f"{found.bot_id}/{found.member_id}")
    for passage in found.passages:
        say(_summary(passage), style="dim")


def _summary(passage: Passage) -> str:
    goal = passage.goal
    parts = [f"{passage.journey_id} version {passage.version}: {passage.status}"]
    parts += [f"at {passage.node_id}"] if passage.node_id else []
    parts += [f"until {moment(passage.schedule_at)}"] if passage.schedule_at else []
    parts += [passage.end_reason] if passage.end_reason else []
    parts += [f"goal reached{f', revenue {goal.revenue:,.2f}' if goal.revenue is not None else ''}"] if goal else []
    parts += ["older steps are no longer kept"] if passage.trail_is_cut else []
    return ", ".join(parts) + f"  [{passage.id}, trace {passage.trace_id}]"
