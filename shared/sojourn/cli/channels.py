"""`sojourn channels`: which channels rest, why and until when; and the reset of one that was set right."""

from __future__ import annotations

from typing import Annotated

import typer

from sojourn.application.breaker import ChannelStatus, list_channels, reset_channel
from sojourn.cli.local import Json
from sojourn.cli.stores import print_json, workshop
from sojourn.cli.tables import console, moment, show

app = typer.Typer(no_args_is_help=True, help="Channels and their circuit breakers.", rich_markup_mode=None)


@app.command("list")
def list_all(as_json: Json = False) -> None:
    """List channels, those that rest first; of webhooks each host that was in trouble."""
    found = list_channels(workshop())
    if as_json:
        print_json(found)
        return
    columns = ("channel", "state", "rests until (UTC)", "since (UTC)", "why")
    show(columns, [_row(status) for status in found])


@app.command()
def reset(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name as the list shows it, or its id.")],
    as_json: Json = False,
) -> None:
    """Trust a channel again at once; what was put off comes back when it was told to."""
    status = reset_channel(workshop(), channel)
    if as_json:
        print_json(status)
    else:
        console().print(f"channel {status.channel} is {status.state}", markup=False)


def _row(status: ChannelStatus) -> tuple[str, ...]:
    return status.channel, status.state.value, moment(status.until), moment(status.since), status.reason or ""
