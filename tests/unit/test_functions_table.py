"""The table of functions: the one in the repository loads, and a wrong one names the field at fault."""

import json
from pathlib import Path

import pytest
from pydantic import JsonValue, ValidationError

from emulator.functions_table import FUNCTIONS_JSON, FunctionsTable, load_functions_table


@pytest.fixture
def raw() -> dict[str, dict[str, dict[str, JsonValue]]]:
    """The table of the repository, to be spoilt."""
    loaded: dict[str, dict[str, dict[str, JsonValue]]] = json.loads(FUNCTIONS_JSON.read_text())
    return loaded


def test_the_table_of_the_repository_loads() -> None:
    table = load_functions_table()
    assert table.functions["ingest"].topic == "journey-events"
    assert table.dead_letter_topic == "journey-dead-letters"


def test_a_function_of_an_unknown_topic_names_the_field(raw: dict[str, dict[str, dict[str, JsonValue]]]) -> None:
    raw["functions"]["perform"]["topic"] = "journey-affects"
    with pytest.raises(ValidationError, match=r"functions\.perform\.topic: there is no topic 'journey-affects'"):
        FunctionsTable.model_validate(raw)


def test_a_service_is_deployed_beside_the_functions_and_has_no_topic() -> None:
    table = load_functions_table()
    assert table.everything.keys() - table.functions.keys() == {"api"}
    assert "topic" not in table.services["api"].model_dump()


def test_a_name_is_that_of_a_function_or_of_a_service(raw: dict[str, dict[str, dict[str, JsonValue]]]) -> None:
    raw["services"]["sweep"] = raw["services"]["api"]
    with pytest.raises(ValidationError, match=r"services\.sweep: is a function as well"):
        FunctionsTable.model_validate(raw)


def test_an_unknown_key_names_the_field(raw: dict[str, dict[str, dict[str, JsonValue]]]) -> None:
    raw["functions"]["sweep"]["memory"] = "512Mi"
    with pytest.raises(ValidationError, match=r"functions\.sweep\.memory"):
        FunctionsTable.model_validate(raw)


@pytest.mark.parametrize(("key", "value"), [("ack_deadline_seconds", 601), ("max_delivery_attempts", 4), ("concurrency", 0)])
def test_a_value_that_google_would_refuse_is_refused(
    raw: dict[str, dict[str, dict[str, JsonValue]]], key: str, value: int
) -> None:
    raw["functions"]["ingest"][key] = value
    with pytest.raises(ValidationError, match=rf"functions\.ingest\.{key}"):
        FunctionsTable.model_validate(raw)


@pytest.mark.parametrize("dead_letter_topics", [(), ("journey-dead-letters", "journey-runs")])
def test_exactly_one_topic_takes_the_dead_letters(
    raw: dict[str, dict[str, dict[str, JsonValue]]], dead_letter_topics: tuple[str, ...]
) -> None:
    for name, topic in raw["topics"].items():
        topic["dead_letter"] = name in dead_letter_topics
    with pytest.raises(ValidationError, match="exactly one must have dead_letter"):
        FunctionsTable.model_validate(raw)


def test_a_table_may_be_anywhere(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_bytes(FUNCTIONS_JSON.read_bytes())
    assert load_functions_table(tmp_path / "table.json") == load_functions_table()
