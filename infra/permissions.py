"""Who may do what: the tables in `infra/permissions.md`, generated from the plans of two environments.

A test compares them, so no permission is added without somebody reading this table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.terraform import plan

TABLE = Path(__file__).parent / "permissions.md"
HEAD = """\
# Who may do what

Generated from the plan of `environments/production.tfvars` by `.venv/bin/python -m infra.permissions`. No line is added
without a reason: `tests/infra/test_permissions.py` compares.

| who | role | on |
|---|---|---|
"""
PULLED = """
Where a function is pulled (`environments/busy.tfvars`: run_journey) there is one line more and one less. The workers have the
function's account, so everything else is the same.

| | who | role | on |
|---|---|---|---|
"""

# What the addresses of the grants say: whom the role is given, and on what. {0} and {1} are the parts of the key.
GRANTS: Mapping[str, tuple[str, str]] = {
    "google_cloud_run_v2_service_iam_member.api": ("{0}", "function api"),
    "google_cloud_run_v2_service_iam_member.push": ("push", "function {0}"),
    "google_project_iam_member.build": ("build", "project"),
    "google_project_iam_member.build_sources": ("build", "bucket gcf-v2-sources of the region"),
    "google_project_iam_member.documents": ("{0}", "database of the environment"),
    "google_project_iam_member.jobs": ("{0}", "project"),
    "google_project_iam_member.traces": ("{0}", "project"),
    "google_pubsub_subscription_iam_member.dead_letters": ("Pub/Sub's agent", "subscription {0}"),
    "google_pubsub_subscription_iam_member.drain": ("{0}", "subscription journey-dead-letters-pull"),
    "google_pubsub_subscription_iam_member.pull": ("{0}", "subscription {0}"),
    "google_pubsub_topic_iam_member.dead_letters": ("Pub/Sub's agent", "topic journey-dead-letters"),
    "google_pubsub_topic_iam_member.function": ("{0}", "topic {1}"),
    "google_pubsub_topic_iam_member.sink": ("Cloud Logging's sink", "topic journey-events"),
    "google_secret_manager_secret_iam_member.channel": ("{0}", "secret of {1}"),
    "google_storage_bucket_iam_member.build": ("build", "bucket of archives"),
}


def main() -> None:
    """Write the tables anew."""
    TABLE.write_text(tables(plan("production"), plan("busy")))
    sys.stdout.write(f"{TABLE.name} is written\n")


def tables(planned: Mapping[str, Any], pulled: Mapping[str, Any]) -> str:
    """In Markdown: every grant in a plan, and what another says about the functions that it pulls.

    Raises KeyError for a grant that nobody has described here.
    """
    here, there = set(grants(planned)), set(grants(pulled))
    names = {change["index"] for change in pulled["resource_changes"] if change["type"] == "google_cloud_run_v2_worker_pool"}
    about = {row for row in here ^ there if row[0] in names or row[2] in {f"function {name}" for name in names}}
    rows = "".join(f"| {who} | `{role}` | {on} |\n" for who, role, on in sorted(here))
    changed = [(("more" if row in there else "less"), *row) for row in sorted(about)]
    return HEAD + rows + PULLED + "".join(f"| {how} | {who} | `{role}` | {on} |\n" for how, who, role, on in changed)


def grants(planned: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(who, role, on what) for each IAM resource of the plan."""
    for change in planned["resource_changes"]:
        if "_iam_" not in change["type"] or change["type"] == "google_project_iam_custom_role":
            continue
        key = (*str(change.get("index", "")).split("/"), "")
        who, on = GRANTS[f"{change['type']}.{change['name']}"]
        role = change["change"]["after"].get("role") or "the custom role for jobs"
        yield who.format(*key), role, on.format(*key)


if __name__ == "__main__":
    main()
