"""How much of everything a load takes: `make capacity`. Arithmetic over what was counted and measured, at list prices.

    capacity.json ──▶ each load: operations a second ─▶ instances, ramp, shards, pushes in flight ─▶ dollars a month
    (`--measure`) └─▶ ten million members at nine o'clock ─▶ minutes, messages, dollars ◀── held to a simulation: `wave.py`

`capacity.md` holds the tables as this prints them, and names every assumption; a test compares the two.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from math import ceil, log
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bench.counting import Ledger, Operations
from bench.reference import count, on_emulators
from infra.cost import MILLION, Prices, per_million, used
from infra.wave import WAVES, Course, Wave, predict, simulate
from sojourn.application.sweep import SHARDS_PER_GROUP
from sojourn.application.workshop import DEFAULT_SHARDS

INPUTS = Path(__file__).with_name("capacity.json")
PRICES = Path(__file__).with_name("prices.json")
MONTH_SECONDS = 30 * 86_400
MEMBERS = 500
PAGE = 500
HOPS = 2
WAVE_MEMBERS = 10 * MILLION
WAVE_RATES = (1_000, 5_000, 20_000)


class Assumed(BaseModel):
    """What is neither counted nor measured here; `capacity.md` says why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    peak: float
    ramp_start: float
    ramp_growth: float
    ramp_minutes: float
    writes_per_shard: float
    push_seconds: float
    push_slow_start: int
    page_rpc_seconds: float
    sweep_seconds: float


class Inputs(BaseModel):
    """Of `members` members in all: operations by stage, CPU with the clients of both emulators in it; waves as simulated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    date: str
    machine: str
    members: int
    stages: dict[str, Operations]
    waves: dict[str, Course]
    assumed: Assumed

    def each(self, stage: str) -> Operations:
        """What one member takes in a stage."""
        return Operations(**self.stages[stage].per(self.members))  # type: ignore[arg-type]  # means are no whole numbers

    @property
    def hop_seconds(self) -> float:
        """CPU of a hop as push runs it, one message at a time; a batch takes less."""
        return self.each("hop").cpu_seconds / HOPS


class Load(BaseModel):
    """Members a second who enter, on average and in the busiest hours; in a steady state as many wake and end."""

    name: str
    mean: float
    busiest: float


def loads(assumed: Assumed) -> list[Load]:
    """The loads of the table: members a month, and log entries a second that never rest."""
    months = [
        Load(name=f"{millions:,} million members a month", mean=mean, busiest=mean * assumed.peak)
        for millions in (10, 100, 1_000)
        for mean in (millions * MILLION / MONTH_SECONDS,)
    ]
    return months + [Load(name=f"{rate:,} entries a second, always", mean=rate, busiest=rate) for rate in (5_000, 20_000)]


def ramp_minutes(rate: float, assumed: Assumed) -> float:
    """Until Firestore may be asked for so many writes a second, from cold (500/50/5)."""
    return max(0, ceil(log(rate / assumed.ramp_start, assumed.ramp_growth))) * assumed.ramp_minutes


def drain_minutes(members: float, rate: float, assumed: Assumed) -> float:
    """Until so many members have been written once, from cold, at most `rate` a second."""
    minutes, allowed = 0.0, assumed.ramp_start
    while allowed < rate and members > allowed * 60 * assumed.ramp_minutes:
        members -= allowed * 60 * assumed.ramp_minutes
        minutes, allowed = minutes + assumed.ramp_minutes, allowed * assumed.ramp_growth
    return minutes + members / (min(allowed, rate) * 60)


def shards(writes: float, assumed: Assumed) -> int:
    """Parts of the sweep's index for so many writes a second, in whole groups once there is more than one."""
    needed = max(DEFAULT_SHARDS, ceil(writes / assumed.writes_per_shard))
    return needed if needed <= SHARDS_PER_GROUP else ceil(needed / SHARDS_PER_GROUP) * SHARDS_PER_GROUP


def instances(rate: float, seconds: float, prices: Prices) -> int:
    """Of one vCPU, for so many invocations a second."""
    return ceil(rate * seconds / prices.assumed.utilisation)


def instance_month(prices: Prices) -> float:
    """Dollars for an instance that never rests."""
    gib = prices.assumed.gib_per_function * prices.run_instance_gib_second_million
    return MONTH_SECONDS / MILLION * (prices.run_instance_vcpu_second_million + gib)


def hop_dollars(inputs: Inputs, prices: Prices) -> float:
    """What a million pushed hops cost that pulled ones do not: requests, CPU by the request, a line for each."""
    lines = used(inputs.each("hop"), prices, scale=MILLION / HOPS)
    return sum(amount for name, amount in lines.items() if name.startswith("Cloud"))


def load_table(inputs: Inputs, prices: Prices) -> str:
    """What each load takes at its busiest, and dollars a month with hops pushed and pulled."""
    assumed, each = inputs.assumed, sum((inputs.each(stage) for stage in ("enter", "hop", "sweep")), Operations())
    million = sum(per_million(Ledger(dict(inputs.stages)), prices, members=inputs.members).values())
    rows: list[Sequence[object]] = []
    for load in loads(assumed):
        writes, hops = load.busiest * each.writes, load.busiest * HOPS
        entering = instances(load.busiest, inputs.each("enter").cpu_seconds, prices)
        hopping = instances(hops, inputs.hop_seconds, prices)
        members = load.mean * MONTH_SECONDS / MILLION
        saved = members * HOPS * hop_dollars(inputs, prices) - hopping * instance_month(prices)
        rows.append(
            (
                load.name,
                f"{load.busiest:,.0f}",
                f"{writes:,.0f}",
                f"{load.busiest * each.reads:,.0f}",
                f"{load.busiest * (1 + each.messages):,.0f}",
                f"{entering} + {hopping}",
                f"{ramp_minutes(writes, assumed):.0f}",
                shards(writes, assumed),
                f"{hops * assumed.push_seconds:,.0f}",
                ceil(hops * assumed.push_seconds / assumed.push_slow_start),
                f"{members * million:,.0f}",
                f"{members * million - saved:,.0f}",
            )
        )
    head = ("load", "members/s", "writes/s", "reads/s", "messages/s", "instances: ingest + run_journey", "ramp from cold, min")
    pushes = ("pushes in flight", "subscriptions for them")
    return _table((*head, "shards", *pushes, "$ a month, push", "$ a month, hops pulled"), rows)


