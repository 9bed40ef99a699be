"""`sojourn audit`: who changed what, through whichever door, and what the engine changed by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from pydantic import JsonValue

from sojourn.application.audit import differences, list_entries
from sojourn.application.records import Moment
from sojourn.application.workshop import Workshop
from sojourn.cli.desk import DEFAULT_LIMIT, After, say_more
from sojourn.cli.local import Json
from sojourn.cli.stores import Limit, print_json, workshop
from sojourn.cli.tables import moment, show
from sojourn.domain.audit import AuditEntry
from sojourn.domain.errors import NotFound

MAX_SHOWN = 4
MAX_VALUE_CHARACTERS = 40
UNTOLD = {"rev", "updated_at"}
"""They change with every change."""

app = typer.Typer(no_args_is_help=True, help="Who changed what.", rich_markup_mode=None)


@app.command("list")
def list_audit(
    subject: Annotated[str | None, typer.Option(help="Only about this, such as journeys/welcome or effects/ID.")] = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List changes, the newest first; --json has each thing before and after."""
    shop = workshop()
    found = list_entries(shop, subject=subject, after=_place(shop, after), limit=limit)
    if as_json:
        print_json(found)
        return
    show(("time (UTC)", "who", "what", "about", "change"), [_row(entry) for entry in found])
    say_more(found[-1].id if len(found) == limit else None)


def _place(shop: Workshop, identifier: str | None) -> Moment | None:
    if identifier is None:
        return None
    stored = shop.store.get_many(AuditEntry, [identifier])[0]
    if stored is None:
        raise NotFound(f"no audit entry {identifier!r}")
    return stored.value.created_at, stored.value.id


def _row(entry: AuditEntry) -> tuple[str, ...]:
    told = list(_told(entry))
    more = f", and {len(told) - MAX_SHOWN} more" if len(told) > MAX_SHOWN else ""
    return moment(entry.created_at), entry.principal, entry.action, entry.subject, ", ".join(told[:MAX_SHOWN]) + more


def _told(entry: AuditEntry) -> Iterator[str]:
    for name, (before, after) in differences(entry).items():
        if name in UNTOLD or (before or after) in (None, [], {}, ""):
            continue
        yield f"{name} {_change(before, after)}"


def _change(before: JsonValue, after: JsonValue) -> str:
    if after is None:
        return f"was {_short(before)}"
    return f"{_short(before)} → {_short(after)}" if before is not None else _short(after)


def _short(value: JsonValue) -> str:
    text = f"{value}"
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}…"
