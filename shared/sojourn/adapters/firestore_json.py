"""Documents as JSON, in the form of Firestore's REST API: `{"status": {"stringValue": "WAITING"}, ...}`.

For whoever keeps documents outside a store: what is written is what the codec wrote, field by field and type by type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from google.cloud.firestore_v1 import types
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from pydantic import JsonValue

from sojourn.adapters.firestore_codec import Unreadable, decode, encode, path_of
from sojourn.application.records import R, Record
from sojourn.domain.errors import InputError

JsonFields: TypeAlias = Mapping[str, JsonValue]
_ROOT = "projects/any/databases/(default)/documents"


def to_json(record: Record) -> JsonFields:
    """The fields of a record's document, by name. The id is not among them."""
    document: Any = types.Document.pb()()
    encode(record, document.fields)
    return cast(JsonFields, json.loads(json.dumps(MessageToDict(document)["fields"], sort_keys=True)))


def from_json(kind: type[R], identifier: str, fields: JsonFields) -> R:
    """The record. Raises InputError for what is no document of that kind, or has not all that it must have."""
    document: Any = types.Document.pb()(name=f"{_ROOT}/{path_of(kind, identifier)}")
    try:
        ParseDict({"fields": dict(fields)}, document)
        return decode(kind, document)
    except (ParseError, Unreadable) as error:
        raise InputError(f"no {kind.__name__} {identifier!r}: {error}") from error
