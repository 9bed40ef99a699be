"""`sojourn effects`: what journeys asked for and what became of it; what is dead or failed is retried or abandoned."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from pydantic_core import to_jsonable_python

from sojourn.application import desk
from sojourn.application.audit import read
from sojourn.application.history import describe_effect
from sojourn.application.repair import RETRY_EFFECT, abandon_effect, abandoning_effects, retry_effect
from sojourn.cli.desk import (
    DEFAULT_LIMIT,
    INTERNAL,
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
from sojourn.cli.stores import Limit, print_json, workshop
from sojourn.cli.tables import moment, say, show
from sojourn.domain.effect import Effect, EffectStatus

app = typer.Typer(no_args_is_help=True, help="Messages and other effects.", rich_markup_mode=None)
EffectId = Annotated[str, typer.Argument(metavar="EFFECT", help="The effect.")]


class Broken(StrEnum):
    """Statuses that an operator does something about."""

    DEAD = "DEAD"
    FAILED = "FAILED"


OfStatus = Annotated[Broken, typer.Option("--status", case_sensitive=False, help="Those of this status.")]


@app.command("list")
def list_all(
    status: Annotated[EffectStatus, typer.Option(case_sensitive=False, help="Effects of this status.")] = EffectStatus.DEAD,
    journey: OfJourney = None,
    bot: OfBot = None,
    reason: WithReason = "",
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List effects of a status: the newest first where all fit, else by id; without a status those that are dead."""
    page = page_of(desk.effects(status, journey_id=journey, bot_id=bot, reason=reason), after=after, limit=limit)
    if as_json:
        print_json([_as_json(effect) for effect in page.items])
        return
    columns = ("effect", "created (UTC)", "journey", "node", "member", "what", "attempts", "failure", "reason")
    show(columns, [_row(effect) for effect in page.items], right=("attempts",))
    say_more(page.after)


@app.command("show")
def show_one(effect: EffectId, as_json: Json = False) -> None:
    """Show a whole effect: what it says to whom, and what became of it."""
    found = read(workshop(), Effect, effect).value
    if as_json:
        print_json(_as_json(found))
    else:
        show_whole(found, title=describe_effect(found))


@app.command()
def retry(effect: EffectId, as_json: Json = False) -> None:
    """Perform a DEAD or FAILED effect again, with all its attempts."""
    _print(retry_effect(workshop(), effect), as_json)


@app.command()
def abandon(effect: EffectId, because: Because = "", as_json: Json = False) -> None:
    """Give a DEAD or FAILED effect up for good: it is SKIPPED."""
    _print(abandon_effect(workshop(), effect, reason=because), as_json)


@app.command("retry-all")
def retry_all(
    status: OfStatus = Broken.DEAD,
    journey: OfJourney = None,
    bot: OfBot = None,
    reason: WithReason = "",
    limit: AtMost = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Retry every effect that the filters find, all that are dead without any. Interrupted, run it again."""
    found = desk.effects(EffectStatus(status), journey_id=journey, bot_id=bot, reason=reason)
    repair_all(RETRY_EFFECT, found, Run(limit, dry_run, as_json))


@app.command("abandon-all")
def abandon_all(
    status: OfStatus = Broken.DEAD,
    journey: OfJourney = None,
    bot: OfBot = None,
    reason: WithReason = "",
    because: Because = "",
    limit: AtMost = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give up every effect that the filters find, all that are dead without any. Interrupted, run it again."""
    found = desk.effects(EffectStatus(status), journey_id=journey, bot_id=bot, reason=reason)
    repair_all(abandoning_effects(because), found, Run(limit, dry_run, as_json))


def _print(effect: Effect, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(effect))
    else:
        reason = f" ({effect.reason})" if effect.reason else ""
        say(f"{effect.id} is {effect.status}{reason}")


def _row(effect: Effect) -> tuple[str, ...]:
    where = (effect.id, moment(effect.created_at), effect.journey_id, effect.node_id, f"{effect.bot_id}/{effect.member_id}")
    return (*where, describe_effect(effect), f"{effect.attempts}", effect.failure or "", effect.reason or "")


def _as_json(effect: Effect) -> object:
    return to_jsonable_python(effect, exclude=INTERNAL)