def wave_table(inputs: Inputs, prices: Prices) -> str:
    """Ten million members who are due in one minute, by how many hops a second the rest of the system takes."""
    assumed, rows = inputs.assumed, list[Sequence[object]]()
    for rate in WAVE_RATES:
        scaled = Wave("", WAVES[0].members, round(rate * 60 * WAVES[0].members / WAVE_MEMBERS))
        ordered, shuffled = predict(scaled), predict(replace(scaled, shuffled=True))
        parts = shards(2 * rate, assumed)
        stale = (ordered.messages - 1) * (hop_dollars(inputs, prices) + 2 * prices.firestore_read_million)
        dollars = WAVE_MEMBERS / MILLION * (stale + ordered.bumps * prices.firestore_write_million)
        rows.append(
            (
                f"{rate:,}",
                instances(rate, inputs.hop_seconds, prices),
                parts,
                f"{WAVE_MEMBERS / rate / 60:.0f}",
                f"{drain_minutes(WAVE_MEMBERS, rate, assumed):.0f}",
                f"{WAVE_MEMBERS / sweep_minute(inputs, parts):.0f}",
                f"{ordered.messages:.1f}",
                f"{shuffled.drained}",
                f"{dollars:,.0f}",
            )
        )
    head = ("hops/s", "instances", "shards", "minutes, warm", "minutes, cold", "minutes, as the sweep hands over")
    return _table((*head, "all at once: messages a member", "minutes, in any order", "$ for what comes again"), rows)


def sweep_minute(inputs: Inputs, parts: int) -> float:
    """Messages that the sweeps of all groups publish before Cloud Run ends them: a page is asked for, computed, published."""
    page_seconds = PAGE * inputs.each("sweep").cpu_seconds + inputs.assumed.page_rpc_seconds
    return ceil(parts / SHARDS_PER_GROUP) * PAGE * inputs.assumed.sweep_seconds / page_seconds


def even_table(inputs: Inputs, prices: Prices) -> str:
    """From which load on a worker that never rests is cheaper than pushes."""
    saved, month = hop_dollars(inputs, prices), instance_month(prices)
    rows: list[Sequence[object]] = [
        ("a million pushed hops: requests, CPU, lines", f"${saved:.2f}"),
        ("a worker for a month", f"${month:.2f}"),
        ("hops a month at which they are even", f"{month / saved:,.0f} million"),
        ("the same, hops a second on average", f"{month / saved * MILLION / MONTH_SECONDS:.0f}"),
        ("hops a second that a worker of one vCPU takes, at least", f"{prices.assumed.utilisation / inputs.hop_seconds:.0f}"),
    ]
    return _table(("", ""), rows)


def check_table(inputs: Inputs) -> str:
    """The model beside the simulation, wave by wave."""
    rows: list[Sequence[object]] = []
    for wave in WAVES:
        for who, course in (("model", predict(wave)), ("simulation", inputs.waves[wave.name])):
            figures = (course.drained, course.emptied, f"{course.messages:.2f}", f"{course.bumps:.2f}", course.most)
            rows.append((wave.name, who, *figures))
    head = ("20,000 members due at once", "", "minutes until all have moved", "until the queue is empty")
    return _table((*head, "messages a member", "bumps a member", "most messages of a member"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def tables(inputs: Inputs, prices: Prices) -> list[str]:
    """All tables of `capacity.md`, in its order."""
    return [load_table(inputs, prices), even_table(inputs, prices), wave_table(inputs, prices), check_table(inputs)]


def read() -> tuple[Inputs, Prices]:
    """The stored inputs, and the prices."""
    return Inputs.model_validate_json(INPUTS.read_bytes()), Prices.model_validate_json(PRICES.read_bytes())


def main() -> None:
    """Print the tables, after measuring anew where that is asked for."""
    parser = argparse.ArgumentParser(description="Instances, shards, ramp and dollars of a load.")
    parser.add_argument("--measure", metavar="machine", help="first count, measure and simulate anew on this machine")
    machine = parser.parse_args().measure
    inputs, prices = read()
    if machine:
        inputs = _measured(inputs, machine)
        INPUTS.write_text(inputs.model_dump_json(indent=2) + "\n")
    sys.stdout.write("\n".join(tables(inputs, prices)))


def _measured(inputs: Inputs, machine: str) -> Inputs:
    with on_emulators() as cloud:
        ledger = count(cloud, members=MEMBERS)
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine,
        "members": MEMBERS,
        "stages": {name: asdict(ledger.stages[name]) for name in ("enter", "hop", "sweep")},
        "waves": {wave.name: asdict(simulate(wave)) for wave in WAVES},
    }
    return Inputs.model_validate(inputs.model_dump() | found)


if __name__ == "__main__":
    main()
