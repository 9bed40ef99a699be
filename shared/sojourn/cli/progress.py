"""`sojourn progress`: where members are on their journeys, how they came there, and why they did not set out."""

from __future__ import annotations

from typing import Annotated

import typer

from sojourn.application.history import Line, Passage, Timeline, list_passages, passage_of, timeline
from sojourn.application.repair import retry_progress
from sojourn.cli.local import Json
from sojourn.cli.stores import Limit, print_json, workshop
from sojourn.cli.tables import console, moment, show
from sojourn.domain.progress import Status

DEFAULT_LIMIT = 50

app = typer.Typer(no_args_is_help=True, help="Members on their journeys.", rich_markup_mode=None)


@app.command("show")
def show_timeline(
    bot: Annotated[str, typer.Argument(help="The bot.")],
    member: Annotated[str, typer.Argument(help="The member of the bot.")],
    journey: Annotated[str | None, typer.Option(help="Only this journey.")] = None,
    as_json: Json = False,
) -> None:
    """Tell a member's history: every passage with its steps and messages, and the events that started none."""
    found = timeline(workshop(), bot, member, journey_id=journey)
    if as_json:
        print_json(found)
    else:
        _print_timeline(found)


@app.command("list")
def list_progress(
    journey: Annotated[str, typer.Argument(help="The journey.")],
    status: Annotated[Status | None, typer.Option(case_sensitive=False, help="Only members of this status.")] = None,
    node: Annotated[str | None, typer.Option(help="Only members who stand at this node.")] = None,
    after: Annotated[str | None, typer.Option(help="Go on after this progress.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List a journey's passages, by id."""
    found = list_passages(workshop(), journey, status=status, node_id=node, after=after, limit=limit)
    if as_json:
        print_json(found)
        return
    columns = ("progress", "member", "status", "node", "entered (UTC)", "until", "reason")
    show(columns, [_row(passage) for passage in found])
    if len(found) == limit:
        console().print(f"there may be more: --after {found[-1].id}", style="dim")


@app.command()
def retry(progress: Annotated[str, typer.Argument(help="The progress.")], as_json: Json = False) -> None:
    """Let a member in ERROR go on from the node where it went wrong."""
    passage = passage_of(retry_progress(workshop(), progress))
    if as_json:
        print_json(passage)
    else:
        console().print(f"{passage.member_id} is {passage.status} at {passage.node_id}", markup=False)


def _row(passage: Passage) -> tuple[str, ...]:
    where = (passage.id, f"{passage.bot_id}/{passage.member_id}", passage.status, passage.node_id or "")
    return (*where, moment(passage.entered_at), moment(passage.schedule_at), passage.end_reason or "")


def _print_timeline(found: Timeline) -> None:
    columns = ("time (UTC)", "journey", "node", "outcome", "reason")
    rows = [_line(line, before) for before, line in zip((None, *found.lines), found.lines, strict=False)]
    show(columns, rows, title=f"{found.bot_id}/{found.member_id}")
    for passage in found.passages:
        console().print(_summary(passage), markup=False, style="dim", soft_wrap=True)


def _line(line: Line, before: Line | None) -> tuple[str, ...]:
    when = "" if before is not None and moment(before.at) == moment(line.at) else moment(line.at)
    outcome = f"refused: {line.outcome}" if line.what == "refused" else line.outcome
    return when, line.journey_id, line.node_id or "", outcome, line.reason or ""


def _summary(passage: Passage) -> str:
    goal = passage.goal
    parts = [f"{passage.journey_id} version {passage.version}: {passage.status}"]
    parts += [f"at {passage.node_id}"] if passage.node_id else []
    parts += [f"until {moment(passage.schedule_at)}"] if passage.schedule_at else []
    parts += [passage.end_reason] if passage.end_reason else []
    parts += [f"goal reached{f', revenue {goal.revenue:,.2f}' if goal.revenue is not None else ''}"] if goal else []
    parts += ["older steps are no longer kept"] if passage.trail_is_cut else []
    return ", ".join(parts) + f"  [{passage.id}]"
