"""Audit: who changed what, and what it was before."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

ENGINE = "engine"
"""Who changes what nobody asked for at that moment: an end by schedule, a repair by the daily check."""
MAX_PRINCIPAL_CHARACTERS = 200
MAX_STATE_BYTES = 400_000
"""Of a state before or after; a document of Firestore takes a million bytes in all."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`audit/{id}`: one change, and who made it. `before` and `after` are JSON text, None where there was or is nothing.

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
    data = (text or "").encode("utf-8", "surrogatepass")
    if len(data) <= MAX_STATE_BYTES:
        return text
    return json.dumps({"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
