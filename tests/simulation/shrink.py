"""Shrinking: the same seed with one fault, one member, one log line or one order less, as long as it fails in the same way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.plan import Plan
from tests.simulation.run import Run, run_plan

MAX_RERUNS = 300
_NAMES = re.compile(r"\b[a-z2-7]{6}\b|\d+")


def shrink(failed: Run) -> tuple[Run, int]:
    """The smallest run found that breaks the same rule, and how many reruns that took.

    Leaving something out changes what chance does with the rest, so a smaller plan may pass although it could fail; none of
    the steps is more than a try, and the seed's own plan is kept where no step fails again.
    """
    smallest, reruns, shrunk = failed, 0, True
    while shrunk and reruns < MAX_RERUNS:
        shrunk = False
        for plan in _smaller(smallest.plan):
            reruns += 1
            run = run_plan(plan)
            if rule_of(run) == rule_of(failed):
                smallest, shrunk = run, True
                break
            if reruns >= MAX_RERUNS:
                break
    return smallest, reruns


def rule_of(run: Run) -> str | None:
    """The violation without ids and numbers: what stays the same when less happens."""
    return _NAMES.sub("…", run.violation)[:40] if run.violation is not None else None


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Big pieces first."""
    if len(plan.members) > 1:
        yield from (plan.without(members=[member]) for member in plan.members)
    if len(plan.orders) > 1:
        yield replace(plan, orders=())
    yield from (plan.without(faults=[fault]) for fault in plan.swarm.rates)
    for index in range(len(plan.orders)):
        yield replace(plan, orders=(*plan.orders[:index], *plan.orders[index + 1 :]))
    yield from (plan.without(facts=[fact.number]) for fact in plan.facts)
    if plan.instances > 1:
        yield replace(plan, instances=plan.instances - 1)
