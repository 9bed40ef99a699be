"""Reports: what became of a journey's members, counted by the store's own aggregations over what it keeps.

Nothing is counted on the hot path, so nothing can be counted wrong. Each figure is exact when it is asked for; while members
move, two figures may be of two moments. Passages that ended leave the store, and so the report, after `TERMINAL_RETENTION`,
but for those that guard their entry key: where a member enters once, nobody is ever missing.

Every passage that reached a node is standing there, in error there, has left the journey there, or has passed::

    reached = standing + failed + left + passed
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, get_args

from sojourn.application.records import Question, Tally, Where
from sojourn.application.workshop import Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect, EffectStatus, Failure
from sojourn.domain.errors import NotFound
from sojourn.domain.history import Refusal
from sojourn.domain.journey import Journey, JourneyStatus
from sojourn.domain.node import Node
from sojourn.domain.progress import Progress, Status

LIVE = tuple(status.value for status in Status if not status.terminal)
PUBLISHED = (JourneyStatus.ONGOING, JourneyStatus.PAUSED, JourneyStatus.ENDED)
UNDER_WAY = (EffectStatus.PENDING.value, EffectStatus.PERFORMING.value)

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Passages:
    """How passages stand. `exit` is everybody who is off the journey: `completed` to the end, or `canceled` before."""

    trigger: int
    in_progress: int
    completed: int
    canceled: int
    error: int
    goals: int
    revenue: float

    @property
    def exit(self) -> int:
        """Off the journey, either way."""
        return self.completed + self.canceled


@dataclass(frozen=True, slots=True)
class EffectCounts:
    """What became of a node's effects; `skipped` by reason, `failures` by kind: those that wait for another try too."""

    under_way: int
    sent: int
    failed: int
    dead: int
    skipped: Mapping[str, int]
    failures: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeReport:
    """A node, of the newest version that has it; `effects` of actions only."""

    node_id: str
    key: str
    reached: int
    standing: int
    failed: int
    left: int
    passed: int
    effects: EffectCounts | None = None


@dataclass(frozen=True, slots=True)
class JourneyReport:
    """The seed's journey_report, and what lies below it. `days` counts entries by UTC day, `refused` those of the last days."""

    journey_id: str
    name: str
    status: JourneyStatus
    at: datetime
    trigger: int
    in_progress: int
    exit: int
    revenue: float
    total: Passages
    versions: Mapping[int, Passages] = field(default_factory=dict)
    days: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    nodes: tuple[NodeReport, ...] = ()
    pause_reason: str | None = None


@dataclass(frozen=True, slots=True)
class ProductMetrics:
    """The seed's product metrics: bots that published at least one journey, passages that began, and that came to the end.

    Passages, as the seed counts the rows of journey_member_progress: who enters twice is two. Where a member enters once, the
    default, they are the members of each journey. To tell members apart over several entries, every entry and every end would
    have to write one document more, or the report read every passage.
    """

    bots: int
    journeys: int
    active_journeys: int
    passages_triggered: int
    passages_completed: int


def journey_report(shop: Workshop, journey_id: str) -> JourneyReport:
    """The report of a journey over all its versions. Raises NotFound."""
    stored = shop.store.get_many(Journey, [journey_id])[0]
    if stored is None:
        raise NotFound(f"no journey {journey_id!r}")
    head = stored.value
    versions = _by_version(shop, head)
    total = _added_up(list(versions.values()))
    return JourneyReport(
        journey_id=head.id,
        name=head.name,
        status=head.status,
        at=shop.now(),
        trigger=total.trigger,
        in_progress=total.in_progress,
        exit=total.exit,
        revenue=total.revenue,
        total=total,
        versions=versions,
        days=_counts(shop, Progress, "entered_on", {"journey_id": journey_id}),
        refused=_counts(shop, Refusal, "reason", {"journey_id": journey_id}),
        nodes=_by_node(shop, head),
        pause_reason=head.pause_reason,
    )


def product_metrics(shop: Workshop) -> ProductMetrics:
    """The figures over all bots."""
    heads = shop.store.journeys(PUBLISHED)
    asked = {(head.id, statuses): _of(head, status=statuses) for head in heads for statuses in (tuple(Status), (Status.ENDED,))}
    found = _ask(shop, asked)
    return ProductMetrics(
        bots=len({head.bot_id for head in heads}),
        journeys=len(heads),
        active_journeys=sum(head.status is JourneyStatus.ONGOING for head in heads),
        passages_triggered=sum(found[head.id, tuple(Status)].count for head in heads),
        passages_completed=sum(found[head.id, (Status.ENDED,)].count for head in heads),
    )


def _by_version(shop: Workshop, head: Journey) -> dict[int, Passages]:
    numbers = range(1, (head.version or 0) + 1)
    groups: dict[str, tuple[str, ...]] = {
        "in_progress": LIVE,
        "completed": (Status.ENDED,),
        "canceled": (Status.CANCELED,),
        "error": (Status.ERROR,),
    }
    asked = {(number, name): _of(head, version=number, status=group) for number in numbers for name, group in groups.items()}
    goals = {(number, "goals"): _of(head, "goal_revenue", version=number, goal_reached=True) for number in numbers}
    found = _ask(shop, asked | goals)
    return {number: _passages({name: found[number, name] for name in (*groups, "goals")}) for number in numbers}


