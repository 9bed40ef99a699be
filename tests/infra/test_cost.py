"""What it costs follows from counted operations and listed prices; memory and emulators count the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.counting import Ledger, Operations
from bench.reference import count, on_emulators, on_memory
from infra.cost import Prices, idle_month, per_million

PRICES = Prices.model_validate_json((Path(__file__).parents[2] / "infra" / "prices.json").read_bytes())
MEMBERS = 20
IDLE_LIMIT_DOLLARS = 3.0
COUNTED = ("invocations", "reads", "writes", "deletes", "messages", "message_bytes")


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return count(on_memory(), members=MEMBERS)


def counts(operations: Operations) -> list[float]:
    return [getattr(operations, name) for name in COUNTED]


def test_a_member_costs_three_writes_at_most_four_reads_and_two_messages(ledger: Ledger) -> None:
    each = sum((ledger.stages[name] for name in ("enter", "hop", "sweep")), Operations()).per(MEMBERS)
    assert each["writes"] == pytest.approx(3, abs=0.1)
    assert each["reads"] <= 4
    assert each["messages"] == pytest.approx(2, abs=0.1)


def test_an_idle_tick_writes_and_publishes_nothing(ledger: Ledger) -> None:
    idle = ledger.stages["idle"]
    assert (idle.writes, idle.deletes, idle.messages) == (0, 0, 0)


def test_an_idle_month_stays_under_three_dollars(ledger: Ledger) -> None:
    assert 0 < sum(idle_month(ledger, PRICES).values()) < IDLE_LIMIT_DOLLARS


def test_prices_are_applied_to_counts() -> None:
    ledger = Ledger({"enter": Operations(1, 0, 20), "hop": Operations(2, 40, 40), "sweep": Operations(1, 20, 0)})
    lines = per_million(ledger, PRICES, members=20)
    assert lines["Firestore writes"] == pytest.approx(3 * PRICES.firestore_write_million)
    assert lines["Firestore reads"] == pytest.approx(3 * PRICES.firestore_read_million)


@pytest.mark.emulators
@pytest.mark.slow
def test_the_emulators_count_what_memory_counts(ledger: Ledger) -> None:
    with on_emulators() as cloud:
        on_google = count(cloud, members=MEMBERS)
    assert {stage: counts(one) for stage, one in on_google.stages.items()} == {
        stage: counts(one) for stage, one in ledger.stages.items()
    }
