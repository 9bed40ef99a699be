"""JSON as everything that comes from outside is read: what no store, no CEL and no other JSON reader could hold is refused."""

from __future__ import annotations

from math import isfinite

from pydantic import JsonValue
from pydantic_core import from_json


def read_json(data: bytes | str) -> JsonValue:
    """The value: no NaN, no number beyond a double such as 1e400, no half of a surrogate pair, at most 200 levels.

    Of a key that occurs twice the last value counts. ValueError says what is wrong.
    """
    value: JsonValue = from_json(data.encode() if isinstance(data, str) else data, allow_inf_nan=False)
    if not is_finite(value):
        raise ValueError("a number beyond what a double holds")
    return value


def is_finite(value: JsonValue) -> bool:
    """Whether every number in it is one. Walks with a list, so that no depth can exhaust the stack."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, float) and not isfinite(item):
            return False
        pending.extend(item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
    return True
