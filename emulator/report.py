"""What a person wants to see of a demo: the journeys with counts, one member's way, the messages, what was rejected and why."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.journey_tree import first_text, journey_tree
from emulator.scenarios.oracle import Verdict
from emulator.scenarios.shop import Scenario
from emulator.scenarios.shop_lines import count_lines
from emulator.snapshot import Snapshot
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect, EffectStatus, SendMessage
from sojourn.domain.member import Member
from sojourn.domain.moment import format_duration
from sojourn.domain.progress import Progress, Step
from sojourn.domain.sleep import local_zone

MAX_TIMELINE_STEPS = 24
MAX_FAULTS = 20


def print_report(console: Console, scenario: Scenario, snapshot: Snapshot, verdict: Verdict) -> None:
    """Print it all; the last line is the verdict's, plain, for whoever greps."""
    console.print()
    _print_log(console, scenario, snapshot)
    for copies in _journeys(snapshot).values():
        passages = _passages(snapshot, copies)
        console.print()
        console.print(journey_tree(copies[0], passages))
        _print_goal(console, copies[0], passages)
    _print_timeline(console, snapshot)
    _print_messages(console, snapshot)
    _print_rejected(console, snapshot)
    _print_faults(console, verdict)
    console.print()
    console.print(Text(verdict.line), soft_wrap=True, highlight=False)


def _table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    """The last column takes what the others leave: it alone may shrink, its cells are cut (`_cut`)."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column != columns[-1])
    return table


def _cut(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _show(console: Console, table: Table) -> None:
    console.print()
    console.print(table)


def _print_log(console: Console, scenario: Scenario, snapshot: Snapshot) -> None:
    lines, bots = count_lines(scenario.lines), Counter(member.bot_id for member in scenario.members)
    days = (scenario.end - scenario.start).days
    console.print(Text(f"{scenario.start:%d %b %Y}, {days} days: {lines.seen:,} log lines", style="bold"))
    console.print(
        f"{lines.ours:,} carry support_journey. Of those {lines.wrong:,} are wrong, {lines.repeated:,} repeat an event, "
        f"{lines.late:,} are late, {lines.out_of_order:,} come out of order. "
        f"The clock moves in steps of {format_duration(scenario.step)}.",
        highlight=False,
    )
    table = _table("Bots", "bot", "time zone", "members", "passages", "messages", right=("members", "passages", "messages"))
    passages = Counter(progress.bot_id for progress in snapshot.progress)
    messages = Counter(effect.bot_id for effect in _sent(snapshot.effects))
    zones = {definition.bot_id: definition.settings.timezone for definition in snapshot.definitions}
    for bot, members in bots.items():
        table.add_row(bot, zones.get(bot, "?"), *(f"{count:,}" for count in (members, passages[bot], messages[bot])))
    _show(console, table)


def _journeys(snapshot: Snapshot) -> dict[str, list[Definition]]:
    """The bots' copies of each journey, by the name that they share."""
    copies: defaultdict[str, list[Definition]] = defaultdict(list)
    for definition in snapshot.definitions:
        copies[definition.name].append(definition)
    return dict(copies)


def _passages(snapshot: Snapshot, copies: Sequence[Definition]) -> list[Progress]:
    ids = {definition.id for definition in copies}
    return [progress for progress in snapshot.progress if progress.journey_id in ids]


def _print_goal(console: Console, definition: Definition, passages: Sequence[Progress]) -> None:
    goal = definition.settings.goal
    if goal is None:
        return
    reached = [progress.goal for progress in passages if progress.goal is not None]
    share = f" ({len(reached) / len(passages):.0%})" if passages else ""
    revenue = sum(one.revenue or 0 for one in reached)
    text = f"goal {goal.event}: reached by {len(reached):,} of {len(passages):,}{share}, revenue {revenue:,.0f}"
    console.print(Text(text, style="green"))


