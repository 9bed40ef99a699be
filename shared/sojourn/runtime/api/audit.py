"""The audit trail over REST: reading it. Entries are written where the changes are (`application.audit`)."""

from __future__ import annotations

from flask import Response

from sojourn.application.audit import list_entries
from sojourn.runtime.api.access import Role, needs
from sojourn.runtime.api.call import answer, call, write_moment_token
from sojourn.runtime.api.questions import AuditQuery
from sojourn.runtime.api.routes import Routes
from sojourn.runtime.api.views import AuditPage, AuditView

routes = Routes("audit")


@routes.get("/audit", responses={200: AuditPage})
@needs(Role.OPERATOR)
def list_audit(query: AuditQuery) -> Response:
    """Changes, the newest first; with `subject`, such as journeys/welcome, those of one thing."""
    found = list_entries(call().shop, subject=query.subject, after=query.page_token, limit=query.page_size + 1)
    items = found[: query.page_size]
    after = (items[-1].created_at, items[-1].id) if len(found) > query.page_size else None
    views = tuple(AuditView.model_validate(entry) for entry in items)
    return answer(AuditPage(items=views, next_page_token=write_moment_token(after)))
