"""The JSON Schema for editors takes what the loader takes, sugar included."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
import yaml

from emulator.functions_table import REPOSITORY
from sojourn.domain.loading import dump_definition
from sojourn.domain.schema import file_schema
from sojourn.runtime.definition_file import load_definition

FILES = sorted((REPOSITORY / "emulator" / "scenarios" / "shop").glob("*.yaml"))
SPLIT = {
    "id": "ab",
    "key": "split",
    "branches": [{"name": "a", "weight": 1, "next": "x"}, {"name": "b", "weight": 1, "next": "x"}],
}


def faults(document: Any) -> list[str]:
    return [error.message for error in jsonschema_rs.Draft202012Validator(file_schema()).iter_errors(document)]


def test_the_schema_is_a_schema() -> None:
    assert jsonschema_rs.meta.is_valid(file_schema())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_are_valid_as_written_and_in_canonical_form(file: Any) -> None:
    assert faults(yaml.safe_load(file.read_text())) == []
    assert faults(json.loads(dump_definition(load_definition(file)))) == []


@pytest.mark.parametrize(
    ("node", "right"),
    [
        (SPLIT, True),
        ({"id": "a", "key": "wait", "settings": {"duration": "1d"}, "next": "b"}, True),
        ({"id": "a", "key": "wait", "settings": {"duration": "1d"}, "nxt": "b"}, False),
        ({"id": "a", "key": "exit", "next": "b"}, False),
        ({"id": "a", "key": "branch", "branches": [{"name": "a", "next": "x"}], "else": "x"}, False),
    ],
    ids=["split", "next", "misspelt", "exit", "no condition"],
)
def test_sugar_is_known_and_anything_else_is_not(node: dict[str, object], right: bool) -> None:
    found = faults({"id": "j", "bot_id": "b", "name": "J", "nodes": [node]})
    assert (found == []) is right
