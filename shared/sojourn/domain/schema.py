"""The JSON Schema of a definition as files hold it, `next:` and `branches:` included, for editors that complete and check."""

from __future__ import annotations

import copy
from typing import Any

from sojourn.domain.definition import Definition
from sojourn.domain.sugar import LAST_PATHS, sugar_fields

Schema = dict[str, Any]
"""A JSON Schema (draft 2020-12), as pydantic makes them."""

_NODE_ID: Schema = {"type": "string", "description": "The id of the node that follows."}


def file_schema() -> Schema:
    """The schema of `Definition`, with what a file may write instead of paths."""
    schema = Definition.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    parts: dict[str, Schema] = schema["$defs"]
    for part in list(parts.values()):
        kind = part.get("properties", {}).get("key", {}).get("const")
        if kind is not None:
            part["properties"] |= {name: _NODE_ID for name in sugar_fields(kind) if name != "branches"}
        if kind in LAST_PATHS:
            _allow_branches(part, parts)
    return schema


def _allow_branches(node: Schema, parts: dict[str, Schema]) -> None:
    """Branches may stand on the node, each with its `next`; then they need not stand in its settings."""
    settings = parts[node["properties"]["settings"]["$ref"].rpartition("/")[2]]
    branches = copy.deepcopy(settings["properties"]["branches"])
    branch = copy.deepcopy(parts[branches["items"]["$ref"].rpartition("/")[2]])
    branch["properties"]["next"] = _NODE_ID
    node["properties"]["branches"] = {**branches, "items": branch}
    settings["required"] = [name for name in settings["required"] if name != "branches"]
    if not settings["required"]:
        node["required"] = [name for name in node["required"] if name != "settings"]
