"""One firing over a large audience on the emulators: `python -m bench.enroll`. Nobody twice, nobody missed, and how fast.

Every message is delivered twice, and the function is killed on the way. Only `enroll` runs: hops are measured
elsewhere, and would share this machine's cores.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from emulator.functions_table import FunctionsTable, load_functions_table
from emulator.local_cloud import LOCATION, LocalCloud, LocalCloudSettings
from emulator.scheduler import connect
from sojourn.application.lifecycle import publish_journey
from sojourn.application.records import CommitResult, Create, Question
from sojourn.application.schedule_jobs import job_name
from sojourn.application.workshop import Workshop
from sojourn.domain.definition import Definition
from sojourn.domain.enrollment import Enrollment, scheduled_event
from sojourn.domain.errors import Unavailable
from sojourn.domain.ids import progress_id
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress
from sojourn.runtime.application import compose
from sojourn.runtime.settings import read_settings

BOT, JOURNEY, NODE = "bench", "bench-newsletter", "clock"
FILTER = "member.attributes.number >= 0"
MEMBERS_PER_WRITE = 5_000
JAVA_OPTIONS = "-Xms4g -Xmx6g -Xmn2g -XX:TieredStopAtLevel=4"
"""For the emulators: Firestore's keeps everything in memory and walks the whole collection for each query."""
POLL_SECONDS = 1.0
"""The bench looks how far the firing is."""
TIMEOUT_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one firing did."""

    members: int
    entries: int
    different_members: int
    seconds: float
    kills: int


def journey() -> Definition:
    """Members could enter any number of times: that each does once is the enrollment's doing, not the repeat rule's."""
    nodes: list[dict[str, object]] = [
        {
            "id": NODE,
            "key": "schedule",
            "settings": {"cron": "0 0 1 1 *", "audience": {"filter": FILTER}},
        },
        {"id": "rest", "key": "wait", "settings": {"duration": "1d"}},
        {"id": "end", "key": "exit"},
    ]
    paths = [{"source": NODE, "target": "rest"}, {"source": "rest", "target": "end"}]
    settings = {"repeat_journey_times": None, "while_active": "allow"}
    raw = {"id": JOURNEY, "bot_id": BOT, "name": "Bench", "settings": settings, "nodes": nodes, "node_paths": paths}
    return Definition.model_validate(raw)


def write_members(shop: Workshop, members: int) -> None:
    """The audience, as an import would write it."""
    now = datetime.now(UTC)
    for start in range(0, members, MEMBERS_PER_WRITE):
        numbers = range(start, min(start + MEMBERS_PER_WRITE, members))
        some = [_member(number, now) for number in numbers]
        results = shop.commit_many([(Create(one),) for one in some])
        assert set(results) == {CommitResult.APPLIED}, set(results)


def _member(number: int, now: datetime) -> Member:
    return Member(BOT, f"m{number}", {"number": number}, None, None, {}, 1, f"t{number}", now)


def fire(cloud: LocalCloud, shop: Workshop, *, members: int, kills: int) -> float:
    """Run the job, kill the function at even distances on the way, wait for the end: the seconds it took."""
    begin = time.perf_counter()
    with connect(cloud.addresses.scheduler_emulator_host or "") as client:
        parent = f"projects/{cloud.settings.project}/locations/{LOCATION}"
        client.run_job(name=f"{parent}/jobs/{job_name(JOURNEY, NODE)}")
    kill_at = [members * turn // (kills + 1) for turn in range(1, kills + 1)]
    while time.perf_counter() - begin < TIMEOUT_SECONDS:
        time.sleep(POLL_SECONDS)
        enrollment = _enrollment(shop)
        if enrollment is None:
            continue
        sys.stderr.write(f"\r{time.perf_counter() - begin:5,.0f} s: {enrollment.members:,} members")
        if enrollment.done:
            return time.perf_counter() - begin
        if kill_at and enrollment.members >= kill_at[0]:
            kill_at.pop(0)
            os.kill(cloud.addresses.functions["enroll"].pid, signal.SIGKILL)
        if enrollment.look_at <= datetime.now(UTC):
            cloud.tick()
    raise TimeoutError(f"not through after {TIMEOUT_SECONDS:,.0f} s")


def _enrollment(shop: Workshop) -> Enrollment | None:
    """None where there is none yet, and where the emulator is too busy to say."""
    try:
        return next(shop.store.scan(Enrollment), None)
    except Unavailable:
        return None


def measure(members: int, *, kills: int) -> Result:
    """A cloud of its own, filled, fired and counted."""
    os.environ.setdefault("_JAVA_OPTIONS", JAVA_OPTIONS)
    table = load_functions_table()
    functions = {name: spec for name, spec in table.functions.items() if name in ("enroll", "sweep")}
    only = FunctionsTable(runtime=table.runtime, topics=table.topics, functions=functions)
    with tempfile.TemporaryDirectory() as folder:
        settings = LocalCloudSettings(state_dir=Path(folder), copies=2, ticking=False, table=only)
        with LocalCloud(settings, say=_say) as cloud:
            shop = compose(read_settings(cloud.environment))
            write_members(shop, members)
            publish_journey(shop, journey())
            seconds = fire(cloud, shop, members=members, kills=kills)
            entries = shop.store.tally_many([Question(Progress, {"journey_id": JOURNEY})])[0].count
            return Result(members, entries, _members_inside(shop, members), seconds, kills)


def _members_inside(shop: Workshop, members: int) -> int:
    """How many have the progress of this firing."""
    enrollment = next(shop.store.scan(Enrollment))
    everybody = (_member(number, enrollment.fired_at) for number in range(members))
    events = (scheduled_event(enrollment, one) for one in everybody)
    ids = [progress_id(BOT, JOURNEY, event.member_id, event.id) for event in events]
    return sum(found is not None for found in shop.store.get_many(Progress, ids))


def _say(source: str, text: str) -> None:
    if text.startswith(("ERROR", "CRITICAL", "WARNING")):
        sys.stderr.write(f"\n{source}: {text[:2_000]}\n")


def main() -> None:
    """Exit code 1 where somebody was missed or entered twice."""
    parser = argparse.ArgumentParser(description="Enroll a large audience by one firing, on the emulators.")
    parser.add_argument("--members", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--kills", type=int, default=3, help="times the function is killed on the way; default: %(default)s")
    asked = parser.parse_args()
    result = measure(asked.members, kills=asked.kills)
    sys.stdout.write(
        f"\n{result.members:,} members, {result.entries:,} entries of {result.different_members:,} members in "
        f"{result.seconds:,.1f} s: {result.entries / result.seconds:,.0f} /s; killed {result.kills} times\n"
    )
    sys.exit(result.entries != result.members or result.different_members != result.members)


if __name__ == "__main__":
    main()
