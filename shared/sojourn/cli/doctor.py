"""`sojourn doctor`: does everything on its way have a future? And `sojourn drain`: dead letters into the store, now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.console import Console

from sojourn.application.checkup import daily_checkup
from sojourn.application.dead_letters import drain_all
from sojourn.application.doctor import Scope, examine
from sojourn.cli.local import Json
from sojourn.cli.stores import print_json, workshop
from sojourn.cli.tables import console, moment, show
from sojourn.domain.checkup import Checkup
from sojourn.domain.errors import NotFound
from sojourn.domain.health import Finding

WORDS = {"journeys": "journeys", "progress": "passages", "effects": "effects on their way"}
"""What documents of a stage are to people."""
SHOWN = ("started_at", "updated_at", "done", "stage", "looked", "found", "repaired", "findings")
MAX_DRAINED = 1_000_000


def doctor(
    repair: Annotated[bool, typer.Option(help="Set right what a machine may set right.")] = False,
    bot: Annotated[str | None, typer.Option(help="Only members of this bot.")] = None,
    journey: Annotated[str | None, typer.Option(help="Only members of this journey.")] = None,
    daily: Annotated[bool, typer.Option("--daily", help="Only show the last daily check, or how far it is.")] = False,
    as_json: Json = False,
) -> None:
    """Look for members, messages and journeys that have no future. Exit code 1: there are some that were not repaired."""
    if daily:
        checkup = daily_checkup(workshop())
        if checkup is None:
            raise NotFound("no daily check has begun yet: the first one begins at 03:00 UTC")
        _print_checkup(checkup, as_json)
        return
    looked, findings = _look(Scope(bot, journey), repair=repair)
    if journey is not None and not looked["journeys"] + looked["progress"]:
        raise NotFound(f"no journey {journey!r}, and nobody is on it")
    if as_json:
        print_json({"looked": looked, **_counted(findings), "findings": findings})
    else:
        _print(looked, findings)
    if not all(finding.repaired for finding in findings):
        raise typer.Exit(1)


def drain(as_json: Json = False) -> None:
    """Drain all dead letters that wait, as the minute sweep does a thousand at a time."""
    counts = drain_all(workshop(), limit=MAX_DRAINED)
    if as_json:
        print_json(counts)
        return
    text = ", ".join(f"{code.replace('_', ' ')} {count:,}" for code, count in sorted(counts.items()))
    console().print(f"{counts.total():,} letters{f': {text}' if text else ''}")


def _look(scope: Scope, *, repair: bool) -> tuple[Counter[str], list[Finding]]:
    """All pages, with the count so far on the terminal."""
    looked, findings = Counter[str](), list[Finding]()
    with Console(stderr=True).status("") as status:
        for report in examine(workshop(), scope, repair=repair):
            looked[report.stage] += report.looked
            findings += report.findings
            status.update(_summary(looked))
    return looked, findings


def _summary(looked: Mapping[str, int]) -> str:
    return ", ".join(f"{word} {looked.get(stage, 0):,}" for stage, word in WORDS.items())


def _counted(findings: Sequence[Finding]) -> dict[str, Mapping[str, int]]:
    return {
        "found": Counter(finding.ailment.value for finding in findings),
        "repaired": Counter(finding.ailment.value for finding in findings if finding.repaired),
    }


def _print(looked: Mapping[str, int], findings: Sequence[Finding]) -> None:
    _print_findings(findings)
    repaired = sum(finding.repaired for finding in findings)
    found = f"{len(findings):,} found, {repaired:,} repaired" if findings else "all is well"
    console().print(f"{_summary(looked)}: {found}", markup=False, soft_wrap=True)


def _print_findings(findings: Sequence[Finding]) -> None:
    if findings:
        rows = [
            (one.subject, one.member_id or "", one.ailment.value, "repaired" if one.repaired else "", _text(one))
            for one in findings
        ]
        show(("document", "member", "ailment", "", "what is wrong"), rows)


def _text(finding: Finding) -> str:
    return f"{finding.sentence}; {finding.remedy}" if finding.remedy and not finding.repaired else finding.sentence


def _print_checkup(checkup: Checkup, as_json: bool) -> None:
    if as_json:
        print_json({name: getattr(checkup, name) for name in SHOWN})
        return
    _print_findings(checkup.findings)
    state = f"over at {moment(checkup.updated_at)}" if checkup.done else f"under way, in {WORDS[checkup.stage]}"
    counts = f"{sum(checkup.found.values()):,} found, {sum(checkup.repaired.values()):,} repaired"
    text = f"begun at {moment(checkup.started_at)} UTC, {state}: {_summary(checkup.looked)}; {counts}"
    console().print(text, markup=False, soft_wrap=True)
