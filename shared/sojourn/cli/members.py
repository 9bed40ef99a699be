"""`sojourn members`: what is known of people, one by one or from a file."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, TextIO

import typer
from pydantic import JsonValue
from rich import progress
from rich.console import Console

from sojourn.application.members import RowResult, get_member, import_members, parse_member, put_member
from sojourn.cli.local import Json
from sojourn.cli.stores import pairs, print_json, workshop
from sojourn.cli.tables import moment, show
from sojourn.domain.errors import InputError
from sojourn.domain.member import Member
from sojourn.runtime.member_file import read_members, read_value

app = typer.Typer(no_args_is_help=True, help="Members: attributes, time zone, addresses.", rich_markup_mode=None)
Bot = Annotated[str, typer.Argument(help="The bot.")]
MemberId = Annotated[str, typer.Argument(help="The member of the bot.")]


@app.command("show")
def show_member(bot: Bot, member: MemberId, as_json: Json = False) -> None:
    """Show a member."""
    _print(get_member(workshop(), bot, member), as_json)


@app.command()
def put(
    bot: Bot,
    member: MemberId,
    attribute: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; JSON where it reads as JSON, else text.")] = None,
    address: Annotated[list[str] | None, typer.Option(help="CHANNEL=ADDRESS.")] = None,
    timezone: Annotated[str | None, typer.Option(help="An IANA name, such as Asia/Taipei.")] = None,
    locale: Annotated[str | None, typer.Option(help="Such as zh-TW.")] = None,
    rev: Annotated[int | None, typer.Option(min=0, help="Only if the member is at this revision; 0: only if new.")] = None,
    as_json: Json = False,
) -> None:
    """Create a member, or replace all that is known of one."""
    attributes = {name: read_value(value) for name, value in pairs("--attribute", attribute).items()}
    fields: dict[str, JsonValue] = {"bot_id": bot, "member_id": member, "attributes": attributes}
    fields |= {"timezone": timezone, "locale": locale, "addresses": {**pairs("--address", address)}}
    _print(put_member(workshop(), parse_member(fields), rev=rev), as_json)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV (.csv) or JSON lines (.jsonl).", dir_okay=False, exists=True)],
    as_json: Json = False,
) -> None:
    """Merge members from a file: fields that are given are set, all others stay; null removes an attribute.

    CSV columns: bot_id, member_id, timezone, locale, attributes.NAME, addresses.CHANNEL. The cell of an attribute is a
    number, true, false, null, a list or an object where it reads as JSON, and text otherwise: write "007" in quotes (CSV:
    three of them) where it must stay text. Bad rows are named, good ones are kept; exit code 2 where there were bad ones.
    """
    shop = workshop()
    counts: Counter[str] = Counter()
    bad: list[RowResult] = []
    with _opened(file, quiet=as_json) as lines:
        for result in _results(import_members(shop, read_members(lines, name=file.name), source=file.name), file):
            counts["bad" if result.faults else "written"] += 1
            bad += [result] if result.faults else []
    if as_json:
        print_json({"written": counts["written"], "bad": bad})
    else:
        sys.stderr.write("".join(f"{file}:{result.line}: {fault}\n" for result in bad for fault in result.faults))
        sys.stdout.write(f"{counts['written']:,} rows written, {counts['bad']:,} bad\n")
    if bad:
        raise typer.Exit(2)


def _results(results: Iterator[RowResult], file: Path) -> Iterator[RowResult]:
    try:
        yield from results
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 ({error.reason}); the rows before are written") from error


def _opened(file: Path, *, quiet: bool) -> AbstractContextManager[TextIO]:
    """The file, and a bar for as much of it as has been read."""
    bar = Console(stderr=True)
    hidden = quiet or not bar.is_terminal
    return progress.open(
        file, "r", encoding="utf-8-sig", newline="", console=bar, disable=hidden, description=file.name, transient=True
    )


def _print(member: Member, as_json: bool) -> None:
    known = {
        "bot_id": member.bot_id,
        "member_id": member.member_id,
        "timezone": member.timezone,
        "locale": member.locale,
        "attributes": member.attributes,
        "addresses": member.addresses,
        "rev": member.rev,
        "updated_at": member.updated_at,
    }
    if as_json:
        print_json(known)
        return
    rows = [("revision", f"{member.rev} of {moment(member.updated_at)} UTC")]
    rows += [(name, str(known[name])) for name in ("timezone", "locale") if known[name] is not None]
    rows += [(f"attributes.{name}", f"{value}") for name, value in sorted(member.attributes.items())]
    rows += [(f"addresses.{name}", f"{value}") for name, value in sorted(member.addresses.items())]
    show(("", ""), rows, title=f"{member.bot_id}/{member.member_id}")
