"""From what a file or an API body holds to a `Definition`, or to every fault that it has.

::

    raw ──limits──> raw ──expand──> canonical raw ──validate──> Definition or faults
                                          └──────outline──────> graph faults

The graph is checked also where validation fails, so that an author hears of everything in one run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite

from pydantic import ValidationError

from sojourn.domain.definition import Definition
from sojourn.domain.errors import DefinitionInvalid, Fault
from sojourn.domain.expression import PUBLISHED
from sojourn.domain.graph import check, check_outline
from sojourn.domain.outline import read_outline
from sojourn.domain.sugar import Expanded, Location, expand
from sojourn.domain.wording import is_consequence, message_of, node_id_at, place_of, shown

MAX_DEPTH = 32
"""Levels of nesting in a definition; messages and webhook bodies are the deep part of one."""
MAX_VALUES = 50_000
"""What a definition holds in all: 500 nodes of 20 branches have fewer."""
MAX_FAULTS = 500
_MAX_INTEGER_BITS = 63


def parse_definition(raw: object) -> Definition:
    """The definition in `raw`, with or without sugar. Raises DefinitionInvalid with every fault, at its place in `raw`."""
    if not isinstance(raw, dict):
        raise DefinitionInvalid([Fault((), f"a definition is a mapping with id, bot_id, name and nodes, not {shown(raw)}")])
    if beyond := list(_beyond_limits(raw)):
        raise DefinitionInvalid(_bounded(beyond))
    expanded = expand(raw)
    definition, invalid = _validate(expanded)
    graph = check(definition) if definition else check_outline(read_outline(expanded.raw))
    placed = [Fault(expanded.origin(fault.location), fault.message, fault.node_id) for fault in (*invalid, *graph)]
    faults = list(dict.fromkeys((*expanded.faults, *placed)))
    if definition is None or faults:
        raise DefinitionInvalid(_bounded(faults))
    return definition


def dump_definition(definition: Definition) -> str:
    """Canonical JSON: equal definitions give equal text. Defaults are written out, so that a later default changes nothing."""
    return json.dumps(definition.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def load_stored(text: str) -> Definition:
    """What `dump_definition` wrote. It was checked before it was stored, and is not checked again."""
    return Definition.model_validate_json(text, context=PUBLISHED)


def _bounded(faults: list[Fault]) -> list[Fault]:
    return faults if len(faults) <= MAX_FAULTS else [*faults[:MAX_FAULTS], Fault((), "more faults are not listed")]


def _validate(expanded: Expanded) -> tuple[Definition | None, list[Fault]]:
    try:
        return Definition.model_validate(expanded.raw), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    faults: list[Fault] = []
    for details in errors:
        if len(faults) > MAX_FAULTS:
            break
        place = place_of(details, expanded.raw)
        if not is_consequence(details) and not _is_derived(place, expanded):
            faults.append(Fault(place, message_of(details, expanded), node_id_at(place, expanded.raw)))
    return None, faults


def _is_derived(place: Location, expanded: Expanded) -> bool:
    """Whether the author never wrote it: the source and the index of a path that sugar stood for."""
    return place[:1] == ("node_paths",) and place[-1] != "target" and expanded.origin(place) != place


def _beyond_limits(raw: object) -> Iterator[Fault]:
    """What is too deep, too much, or a number that JSON cannot carry. Walks with a list: no depth can exhaust the stack."""
    pending: list[tuple[Location, object]] = [((), raw)]
    for _ in range(MAX_VALUES):
        if not pending:
            return
        location, value = pending.pop()
        if isinstance(value, dict | list | tuple):
            if len(location) >= MAX_DEPTH:
                yield Fault(location, f"nested deeper than {MAX_DEPTH} levels", node_id_at(location, raw))
                continue
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            pending.extend(((*location, key), child) for key, child in pairs)
        elif isinstance(value, float) and not isfinite(value):
            yield Fault(location, f"{value} is no number in JSON", node_id_at(location, raw))
        elif isinstance(value, int) and value.bit_length() > _MAX_INTEGER_BITS:
            yield Fault(location, f"the number needs more than {_MAX_INTEGER_BITS} bits", node_id_at(location, raw))
    yield Fault((), f"more than {MAX_VALUES:,} values; a definition holds fewer")
