"""`sojourn effects`: what journeys asked for and what became of it; what is dead is retried or abandoned by a person."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic_core import to_jsonable_python

from sojourn.application.history import describe_effect, list_effects
from sojourn.application.repair import abandon_effect, retry_effect
from sojourn.cli.local import Json
from sojourn.cli.stores import Limit, print_json, workshop
from sojourn.cli.tables import console, moment, show
from sojourn.domain.effect import Effect, EffectStatus

DEFAULT_LIMIT = 50
INTERNAL = {"token", "shard", "sweep_at", "sweep_count"}

app = typer.Typer(no_args_is_help=True, help="Messages and other effects.", rich_markup_mode=None)
EffectId = Annotated[str, typer.Argument(help="The effect.")]


@app.command("list")
def list_all(
    status: Annotated[EffectStatus, typer.Option(case_sensitive=False, help="Effects of this status.")] = EffectStatus.DEAD,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List effects of a status, the newest first; without a status those that are dead."""
    found = list_effects(workshop(), status, limit=limit)
    if as_json:
        print_json([_as_json(effect) for effect in found])
        return
    columns = ("effect", "created (UTC)", "journey", "node", "member", "what", "attempts", "reason")
    show(columns, [_row(effect) for effect in found], right=("attempts",))


@app.command()
def retry(effect: EffectId, as_json: Json = False) -> None:
    """Perform a DEAD or FAILED effect again, with all its attempts."""
    _print(retry_effect(workshop(), effect), as_json)


@app.command()
def abandon(
    effect: EffectId,
    reason: Annotated[str, typer.Option(help="Why; without one, what went wrong.")] = "",
    as_json: Json = False,
) -> None:
    """Give a DEAD effect up for good: it is SKIPPED."""
    _print(abandon_effect(workshop(), effect, reason=reason), as_json)


def _print(effect: Effect, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(effect))
    else:
        reason = f" ({effect.reason})" if effect.reason else ""
        console().print(f"{effect.id} is {effect.status}{reason}", markup=False)


def _row(effect: Effect) -> tuple[str, ...]:
    where = (effect.id, moment(effect.created_at), effect.journey_id, effect.node_id, f"{effect.bot_id}/{effect.member_id}")
    return (*where, describe_effect(effect), f"{effect.attempts}", effect.reason or "")


def _as_json(effect: Effect) -> object:
    return to_jsonable_python(effect, exclude=INTERNAL)
