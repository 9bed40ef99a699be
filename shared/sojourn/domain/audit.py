"""Audit: who changed what, and what it was before."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

MAX_STATE_CHARACTERS = 200_000
"""Of a state before or after; a document of Firestore takes a million bytes in all."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`audit/{id}`: one change through a door. `before` and `after` are JSON text, None where there was or is nothing.

    It never expires.
    """

    id: str
    created_at: datetime
    principal: str
    action: str
    subject: str
    before: str | None
    after: str | None
    token: str = ""
    rev: int = 1


def bounded_state(text: str | None) -> str | None:
    """The state itself, or of one that is too large its size and digest: enough to know it again."""
    if text is None or len(text) <= MAX_STATE_CHARACTERS:
        return text
    return json.dumps({"characters": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()})
