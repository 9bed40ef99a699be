"""What an earlier release wrote is read: every kind of document that was kept then, with the fields that came later missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sojourn.adapters.firestore_codec import COLLECTIONS
from sojourn.adapters.firestore_json import from_json, to_json
from sojourn.application.records import Record
from sojourn.domain.effect import Effect, EffectStatus, SendMessage
from sojourn.domain.errors import InputError
from sojourn.domain.journey import Journey, Migration
from sojourn.domain.progress import Progress

DOCUMENTS: list[Any] = json.loads(Path(__file__).with_name("first_release.json").read_text())["documents"]
KINDS = {kind.__name__: kind for kind in COLLECTIONS}


def read(document: Any) -> Record:
    return from_json(KINDS[document["kind"]], document["id"], document["fields"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["kind"])
def test_a_document_of_the_first_release_is_read_and_written_with_all_that_it_had(document: Any) -> None:
    again = to_json(read(document))
    assert {name: again.get(name) for name in document["fields"]} == document["fields"]


def test_what_came_later_has_its_default() -> None:
    effect = next(found for found in map(read, DOCUMENTS) if isinstance(found, Effect))
    assert (effect.status, effect.payload) == (EffectStatus.PENDING, SendMessage("mailbox", {"text": "Hello"}))
    assert (effect.setbacks, effect.failure, effect.rest, effect.not_before, effect.quota_share) == (0, None, None, None, None)
    head = next(found for found in map(read, DOCUMENTS) if isinstance(found, Journey))
    assert (head.migration, head.extensions, head.settling, head.resumes) == (Migration(), (), None, 0)


@pytest.mark.parametrize("fields", [{}, {"rev": {"integerValue": "x"}}, {"nobody": 5}, {"status": {"stringValue": "ASLEEP"}}])
def test_what_is_no_document_is_an_error_that_says_of_what(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^no Progress 'p1': "):
        from_json(Progress, "p1", fields)
