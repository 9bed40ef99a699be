"""Members in ERROR over REST: who cannot go on, on any journey; they are let go on or taken off it."""

from __future__ import annotations

from flask import Response

from sojourn.application import desk, repair
from sojourn.application.audit import read
from sojourn.domain.progress import Progress
from sojourn.runtime.api.access import Role, needs
from sojourn.runtime.api.call import answer, call, write_page_token
from sojourn.runtime.api.desk import bulk
from sojourn.runtime.api.questions import (
    AbandonErrorsBody,
    ErrorsFilter,
    ErrorsQuery,
    ProgressPath,
    ReasonBody,
    RetryErrorsBody,
)
from sojourn.runtime.api.routes import Routes
from sojourn.runtime.api.views import BulkView, ProgressPage, ProgressView, StepView, WholeProgress

routes = Routes("progress")


@routes.get("/progress", responses={200: ProgressPage})
@needs(Role.VIEWER)
def list_errors(query: ErrorsQuery) -> Response:
    """Passages in ERROR, by id."""
    selection = desk.members_in_error(journey_id=query.journey_id, bot_id=query.bot_id, reason=query.reason)
    page = desk.select(call().shop, selection, after=query.page_token, limit=query.page_size)
    items = tuple(ProgressView.model_validate(progress) for progress in page.items)
    return answer(ProgressPage(items=items, next_page_token=write_page_token(page.after)))


@routes.get("/progress/<item:progress_id>", responses={200: WholeProgress})
@needs(Role.VIEWER)
def get_progress(path: ProgressPath) -> Response:
    """The whole passage, whatever its status."""
    progress = read(call().shop, Progress, path.progress_id).value
    trigger = progress.trigger
    view = WholeProgress.model_validate(
        {
            **ProgressView.model_validate(progress).model_dump(exclude={"entered_at"}),
            "created_at": progress.created_at,
            "entry_key": progress.entry_key,
            "event": trigger.name,
            "event_id": trigger.id,
            "data": dict(trigger.data),
            "context": {node: dict(output) for node, output in progress.context.items()},
            "trail": tuple(StepView.model_validate(step) for step in progress.trail),
        }
    )
    return answer(view)


@routes.post("/progress/<item:progress_id>/retry", responses={200: ProgressView})
@needs(Role.OPERATOR)
def retry_progress(path: ProgressPath) -> Response:
    """A member in ERROR goes on from where they went wrong."""
    return answer(ProgressView.model_validate(repair.retry_progress(call().shop, path.progress_id)))


@routes.post("/progress/<item:progress_id>/abandon", responses={200: ProgressView})
@needs(Role.OPERATOR)
def abandon_progress(path: ProgressPath, body: ReasonBody) -> Response:
    """A member in ERROR leaves the journey."""
    return answer(ProgressView.model_validate(repair.abandon_progress(call().shop, path.progress_id, reason=body.reason)))


@routes.post("/progress/retry", responses={200: BulkView})
@needs(Role.OPERATOR)
def retry_errors(body: RetryErrorsBody) -> Response:
    """Let those in ERROR that a filter finds go on, a page at a time."""
    return bulk(repair.RETRY_PROGRESS, _selection(body.filter), body)


@routes.post("/progress/abandon", responses={200: BulkView})
@needs(Role.OPERATOR)
def abandon_errors(body: AbandonErrorsBody) -> Response:
    """Take those in ERROR that a filter finds off their journeys, a page at a time."""
    return bulk(repair.abandoning_progress(body.reason), _selection(body.filter), body)


def _selection(given: ErrorsFilter) -> desk.Selection[Progress]:
    return desk.members_in_error(journey_id=given.journey_id, bot_id=given.bot_id, reason=given.reason)
