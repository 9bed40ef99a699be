"""The audit trail: every change through the API is recorded after it was made, and can be read.

A change that cannot be recorded is not undone; it is in the log then, whole, as an error that alerts.
"""

from __future__ import annotations

from dataclasses import asdict

from flask import Response
from pydantic import BaseModel

from sojourn.domain.audit import AuditEntry, bounded_state
from sojourn.domain.errors import Unavailable
from sojourn.domain.ids import derived_id
from sojourn.runtime.api.access import Role, guarded, needs
from sojourn.runtime.api.call import answer, call
from sojourn.runtime.api.questions import AuditQuery
from sojourn.runtime.api.views import AuditPage, AuditView
from sojourn.runtime.log import write_line

routes = guarded("audit")


def record(action: str, subject: str, *, before: BaseModel | None, after: BaseModel | None) -> None:
    """Write down what the present call did."""
    now, token = call().shop.now(), call().shop.tokens.token()
    entry = AuditEntry(
        id=derived_id("audit", token),
        created_at=now,
        principal=call().principal,
        action=action,
        subject=subject,
        before=_state(before),
        after=_state(after),
        token=token,
    )
    if not _is_written(entry):
        write_line("ERROR", f"api: an audit entry is nowhere but here: {action} {subject}", function="api", audit=asdict(entry))


def _is_written(entry: AuditEntry) -> bool:
    try:
        return call().shop.create_many([entry])[0]
    except Unavailable:
        return False


def _state(document: BaseModel | None) -> str | None:
    return bounded_state(document.model_dump_json() if document is not None else None)


@routes.get("/audit", responses={200: AuditPage})
@needs(Role.OPERATOR)
def list_audit(query: AuditQuery) -> Response:
    """Changes, the newest first; with `subject`, such as journeys/welcome, those of one thing."""
    where = {"subject": query.subject} if query.subject is not None else {}
    found = call().shop.store.newest(AuditEntry, where, limit=query.page_size)
    return answer(AuditPage(items=tuple(AuditView.model_validate(stored.value) for stored in found)))