def _passages(found: Mapping[str, Tally]) -> Passages:
    goals = found["goals"]
    counts = {name: tally.count for name, tally in found.items() if tally is not goals}
    return Passages(trigger=sum(counts.values()), **counts, goals=goals.count, revenue=goals.total)


def _added_up(parts: Sequence[Passages]) -> Passages:
    return Passages(
        trigger=sum(part.trigger for part in parts),
        in_progress=sum(part.in_progress for part in parts),
        completed=sum(part.completed for part in parts),
        canceled=sum(part.canceled for part in parts),
        error=sum(part.error for part in parts),
        goals=sum(part.goals for part in parts),
        revenue=sum(part.revenue for part in parts),
    )


def _by_node(shop: Workshop, head: Journey) -> tuple[NodeReport, ...]:
    nodes = _nodes(shop, head)
    asked: dict[tuple[str, str], Question] = {}
    for node_id in nodes:
        asked[node_id, "reached"] = _of(head, reached=node_id)
        asked[node_id, "standing"] = _of(head, node_id=node_id, status=LIVE)
        asked[node_id, "failed"] = _of(head, node_id=node_id, status=Status.ERROR)
        asked[node_id, "left"] = _of(head, left_at=node_id)
    found = {key: tally.count for key, tally in _ask(shop, asked).items()}
    effects = _effects(shop, head, [node.id for node in nodes.values() if node.category == "action"])
    return tuple(_node(node, found, effects.get(node.id)) for node in nodes.values())


def _node(node: Node, found: Mapping[tuple[str, str], int], effects: EffectCounts | None) -> NodeReport:
    reached, standing, failed, left = (found[node.id, name] for name in ("reached", "standing", "failed", "left"))
    passed = max(0, reached - standing - failed - left)  # below 0 only where members moved between two questions
    return NodeReport(node.id, node.key, reached, standing, failed, left, passed, effects)


def _nodes(shop: Workshop, head: Journey) -> dict[str, Node]:
    """The nodes of the newest version in its order, then those that only older versions have."""
    nodes: dict[str, Node] = {}
    for definition in _definitions(shop, head):
        nodes = nodes | {node.id: node for node in definition.nodes if node.id not in nodes}
    return nodes


def newest_definition(shop: Workshop, journey_id: str) -> Definition | None:
    """The newest version that was published; None for a draft, or where there is no such journey."""
    head = shop.catalog.head(journey_id, fresh=True)
    return shop.catalog.definition(journey_id, head.version) if head is not None and head.version is not None else None


def _definitions(shop: Workshop, head: Journey) -> list[Definition]:
    """All published versions, the newest first."""
    found = (shop.catalog.definition(head.id, number) for number in range(head.version or 0, 0, -1))
    return [definition for definition in found if definition is not None]


def _effects(shop: Workshop, head: Journey, node_ids: Sequence[str]) -> dict[str, EffectCounts]:
    groups = {
        "under_way": UNDER_WAY,
        "sent": (EffectStatus.DONE,),
        "failed": (EffectStatus.FAILED,),
        "dead": (EffectStatus.DEAD,),
    }
    asked = {
        (node_id, name): Question(Effect, {"journey_id": head.id, "node_id": node_id, "status": group})
        for node_id in node_ids
        for name, group in groups.items()
    }
    kinds: tuple[str, ...] = get_args(Failure)
    failed = {
        (node_id, kind): Question(Effect, {"journey_id": head.id, "node_id": node_id, "failure": kind})
        for node_id in node_ids
        for kind in kinds
    }
    found = {key: tally.count for key, tally in _ask(shop, asked | failed).items()}
    return {
        node_id: EffectCounts(
            **{name: found[node_id, name] for name in groups},
            failures={kind: count for kind in kinds if (count := found[node_id, kind])},
            skipped=_counts(shop, Effect, "skipped_for", {"journey_id": head.id, "node_id": node_id}),
        )
        for node_id in node_ids
    }


def _of(head: Journey, sum_of: str | None = None, **where: str | int | tuple[str, ...]) -> Question:
    return Question(Progress, {"journey_id": head.id, **where}, sum_of)


def _counts(shop: Workshop, kind: type[Progress | Effect | Refusal], attribute: str, where: Where) -> dict[str, int]:
    """How often each text that occurs in an attribute does; the greatest text first."""
    texts = shop.store.distinct(kind, attribute, where)  # type: ignore[type-var]  # one of the kinds, whichever
    found = _ask(shop, {text: Question(kind, {**where, attribute: text}) for text in texts})
    return {text: tally.count for text, tally in found.items()}


def _ask(shop: Workshop, questions: Mapping[K, Question]) -> dict[K, Tally]:
    return dict(zip(questions, shop.store.tally_many(list(questions.values())), strict=True))
