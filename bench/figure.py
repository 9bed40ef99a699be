"""Figures: the median of several samples, with the least and the greatest, and the target where there is one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

REFERENCE_LOOPS = 200_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `met`: whether it is as it should be; None where nothing is asked for."""

    item: str
    name: str
    value: float
    low: float
    high: float
    unit: str
    target: str = ""
    met: bool | None = None

    @property
    def asked(self) -> str:
        """The target, and whether it is met; empty where nothing is asked for."""
        return "" if self.met is None else f"{self.target}: {'met' if self.met else '**missed**'}"


def figure(
    item: str, name: str, samples: Sequence[float], unit: str, *, least: float | None = None, most: float | None = None
) -> Figure:
    """The median of the samples; the target is at `least` or at `most` so much."""
    value = median(samples)
    bounds: list[tuple[str, float | None, Callable[[float], bool]]] = [
        ("at least", least, lambda bound: value >= bound),
        ("at most", most, lambda bound: value <= bound),
    ]
    asked = [(f"{word} {bound:,g}", holds(bound)) for word, bound, holds in bounds if bound is not None]
    target, met = asked[0] if asked else ("", None)
    return Figure(item, name, value, min(samples), max(samples), unit, target, met)


def rated(sample: Callable[[], tuple[int, float]], runs: int) -> tuple[list[float], list[float]]:
    """Of samples of (operations, seconds): operations a second, and their ratios to a reference loop beside each.

    The loop makes sha256 digests of 64 bytes: plain CPU, no allocation to speak of.
    """
    rates, ratios = list[float](), list[float]()
    for _ in range(runs):
        reference = _reference_per_second()
        operations, seconds = sample()
        rates.append(operations / seconds)
        ratios.append(rates[-1] / reference)
    return rates, ratios


def _reference_per_second() -> float:
    block = b"x" * 64
    begin = time.perf_counter()
    for _ in range(REFERENCE_LOOPS):
        hashlib.sha256(block).digest()
    return REFERENCE_LOOPS / (time.perf_counter() - begin)


def number(value: float) -> str:
    """With as many digits as say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def markdown(figures: Sequence[Figure]) -> str:
    """A table: median, least and greatest, target."""
    rows = [
        f"| {one.item} | {one.name} | {number(one.value)} {one.unit} | {number(one.low)}–{number(one.high)} | {one.asked} |"
        for one in figures
    ]
    return "\n".join(["| item | | median | range | target |", "|---|---|---|---|---|", *rows])
