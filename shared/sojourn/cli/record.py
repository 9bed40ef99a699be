"""`sojourn progress record`: a member in flight as a golden history, which the tests replay on every build."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sojourn.cli.stores import workshop
from sojourn.runtime.golden import write_golden
from sojourn.runtime.recording import record as record_member


def record(
    bot: Annotated[str, typer.Argument(help="The bot.")],
    member: Annotated[str, typer.Argument(help="The member of the bot.")],
    journey: Annotated[str | None, typer.Option(help="Of this journey, not of the newest.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write to this file, not to stdout.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="With everything that is known of the member, and message texts.")] = False,
) -> None:
    """Record where a member is, and what the engine answers to all that could come, for tests/replay/goldens.

    Without --raw names, texts, addresses, ids, dates and long numbers give way to words that mean nothing, the same for the
    same value; short numbers, and words that the definition itself has, stay.
    """
    text = write_golden(record_member(workshop(), bot, member, journey_id=journey, raw=raw))
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text)
