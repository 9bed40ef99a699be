"""The witness: sees every commit as it is applied, and holds it against what the reference and the rules demand.

A hop reads, decides and commits while others write. Which of them it saw is not known from outside, so the witness asks the
reference for every state of the world between the hop's read and its commit; one of them must explain the commit.
Events that were in the store at the read are in all of these, so none of them may be passed over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from pydantic import JsonValue

from sojourn.application.records import Commit, Create, Record
from sojourn.domain.definition import Definition
from sojourn.domain.effect import Effect
from sojourn.domain.errors import NotAllowed, SojournError
from sojourn.domain.event import Event
from sojourn.domain.history import Refusal
from sojourn.domain.journey import Entries, Journey, JourneyStatus, JourneyVersion, MemberEvent
from sojourn.domain.loading import load_stored
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress
from tests.simulation import effect_rules, entry_rules
from tests.simulation.baton import SECOND, Task, moment
from tests.simulation.compare import differences, same_place
from tests.simulation.reference import Facts, Traveller
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.pubsub import Message
    from tests.simulation.world import World

T = TypeVar("T")

HEAD_AGE = 5 * SECOND
"""How old a cached head may be (design, section 5)."""


class Witness:
    """What was committed, in order. `serial` counts commits."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.serial = 0
        self.heads: dict[str, list[tuple[int, int, Journey]]] = defaultdict(list)
        self.versions: dict[str, dict[int, Definition]] = defaultdict(dict)
        self.events: dict[str, list[tuple[int, Event]]] = defaultdict(list)
        self.members: dict[str, list[tuple[int, Member | None]]] = defaultdict(lambda: [(0, None)])
        self.effects: dict[str, list[tuple[int, Effect]]] = defaultdict(list)
        self.passages: dict[str, list[tuple[int, Progress]]] = defaultdict(list)
        self.arrivals: dict[str, list[int]] = defaultdict(list)
        self.uncertain: set[str] = set()
        """Effects that a fault befell while they were being performed."""
        self.late: set[str] = set()
        """Passages of which a signal was lost that nobody repeats: they may look late."""
        self.leases: dict[str, int] = {}
        """Until when each effect's last claim holds."""
        self.times: list[int] = [0]
        """When each commit was, by serial."""

    # What the world tells

    def committed(self, task: Task | None, commit: Commit, before: Sequence[Record | None]) -> None:
        """A commit was applied."""
        self.serial += 1
        self.times.append(self.world.baton.now)
        for write, old in zip(commit, before, strict=True):
            self._one(task, write.record, old, commit)

    def _one(self, task: Task | None, record: Record, old: Record | None, commit: Commit) -> None:
        match record:
            case Progress():
                self._progress(task, record, old if isinstance(old, Progress) else None, commit)
            case Effect():
                effect_rules.check(self, task, record, old if isinstance(old, Effect) else None)
                self.effects[record.id].append((self.serial, record))
                self._say(f"effect {record.id[:6]} {record.status}{' parked' if record.parked else ''} rev {record.rev}")
            case Journey():
                self._head(task, record, old if isinstance(old, Journey) else None)
            case JourneyVersion():
                self.versions[record.journey_id][record.version] = load_stored(record.definition)
            case MemberEvent():
                self.events[record.event.member_key].append((self.serial, record.event))
                self._say(f"event {record.event.id} {record.event.name} of {record.event.member_id} is kept")
            case Member():
                self.members[record.id].append((self.serial, record))
            case Refusal():
                entry_rules.check_refusal(self, task, record)
                self._say(f"refuses {record.event_id}: {record.reason}")
            case Entries():
                self._require(old is None or record.rev == old.rev + 1, f"entries {record.id} rev")
            case _:
                pass

    def _head(self, task: Task | None, head: Journey, old: Journey | None) -> None:
        self._require(old is None or head.rev >= old.rev, f"rev of {head.id} went back")
        if task is not None and task.kind == "operator":
            task.paid.add(head.token)
        self.heads[head.id].append((self.serial, self.world.baton.now, head))
        settles = " settling" if head.settling else ""
        if old is not None and head.status != old.status:
            self.world.tempter(head)
        self._say(f"{head.id} {head.status} version {head.version} rev {head.rev}{settles}")

    def refused(self, task: Task, error: SojournError) -> None:
        """An operator is told that an order is not allowed: then it was not this very order that made it so."""
        for log in self.heads.values():
            mine = log[-1][2].token in task.paid
            self._require(not (mine and isinstance(error, NotAllowed)), f"{task.name} was done, and is told: {error}")

    def delivering(self, effect: Effect) -> None:
        """A channel is called."""
        effect_rules.check_delivery(self, self.world.baton.current(), effect)

    def arrived(self, effect: Effect, message: JsonValue, *, idempotent: bool) -> None:
        """A message reached the member."""
        self.arrivals[effect.id].append(self.world.baton.now)
        again = len(self.arrivals[effect.id]) > 1
        self._require(idempotent or not again, f"effect {effect.id[:6]} of {effect.node_id} reached the member twice")

    def doubtful(self, task: Task) -> None:
        """A fault befell a performer."""
        for message in task.messages:
            self.uncertain.add(self._effect_of(message))  # type: ignore[arg-type]

    @staticmethod
    def _effect_of(message: Message) -> str:
        return message.named("effect_id") or ""

    def unsignaled(self, progress_id: str) -> None:
        """A signal to this passage is lost for good."""
        self.late.add(progress_id)

    # Passages

    def _progress(self, task: Task | None, after: Progress, before: Progress | None, commit: Commit) -> None:
        parked = " parked" if after.parked else ""
        self._say(f"progress {after.id[:6]} {after.status} at {after.node_id}{parked} rev {after.rev}")
        if task is not None and task.kind != "operator" and (before is None or after.rev > before.rev):
            self._owes(task, after, commit)
        if before is None:
            entry_rules.check_entry(self, task, after)
        else:
            self._move(task, before, after, commit)
        self.passages[after.id].append((self.serial, after))
        self.world.tempter(after)

    def _move(self, task: Task | None, before: Progress, after: Progress, commit: Commit) -> None:
        fixed = ("id", "journey_id", "bot_id", "member_id", "member_key", "entry_key", "trigger", "created_at")
        self._require(all(getattr(before, one) == getattr(after, one) for one in fixed), "what a passage is has changed")
        if after.rev == before.rev:
            self._require(same_place(before, after), f"progress {after.id[:6]} moved without a revision")
            self._require(len(commit) == 1, "effects without a revision")
            return
        self._require(after.rev == before.rev + 1, f"rev {before.rev} became {after.rev}")
        if task is not None and task.kind == "operator":
            self._operated(before, after)
        else:
            self._hop(task, before, after, commit)
            self.late.discard(after.id)

    @staticmethod
    def _owes(task: Task, after: Progress, commit: Commit) -> None:
        """What must be published now: a message for each effect, and one for whoever goes on."""
        effects = [write.record.id for write in commit if isinstance(write.record, Effect)]
        going = [after.id] if after.status in ("READY", "RUNNING") and after.schedule_at is None else []
        task.owed.update(dict.fromkeys((*effects, *going), (after.id, after.rev)))

    def answered(self, task: Task) -> None:
        """The task says that it is done: then it has published what its commits asked for, unless others have gone on since."""
        for identifier, (progress_id, rev) in task.owed.items():
            _, latest = self.passages[progress_id][-1]
            overtaken = latest.rev > rev or self.passages[progress_id][-1][0] > self._committed_at(progress_id, rev)
            paid = identifier in task.paid or overtaken
            self._require(paid, f"{task.name} is done and has not published {identifier[:6]}, which its commit asks for")

    def _committed_at(self, progress_id: str, rev: int) -> int:
        return next(at for at, one in self.passages[progress_id] if one.rev == rev)

    def _operated(self, before: Progress, after: Progress) -> None:
        canceled = after.status == "CANCELED" and not before.status.terminal and after.node_id is None
        advanced = after.status == before.status == "WAITING" and after.node_id == before.node_id
        retried = before.status == "ERROR" and after.status == "READY"
        self._require(canceled or advanced or retried, f"an operator made {before.status} {after.status}")

    def _hop(self, task: Task | None, before: Progress, after: Progress, commit: Commit) -> None:
        effects = [write.record for write in commit if isinstance(write, Create) and isinstance(write.record, Effect)]
        closest: list[str] | None = None
        for facts in self._worlds(task, before, after):
            found = differences(Traveller(before, facts).travel(), before, after, effects)
            if not found:
                return
            if closest is None or len(found) < len(closest):
                closest = found
        text = "; ".join(closest or ["no world allows this hop"])
        raise Violation(f"progress {after.id[:6]} of {after.member_id} (rev {after.rev}) is not where it must be: {text}")

    def _worlds(self, task: Task | None, before: Progress, after: Progress) -> Iterator[Facts]:
        seen = task.seen.get(before.id, 0) if task else 0
        now = after.updated_at
        heads = [head for head in self.heads_since(before.journey_id, task) if self._lets_move(head, before)]
        known = [(at, event) for at, event in self.events[before.member_key] if event.occurred_at >= before.trigger.occurred_at]
        counts = sorted({sum(at <= bound for at, _ in known) for bound in range(seen, self.serial)})
        members = [value for _, value in self._between(self.members[before.member_key], seen)]
        results = self._results(before, seen)
        facts = Facts(now, self._any_head(before), self.versions[before.journey_id], (), None, None, True, self._max_nodes)
        for head in heads:
            for count in counts:
                events = [event for _, event in known[:count]]
                for member in members:
                    for result in results:
                        for goes_on in (True, False):
                            yield replace(facts, head=head, events=events, member=member, result=result, goes_on=goes_on)

    @property
    def _max_nodes(self) -> int:
        return self.world.limits.max_nodes_per_hop

    def _any_head(self, progress: Progress) -> Journey:
        return self.heads[progress.journey_id][-1][2]

    @staticmethod
    def _lets_move(head: Journey, before: Progress) -> bool:
        return head.status is not JourneyStatus.PAUSED or before.status.terminal

    def heads_since(self, journey_id: str, task: Task | None) -> list[Journey]:
        """Every head that a cache may have held since the task began, the newest first."""
        log = self.heads[journey_id]
        oldest = (task.began if task else self.world.baton.now) - HEAD_AGE
        return [head for index, (_, at, head) in reversed(list(enumerate(log))) if self._held(log, index, oldest)]

    @staticmethod
    def _held(log: Sequence[tuple[int, int, Journey]], index: int, oldest: int) -> bool:
        return index == len(log) - 1 or log[index + 1][1] >= oldest

    def _results(self, before: Progress, seen: int) -> list[Effect | None]:
        if before.awaits is None:
            return [None]
        found = [effect for _, effect in self._between(self.effects[before.awaits], seen)]
        return [effect if effect.status.terminal else None for effect in found]

    @staticmethod
    def _between(log: Sequence[tuple[int, T]], seen: int) -> list[tuple[int, T]]:
        """What there was at the read, and what came after it; the newest first."""
        first = max((index for index, (at, _) in enumerate(log) if at <= seen), default=0)
        return list(reversed(log[first:]))

    # Telling

    def now_of(self, task: Task | None) -> timedelta:
        """How long the task has been at work."""
        return moment(self.world.baton.now) - moment(task.began) if task else timedelta(0)

    def _require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Violation(otherwise)

    def _say(self, what: str) -> None:
        self.world.note(what)
