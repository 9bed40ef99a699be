"""`sojourn rejected`: log entries of ours that could not be taken, whole, and a second try."""

from __future__ import annotations

from typing import Annotated

import typer

from sojourn.application.records import MAX_PAGE
from sojourn.application.repair import replay_rejected
from sojourn.cli.local import Json
from sojourn.cli.stores import Limit, print_json, workshop
from sojourn.cli.tables import console, moment, show
from sojourn.domain.journey import RejectedEvent

DEFAULT_LIMIT = 50

app = typer.Typer(no_args_is_help=True, help="Log entries that were rejected.", rich_markup_mode=None)


@app.command("list")
def list_rejected(
    everything: Annotated[bool, typer.Option("--all", help="Also those that were taken on a second try.")] = False,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List rejected log entries, the newest first."""
    found = workshop().store.rejected(limit=MAX_PAGE)
    kept = [rejected for rejected in found if everything or rejected.replayed_at is None][:limit]
    if as_json:
        print_json([_as_json(rejected) for rejected in kept])
        return
    columns = ("rejected event", "rejected (UTC)", "replayed", "reason", "detail")
    rows = [(each.id, moment(each.created_at), moment(each.replayed_at), each.reason, each.detail) for each in kept]
    show(columns, rows)


@app.command()
def replay(rejected: Annotated[str, typer.Argument(help="The rejected event.")], as_json: Json = False) -> None:
    """Take a log entry in again, as it came; exit code 1 where it is rejected again."""
    outcome = replay_rejected(workshop(), rejected)
    if as_json:
        print_json({"outcome": outcome.code, "notes": outcome.notes})
    else:
        notes = f" ({', '.join(outcome.notes)})" if outcome.notes else ""
        console().print(f"{rejected}: {outcome.code}{notes}", markup=False)
    if outcome.code == "rejected":
        raise typer.Exit(1)


def _as_json(rejected: RejectedEvent) -> dict[str, object]:
    return {
        "id": rejected.id,
        "reason": rejected.reason,
        "detail": rejected.detail,
        "created_at": rejected.created_at,
        "replayed_at": rejected.replayed_at,
        "data": rejected.data.decode(errors="replace"),
    }
