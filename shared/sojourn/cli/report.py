"""`sojourn journeys report`: a journey's figures as a tree with counts, or those of all journeys together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.text import Text

from emulator.journey_tree import NodeCounts, draw_tree
from sojourn.application.report import (
    EffectCounts,
    JourneyReport,
    NodeReport,
    journey_report,
    newest_definition,
    product_metrics,
)
from sojourn.application.workshop import Workshop
from sojourn.cli.local import Json
from sojourn.cli.stores import print_json, workshop
from sojourn.cli.tables import console, show


def report(
    journey: Annotated[str | None, typer.Argument(help="The journey; without one, all together.")] = None,
    as_json: Json = False,
) -> None:
    """Show what became of a journey's members: in all, by node, by version, by day."""
    shop = workshop()
    if journey is None:
        _print_metrics(shop, as_json)
        return
    found = journey_report(shop, journey)
    if as_json:
        print_json(found)
    else:
        _print(shop, found)


def _print_metrics(shop: Workshop, as_json: bool) -> None:
    found = product_metrics(shop)
    if as_json:
        print_json(found)
        return
    rows = [
        ("bots that published a journey", f"{found.bots:,}"),
        ("journeys published", f"{found.journeys:,}"),
        ("of them ongoing", f"{found.active_journeys:,}"),
        ("passages triggered", f"{found.passages_triggered:,}"),
        ("passages completed", f"{found.passages_completed:,}"),
    ]
    show(("all journeys", "number"), rows, right=("number",))


def _print(shop: Workshop, found: JourneyReport) -> None:
    definition, out = newest_definition(shop, found.journey_id), console()
    if definition is None:
        out.print(_head(found))
    else:
        out.print(draw_tree(definition, _head(found), _counts(found)))
        gone = [node for node in found.nodes if node.node_id not in definition.by_id]
        if gone:
            rows = [(node.node_id, f"{node.reached:,}", f"{node.standing:,}", f"{node.left:,}") for node in gone]
            show(("of older versions", "reached", "waiting", "left"), rows, right=("reached", "waiting", "left"))
    _print_versions(found)
    _print_counts("day (UTC)", "entered", found.days)
    _print_counts("refused, last days", "events", found.refused)


def _head(found: JourneyReport) -> Text:
    head = Text(f"{found.name}  ", style="bold", no_wrap=True, overflow="ellipsis")
    total = found.total
    parts = [f"{found.status}: {found.trigger:,} entered", f"{found.in_progress:,} on the way", f"{found.exit:,} off it"]
    parts += [f"{total.error:,} in error"] if total.error else []
    parts += [f"goal reached by {total.goals:,}, revenue {found.revenue:,.2f}"] if total.goals else []
    parts += [f"paused because {found.pause_reason}"] if found.pause_reason else []
    return head.append(", ".join(parts), style="not bold")


def _counts(found: JourneyReport) -> NodeCounts:
    return NodeCounts(
        reached=Counter({node.node_id: node.reached for node in found.nodes}),
        waiting=Counter({node.node_id: node.standing for node in found.nodes}),
        left=Counter({node.node_id: node.left for node in found.nodes}),
        taken=Counter(),
        notes={node.node_id: note for node in found.nodes if (note := _note(node))},
    )


def _note(node: NodeReport) -> str:
    parts = [f"{node.failed:,} in error"] if node.failed else []
    return ", ".join([*parts, *(_effects(node.effects) if node.effects else ())])


def _effects(effects: EffectCounts) -> list[str]:
    counts = {"sent": effects.sent, "under way": effects.under_way, "failed": effects.failed, "dead": effects.dead}
    skipped = [f"{count:,} skipped ({reason})" for reason, count in effects.skipped.items()]
    failures = [f"{count:,} {kind} failures" for kind, count in effects.failures.items()]
    return [*(f"{count:,} {name}" for name, count in counts.items() if count), *failures, *skipped]


def _print_versions(found: JourneyReport) -> None:
    if len(found.versions) < 2:
        return
    columns = ("version", "entered", "on the way", "completed", "canceled", "error", "goal", "revenue")
    rows = [
        (
            f"{number}",
            *(f"{each:,}" for each in (p.trigger, p.in_progress, p.completed, p.canceled, p.error, p.goals, p.revenue)),
        )
        for number, p in found.versions.items()
    ]
    show(columns, rows, right=columns[1:])


def _print_counts(name: str, what: str, counts: Mapping[str, int]) -> None:
    if counts:
        show((name, what), [(key, f"{count:,}") for key, count in counts.items()], right=(what,))
