"""What may go wrong, and the swarm: each seed switches a random part of it on, so that faults do not hide each other.

Source: Groce et al., Swarm Testing, ISSTA 2012; FoundationDB and TigerBeetle's VOPR do likewise.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

FAULTS: dict[str, tuple[float, ...]] = {
    # Pub/Sub
    "duplicate": (0.05, 0.3),
    "delay": (0.05, 0.3),
    "drop": (0.02, 0.15),
    "publish_fails": (0.02, 0.1),
    "tick_lost": (0.3,),
    # Instances
    "crash_before_commit": (0.01, 0.05),
    "crash_after_commit": (0.01, 0.05),
    "crash_before_publish": (0.01, 0.05),
    "crash_after_publish": (0.01, 0.05),
    "crash_around_delivery": (0.02, 0.1),
    "stall": (0.005, 0.02),
    "slow_call": (0.1, 0.4),
    "skew": (1.0,),
    # The store
    "applied_answered_unknown": (0.02, 0.15),
    "applied_answered_conflict": (0.02, 0.15),
    "not_applied_answered_unknown": (0.02, 0.15),
    "read_unavailable": (0.005, 0.03),
    # Channels
    "channel_refuses": (0.1, 0.4),
    "channel_busy": (0.1, 0.5),
    "channel_slow": (0.1, 0.3),
    "channel_answer_lost": (0.1, 0.3),
    # Producers
    "event_late": (0.1, 0.4),
    "event_twice": (0.1, 0.4),
    "event_on_boundary": (0.3, 0.8),
    # Operators; the rate is that of each of a few chances
    "pause": (0.6, 1.0),
    "republish": (0.5, 1.0),
    "end": (0.3,),
    "operator": (0.3, 1.0),
}
"""Each fault with the rates that it may have where it is on."""


@dataclass(frozen=True, slots=True)
class Swarm:
    """The faults of a seed and their rates."""

    rates: dict[str, float]

    def without(self, names: Collection[str]) -> Swarm:
        """The same swarm less some faults."""
        return Swarm({name: rate for name, rate in self.rates.items() if name not in names})

    def __str__(self) -> str:
        return ", ".join(f"{name} {rate:g}" for name, rate in self.rates.items()) or "none"


def draw_swarm(dice: Random) -> Swarm:
    """One seed in sixteen has no fault at all: interleaving alone."""
    if dice.random() < 1 / 16:
        return Swarm({})
    share = dice.choice((0.2, 0.5, 0.8))
    return Swarm({name: dice.choice(rates) for name, rates in FAULTS.items() if dice.random() < share})