def _print_timeline(console: Console, snapshot: Snapshot) -> None:
    """Every passage of one member, by the member's own clock."""
    passages = _most_telling(snapshot.progress)
    if not passages:
        return
    definitions = {definition.id: definition for definition in snapshot.definitions}
    member = next((one for one in snapshot.members if one.id == passages[0].member_key), None)
    zone = local_zone(definitions[passages[0].journey_id].settings, member)
    steps = sorted(((step, progress) for progress in passages for step in progress.trail), key=lambda pair: pair[0].at)
    table = _table(_title(passages[0], member, zone), "local time", "journey", "node", "outcome", "reason")
    shown: datetime | None = None
    for step, progress in steps:
        local, reason = step.at.astimezone(zone), (step.reason or "").replace(f" {zone.key}", "")
        when = "" if step.at == shown else f"{local:%a} {local.day:>2} {local:%H:%M}"
        row = (when, _short(definitions[progress.journey_id], progress), step.node_id)
        table.add_row(*map(Text, row), Text(step.outcome, style=_STYLES.get(step.outcome, "")), _cut(reason, "dim"))
        shown = step.at
    _show(console, table)


_STYLES = {"sent": "green", "goal": "green", "canceled": "red", "error": "red", "asleep": "yellow", "waiting": "yellow"}


def _title(progress: Progress, member: Member | None, zone: ZoneInfo) -> str:
    name = member.attributes.get("first_name") if member else None
    return f"The way of {name or progress.member_id} ({progress.bot_id}/{progress.member_id}, {zone.key})"


def _short(definition: Definition, progress: Progress) -> str:
    """The journey, or the entry key where that tells passages apart."""
    return progress.entry_key.removeprefix("key:") if definition.settings.entry_key else definition.name


def _most_telling(passages: Iterable[Progress]) -> list[Progress]:
    """The passages of the member whose trails show the most different things and still fit on a page."""
    by_member: defaultdict[str, list[Progress]] = defaultdict(list)
    for progress in passages:
        by_member[progress.member_key].append(progress)
    fitting = [found for found in by_member.values() if len(_steps(found)) <= MAX_TIMELINE_STEPS]
    return max(fitting, key=lambda found: (_interest(_steps(found)), found[0].member_key), default=[])


def _steps(passages: Iterable[Progress]) -> list[Step]:
    return [step for progress in passages for step in progress.trail]


def _interest(steps: Iterable[Step]) -> int:
    """Different outcomes count most: a night, a wait for an event, a purchase, leaving early."""
    outcomes, nodes = {step.outcome for step in steps}, {step.node_id for step in steps}
    return 2 * len(outcomes) + len(nodes) + 3 * len(outcomes & {"asleep", "canceled", "goal", "completed"})


def _sent(effects: Iterable[Effect]) -> list[Effect]:
    return [effect for effect in effects if isinstance(effect.payload, SendMessage) and effect.status is EffectStatus.DONE]


def _print_messages(console: Console, snapshot: Snapshot) -> None:
    sent: defaultdict[tuple[str, str], list[Effect]] = defaultdict(list)
    for effect in _sent(snapshot.effects):
        sent[effect.journey_id, effect.node_id].append(effect)
    table = _table("Messages", "journey", "node", "sent", "for example", right=("sent",))
    for title, copies in _journeys(snapshot).items():
        for node in copies[0].nodes:
            found = [effect for copy in copies for effect in sent[copy.id, node.id]]
            if found:
                table.add_row(title, node.id, f"{len(found):,}", _cut(_words(min(found, key=lambda e: (e.created_at, e.id)))))
    _show(console, table)


def _words(effect: Effect) -> str:
    return first_text(effect.payload.message) if isinstance(effect.payload, SendMessage) else ""


def _print_rejected(console: Console, snapshot: Snapshot) -> None:
    table = _table("Rejected, and kept", "reason", "lines", "for example", right=("lines",))
    reasons = Counter(rejected.reason for rejected in snapshot.rejected)
    for reason, count in reasons.most_common():
        example = min(
            (rejected for rejected in snapshot.rejected if rejected.reason == reason), key=lambda r: (r.created_at, r.id)
        )
        table.add_row(reason, f"{count:,}", _cut(f"{_service(example.data)}: {example.detail}"))
    _show(console, table)


def _service(data: bytes) -> str:
    """The service that wrote the line, as the LogEntry names its resource."""
    try:
        return str(json.loads(data)["resource"]["labels"]["service_name"])
    except (ValueError, KeyError, TypeError):
        return "?"


def _print_faults(console: Console, verdict: Verdict) -> None:
    if not verdict.faults:
        return
    console.print(Text(f"\n{len(verdict.faults):,} faults", style="bold red"))
    for fault in verdict.faults[:MAX_FAULTS]:
        console.print(Text(f"  {fault}"))
    if len(verdict.faults) > MAX_FAULTS:
        console.print(Text(f"  and {len(verdict.faults) - MAX_FAULTS:,} more"))
