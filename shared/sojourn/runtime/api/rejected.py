"""Rejected events over REST: what came in and could not be taken, whole; it is taken in again, or given up."""

from __future__ import annotations

from flask import Response

from sojourn.application import desk, repair
from sojourn.application.audit import read
from sojourn.domain.journey import RejectedEvent
from sojourn.runtime.api.access import Role, needs
from sojourn.runtime.api.call import answer, call, write_page_token
from sojourn.runtime.api.desk import bulk
from sojourn.runtime.api.questions import RejectedBody, RejectedPath, RejectedQuery
from sojourn.runtime.api.routes import Routes
from sojourn.runtime.api.views import BulkView, OutcomeView, RejectedPage, RejectedView

routes = Routes("rejected-events")


@routes.get("/rejected-events", responses={200: RejectedPage})
@needs(Role.VIEWER)
def list_rejected(query: RejectedQuery) -> Response:
    """Log entries of ours that could not be taken, by id; those that nobody has dealt with unless `status` says other."""
    selection = desk.rejected_events(query.status, reason=query.reason)
    page = desk.select(call().shop, selection, after=query.page_token, limit=query.page_size)
    items = tuple(_view(rejected) for rejected in page.items)
    return answer(RejectedPage(items=items, next_page_token=write_page_token(page.after)))


@routes.get("/rejected-events/<item:rejected_id>", responses={200: RejectedView})
@needs(Role.VIEWER)
def get_rejected(path: RejectedPath) -> Response:
    """The whole entry, as it came."""
    return answer(_view(read(call().shop, RejectedEvent, path.rejected_id).value))


@routes.post("/rejected-events/<item:rejected_id>/replay", responses={200: OutcomeView})
@needs(Role.OPERATOR)
def replay_rejected(path: RejectedPath) -> Response:
    """Take the entry in again, as it came."""
    return answer(OutcomeView(outcome=repair.replay_rejected(call().shop, path.rejected_id).code))


@routes.post("/rejected-events/<item:rejected_id>/abandon", responses={200: RejectedView})
@needs(Role.OPERATOR)
def abandon_rejected(path: RejectedPath) -> Response:
    """No longer show it; it stays until it expires."""
    return answer(_view(repair.abandon_rejected(call().shop, path.rejected_id)))


@routes.post("/rejected-events/replay", responses={200: BulkView})
@needs(Role.OPERATOR)
def replay_all_rejected(body: RejectedBody) -> Response:
    """Take in again what a filter finds, a page at a time; what is rejected again is refused."""
    return bulk(repair.REPLAY, desk.rejected_events(reason=body.filter.reason), body)


@routes.post("/rejected-events/abandon", responses={200: BulkView})
@needs(Role.OPERATOR)
def abandon_all_rejected(body: RejectedBody) -> Response:
    """No longer show what a filter finds, a page at a time."""
    return bulk(repair.ABANDON_REJECTED, desk.rejected_events(reason=body.filter.reason), body)


def _view(rejected: RejectedEvent) -> RejectedView:
    fields = {field: getattr(rejected, field) for field in RejectedView.model_fields if field != "data"}
    return RejectedView(data=rejected.data.decode(errors="replace"), **fields)
