"""`sojourn rejected`: what came in and could not be taken, whole; a second try, or no more of it."""

from __future__ import annotations

from typing import Annotated

import typer

from sojourn.application import desk
from sojourn.application.audit import read
from sojourn.application.repair import ABANDON_REJECTED, NOT_TAKEN, REPLAY, abandon_rejected, replay_rejected
from sojourn.cli.desk import (
    DEFAULT_LIMIT,
    After,
    AtMost,
    DryRun,
    Run,
    WithReason,
    page_of,
    repair_all,
    say_more,
    show_whole,
)
from sojourn.cli.local import Json
from sojourn.cli.stores import Limit, print_json, workshop
from sojourn.cli.tables import moment, say, show
from sojourn.domain.journey import RejectedEvent, RejectedStatus

app = typer.Typer(
    no_args_is_help=True, help="Log entries that were rejected, messages that were dead-lettered.", rich_markup_mode=None
)
RejectedId = Annotated[str, typer.Argument(metavar="REJECTED", help="The rejected event.")]


@app.command("list")
def list_rejected(
    status: Annotated[
        RejectedStatus, typer.Option(case_sensitive=False, help="Those that nobody has dealt with, or that somebody has.")
    ] = RejectedStatus.OPEN,
    reason: WithReason = "",
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List rejected events: the newest first where all fit, else by id."""
    page = page_of(desk.rejected_events(status, reason=reason), after=after, limit=limit)
    if as_json:
        print_json([_as_json(rejected) for rejected in page.items])
        return
    columns = ("rejected event", "rejected (UTC)", "topic", "reason", "detail")
    show(columns, [(each.id, moment(each.created_at), each.topic, each.reason, each.detail) for each in page.items])
    say_more(page.after)


@app.command("show")
def show_one(rejected: RejectedId, as_json: Json = False) -> None:
    """Show a rejected event whole, as it came."""
    found = read(workshop(), RejectedEvent, rejected).value
    if as_json:
        print_json(_as_json(found))
    else:
        show_whole(found, title=f"{found.status}", more=[("data", found.data.decode(errors="replace"))])


@app.command()
def replay(rejected: RejectedId, as_json: Json = False) -> None:
    """Take a rejected event in again, as it came; exit code 1 where it is rejected again."""
    outcome = replay_rejected(workshop(), rejected)
    if as_json:
        print_json({"outcome": outcome.code, "notes": outcome.notes})
    else:
        notes = f" ({', '.join(outcome.notes)})" if outcome.notes else ""
        say(f"{rejected}: {outcome.code}{notes}")
    if outcome.code in NOT_TAKEN:
        raise typer.Exit(1)


@app.command()
def abandon(rejected: RejectedId, as_json: Json = False) -> None:
    """No longer list it; it stays until it expires."""
    found = abandon_rejected(workshop(), rejected)
    if as_json:
        print_json(_as_json(found))
    else:
        say(f"{found.id} is {found.status}; it is kept until {moment(found.expire_at)} UTC")


@app.command("replay-all")
def replay_all(reason: WithReason = "", limit: AtMost = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Take in again every rejected event that the filter finds. Interrupted, run it again."""
    repair_all(REPLAY, desk.rejected_events(reason=reason), Run(limit, dry_run, as_json))


@app.command("abandon-all")
def abandon_all(reason: WithReason = "", limit: AtMost = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """No longer list any rejected event that the filter finds. Interrupted, run it again."""
    repair_all(ABANDON_REJECTED, desk.rejected_events(reason=reason), Run(limit, dry_run, as_json))


def _as_json(rejected: RejectedEvent) -> dict[str, object]:
    fields = ("id", "status", "topic", "reason", "detail", "created_at", "replayed_at", "abandoned_at", "expire_at")
    return {**{name: getattr(rejected, name) for name in fields}, "data": rejected.data.decode(errors="replace")}
