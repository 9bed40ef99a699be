"""What would be deployed, from the plan's JSON: the topics, subscriptions, deadlines and functions of a laptop; workers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import yaml

from emulator.functions_table import REPOSITORY, load_functions_table
from emulator.local_cloud import SINK_FILTER
from infra.terraform import ENVIRONMENTS
from sojourn.domain.effect import LEASE_SECONDS
from sojourn.runtime import worker
from sojourn.runtime.settings import VARIABLES, read_settings
from tests.infra.conftest import Plan

TABLE = load_functions_table()
PLATFORM = {"THREADS"}
"""Variables that functions-framework reads, not we."""
SUBSCRIPTION = VARIABLES["subscription"]
"""What a worker has beside the variables of a function."""

pytestmark = pytest.mark.slow


def prefix(planned: Plan) -> str:
    """What the names of an environment begin with."""
    return f"{planned.raw['variables']['prefix']['value']}-"


def test_topics_are_those_of_the_local_stack(planned: Plan) -> None:
    names = {topic["name"].removeprefix(prefix(planned)) for topic in planned.keyed("google_pubsub_topic", "this").values()}
    assert names == set(TABLE.topics)


def test_subscriptions_have_the_deadlines_and_limits_of_the_local_stack(planned: Plan) -> None:
    def read(after: dict[str, Any]) -> tuple[object, ...]:
        retry, dead = after["retry_policy"][0], after["dead_letter_policy"][0]
        return (
            after["ack_deadline_seconds"],
            retry["minimum_backoff"],
            retry["maximum_backoff"],
            dead["max_delivery_attempts"],
            after["expiration_policy"][0]["ttl"],
        )

    found = {key: read(after) for key, after in planned.keyed("google_pubsub_subscription", "function").items()}
    assert found == {
        name: (
            spec.ack_deadline_seconds,
            f"{spec.minimum_backoff_seconds}s",
            f"{spec.maximum_backoff_seconds}s",
            spec.max_delivery_attempts,
            "",
        )
        for name, spec in TABLE.functions.items()
    }


def pulled(planned: Plan) -> set[str]:
    """The functions that workers drive in an environment: what it says itself, else the table."""
    said: dict[str, str] = planned.raw["variables"]["drivers"]["value"]
    return {name for name, spec in TABLE.functions.items() if said.get(name, spec.driver) == "pull"}


def test_a_function_is_pushed_to_or_has_workers_and_never_both(planned: Plan) -> None:
    names = {name: f"{prefix(planned)}{name.replace('_', '-')}" for name in TABLE.functions}
    subscriptions = planned.keyed("google_pubsub_subscription", "function")
    assert {name: after["name"] for name, after in subscriptions.items()} == names
    pushed = {name for name, after in subscriptions.items() if after["push_config"]}
    invited = set(planned.keyed("google_cloud_run_v2_service_iam_member", "push"))
    assert pushed == invited == set(TABLE.functions) - pulled(planned)
    pools = planned.keyed("google_cloud_run_v2_worker_pool", "this")
    pullers = planned.keyed("google_pubsub_subscription_iam_member", "pull")
    assert set(pools) == set(pullers) == pulled(planned)
    assert {name: after["name"] for name, after in pools.items()} == {name: f"{names[name]}-worker" for name in pools}
    assert all(after["subscription"] == names[name] for name, after in pullers.items())


def test_there_is_an_environment_of_either_driver() -> None:
    texts = [path.read_text() for path in ENVIRONMENTS.values()]
    assert 0 < sum('"pull"' in text for text in texts) < len(texts)


def test_workers_have_the_size_of_the_function_and_an_image_of_the_environment(planned: Plan) -> None:
    for name, pool in planned.keyed("google_cloud_run_v2_worker_pool", "this").items():
        spec, (container,) = TABLE.functions[name], pool["template"][0]["containers"]
        assert container["resources"][0]["limits"] == {"cpu": str(spec.cpu), "memory": f"{spec.memory_mib}Mi"}
        assert pool["scaling"][0]["manual_instance_count"] == max(1, spec.min_instances)
        assert f"/{prefix(planned)}workers/{name}:" in container["image"]
        assert pool["deletion_protection"] is False


def test_an_image_is_named_by_the_digest_of_the_archive_that_it_is_built_from(planned: Plan) -> None:
    images = planned.raw["planned_values"]["outputs"]["worker_images"]["value"]
    archives = planned.keyed("google_storage_bucket_object", "archive")
    assert set(images) == set(TABLE.functions)
    for name, image in images.items():
        digest = archives[name]["name"].removeprefix(f"{name}-").removesuffix(".zip")
        assert image.endswith(f"/{prefix(planned)}workers/{name}:{digest}")


def test_an_image_is_built_for_the_interpreter_of_the_functions_and_starts_the_worker() -> None:
    build = yaml.safe_load((REPOSITORY / "infra" / "worker_image.yaml").read_text())
    (step,) = build["steps"]
    given = dict(argument.removeprefix("--env=").split("=", 1) for argument in step["args"] if argument.startswith("--env="))
    version = given["GOOGLE_PYTHON_VERSION"].removesuffix(".x")
    assert TABLE.runtime == f"python{version.replace('.', '')}"
    assert given["GOOGLE_ENTRYPOINT"] == f"python -m {worker.__name__}"


def test_functions_have_the_limits_of_the_table(planned: Plan) -> None:
    def read(after: dict[str, Any]) -> tuple[object, ...]:
        build, service = after["build_config"][0], after["service_config"][0]
        return (
            build["runtime"],
            build["entry_point"],
            service["available_memory"],
            service["timeout_seconds"],
            service["max_instance_request_concurrency"],
            service["max_instance_count"],
            service["min_instance_count"],
        )

    found = {key: read(after) for key, after in planned.keyed("google_cloudfunctions2_function", "this").items()}
    assert found == {
        name: (
            TABLE.runtime,
            spec.entry_point,
            f"{spec.memory_mib}Mi",
            spec.timeout_seconds,
            spec.concurrency,
            spec.max_instances,
            0 if name in pulled(planned) else spec.min_instances,
        )
        for name, spec in TABLE.everything.items()
    }


def test_a_hop_is_over_before_its_message_comes_again_and_before_its_lease_ends(planned: Plan) -> None:
    functions = planned.keyed("google_cloudfunctions2_function", "this")
    for name, subscription in planned.keyed("google_pubsub_subscription", "function").items():
        timeout = functions[name]["service_config"][0]["timeout_seconds"]
        assert timeout <= subscription["ack_deadline_seconds"]
        assert timeout < LEASE_SECONDS


def test_the_sink_has_the_filter_that_the_local_log_router_evaluates(planned: Plan) -> None:
    ((_, _, sink),) = planned.all("google_logging_project_sink")
    assert sink["filter"] == SINK_FILTER.read_text()
    excluded = [after["filter"] for _, _, after in planned.all("google_logging_project_exclusion")]
    assert excluded in ([], [SINK_FILTER.read_text()])


def test_every_function_starts_with_settings_that_it_understands(planned: Plan) -> None:
    for name, after in planned.keyed("google_cloudfunctions2_function", "this").items():
        service = after["service_config"][0]
        environment = service["environment_variables"]
        assert set(environment) - set(VARIABLES.values()) - PLATFORM == set(), name
        secrets = {secret["key"]: "a value that only the function sees" for secret in service["secret_environment_variables"]}
        settings = read_settings(environment | secrets)
        assert (settings.prefix, settings.database + "-") == (prefix(planned), prefix(planned))


def test_a_worker_starts_with_the_settings_of_its_function_and_its_subscription(planned: Plan) -> None:
    functions = planned.keyed("google_cloudfunctions2_function", "this")
    for name, pool in planned.keyed("google_cloud_run_v2_worker_pool", "this").items():
        environment = {env["name"]: env["value"] for env in pool["template"][0]["containers"][0]["env"]}
        expected = functions[name]["service_config"][0]["environment_variables"]
        assert environment.pop(SUBSCRIPTION) == name.replace("_", "-")
        assert environment == {variable: value for variable, value in expected.items() if variable not in PLATFORM}


def test_indexes_and_lifetimes_are_those_that_the_queries_were_checked_against(planned: Plan) -> None:
    wanted = json.loads((REPOSITORY / "infra" / "firestore_indexes.json").read_text())
    composites = [
        (after["collection"], [(field["field_path"], field["order"] or field["array_config"]) for field in after["fields"]])
        for _, _, after in planned.all("google_firestore_index")
    ]
    assert sorted(composites) == sorted(
        (index["collection"], [(field["path"], field.get("order") or field["array_config"]) for field in index["fields"]])
        for index in wanted["composite_indexes"]
    )
    expiring = {key: after["field"] for key, after in planned.keyed("google_firestore_field", "expiring").items()}
    assert expiring == wanted["time_to_live"]
    unindexed = planned.keyed("google_firestore_field", "unindexed")
    assert {(key, after["field"]) for key, after in unindexed.items()} == {
        (collection, "*") for collection in wanted["collections_without_other_indexes"]
    }


def test_nobody_is_everybody(planned: Plan) -> None:
    members = [
        change["change"]["after"].get("member") for change in planned.raw["resource_changes"] if "_iam_" in change["type"]
    ]
    assert members
    assert not {"allUsers", "allAuthenticatedUsers"} & {member for member in members if member}


def test_the_name_of_an_archive_holds_its_digest(planned: Plan) -> None:
    names = {key: after["name"] for key, after in planned.keyed("google_storage_bucket_object", "archive").items()}
    functions = planned.keyed("google_cloudfunctions2_function", "this")
    for function, name in names.items():
        assert functions[function]["build_config"][0]["source"][0]["storage_source"][0]["object"] == name
        digest = hashlib.sha256((REPOSITORY / "build" / f"{function}.zip").read_bytes()).hexdigest()
        assert name == f"{function}-{digest[:16]}.zip"
    assert len(set(names.values())) == len(TABLE.everything)


def test_every_alert_links_to_a_paragraph_that_is_there(planned: Plan) -> None:
    runbook = (REPOSITORY / "infra" / "runbook.md").read_text()
    anchors = {line.removeprefix("## ").lower().replace(" ", "-") for line in runbook.splitlines() if line.startswith("## ")}
    linked = {
        after["documentation"][0]["content"].rpartition("#")[2]
        for after in planned.keyed("google_monitoring_alert_policy", "this").values()
    }
    assert linked <= anchors
    assert {link.partition(")")[0] for link in runbook.split("](#")[1:]} <= anchors


def test_metrics_and_charts_name_fields_of_the_summary_line(planned: Plan) -> None:
    fields = json.loads((REPOSITORY / "shared" / "sojourn" / "runtime" / "summary_line.json").read_text())
    words = {*fields["outcomes"], *fields["measures"], "duration_ms"}
    assert set(planned.keyed("google_logging_metric", "summary")) == words
