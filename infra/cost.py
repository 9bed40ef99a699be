"""What it costs: `make cost`. Operations are counted on the reference journey, prices stand in `prices.json`, with their date.

    per member   log line ─ ingest ─ hop ─ (a day) ─ sweep ─ hop ─ end; the share of the sweep is the query's one read each
    idle         the minute tick of a system in which nothing is due, 43,200 times a month

Free tiers are left out. CPU is what this process used, clients of the services included. A busy instance shares its time among
requests; the tick of an idle system is billed for the time it takes, whoever it waits for, so each read adds `rpc_seconds`.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bench.counting import Ledger, Operations
from bench.reference import IDLE_TICKS, count, on_emulators, on_memory
from emulator.functions_table import REPOSITORY

MEMBERS = 200
MILLION, GIB, TIB = 1_000_000, 2**30, 2**40
ALERTS = len(re.findall(r"^\s+title\s+=", (REPOSITORY / "infra" / "alerts.tf").read_text(), re.MULTILINE))


class Assumed(BaseModel):
    """What is neither counted nor a price."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    month_minutes: int
    gib_per_function: float
    billing_step_seconds: float
    rpc_seconds: float
    utilisation: float
    summary_line_bytes: int
    log_entry_bytes: int
    progress_bytes: int
    retention_months: float


class Prices(BaseModel):
    """List prices in dollars; each name says for what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: str
    region: str
    currency: str
    sources: str
    firestore_read_million: float
    firestore_write_million: float
    firestore_delete_million: float
    firestore_gib_month: float
    firestore_backup_gib_month: float
    pubsub_tib: float
    run_request_million: float
    run_vcpu_second_million: float
    run_gib_second_million: float
    run_instance_vcpu_second_million: float
    run_instance_gib_second_million: float
    logging_gib: float
    scheduler_job_month: float
    alert_condition_month: float
    alert_series_million: float
    assumed: Assumed


def main() -> None:
    """Count, and print both tables."""
    parser = argparse.ArgumentParser(description="What a million members and an idle month cost.")
    parser.add_argument(
        "--emulators", action="store_true", help="count on Google's emulators; on memory the counts are the same"
    )
    parser.add_argument("--json", action="store_true", help="for machines")
    asked = parser.parse_args()
    prices = Prices.model_validate_json((Path(__file__).parent / "prices.json").read_bytes())
    if asked.emulators:
        with on_emulators() as cloud:
            ledger = count(cloud, members=MEMBERS)
    else:
        ledger = count(on_memory(), members=MEMBERS)
    tables = {"a million members": per_million(ledger, prices, members=MEMBERS), "an idle month": idle_month(ledger, prices)}
    sys.stdout.write(json.dumps(tables, indent=2) + "\n" if asked.json else _printed(tables, prices))


def per_million(ledger: Ledger, prices: Prices, *, members: int) -> dict[str, float]:
    """Dollars by line for a million members of the reference journey, from the log line to the end; `members` were counted."""
    stages = [ledger.stages[name] for name in ("enter", "hop", "sweep")]
    each = sum(stages, Operations())
    assumed = prices.assumed
    lines = used(each, prices, scale=MILLION / members)
    pushed = each.messages + members  # the log entries themselves, which the sink publishes
    lines["Pub/Sub"] = (each.message_bytes * 2 + members * 2 * assumed.log_entry_bytes) / TIB * prices.pubsub_tib
    lines["Pub/Sub"] *= MILLION / members
    lines["Cloud Run requests"] = pushed / members * prices.run_request_million
    stored = MILLION * assumed.progress_bytes / GIB * prices.firestore_gib_month * assumed.retention_months
    return lines | {"Firestore storage": stored, "Firestore deletes by TTL": prices.firestore_delete_million}


def idle_month(ledger: Ledger, prices: Prices) -> dict[str, float]:
    """Dollars by line for a month in which nobody does anything."""
    ticks = prices.assumed.month_minutes
    lines = used(ledger.stages["idle"], prices, scale=ticks / IDLE_TICKS)
    lines["Pub/Sub"] = ticks * 2 * 1_000 / TIB * prices.pubsub_tib
    lines["Cloud Scheduler, one job"] = prices.scheduler_job_month
    series = ALERTS * ticks / MILLION * prices.alert_series_million
    return lines | {f"Cloud Monitoring, {ALERTS} alerts": ALERTS * prices.alert_condition_month + series}


def used(operations: Operations, prices: Prices, *, scale: float) -> dict[str, float]:
    """What operations cost wherever they come from, `scale` times."""
    assumed = prices.assumed
    seconds = _billed_seconds(operations, assumed)
    lines = {
        "Firestore reads": operations.reads * prices.firestore_read_million,
        "Firestore writes": operations.writes * prices.firestore_write_million,
        "Cloud Run requests": operations.invocations * prices.run_request_million,
        "Cloud Run vCPU": seconds * prices.run_vcpu_second_million,
        "Cloud Run memory": seconds * assumed.gib_per_function * prices.run_gib_second_million,
        "Cloud Logging, summary lines": operations.invocations
        * assumed.summary_line_bytes
        * MILLION
        / GIB
        * prices.logging_gib,
    }
    return {name: amount * scale / MILLION for name, amount in lines.items()}


def _billed_seconds(operations: Operations, assumed: Assumed) -> float:
    """Busy instances share their time among requests; one that is called once a minute is billed in steps."""
    if operations.messages == 0 and operations.writes == 0:
        each = operations.cpu_seconds / operations.invocations + operations.reads / operations.invocations * assumed.rpc_seconds
        return operations.invocations * math.ceil(each / assumed.billing_step_seconds) * assumed.billing_step_seconds
    return operations.cpu_seconds / assumed.utilisation


def _printed(tables: Mapping[str, Mapping[str, float]], prices: Prices) -> str:
    text = f"List prices of {prices.as_of}, {prices.region}, without free tiers; {MEMBERS} members counted\n"
    for title, lines in tables.items():
        text += f"\n{title}\n" + "".join(f"  {name:<34} ${amount:>8.2f}\n" for name, amount in lines.items())
        text += f"  {'in all':<34} ${sum(lines.values()):>8.2f}\n"
    return text


if __name__ == "__main__":
    main()
