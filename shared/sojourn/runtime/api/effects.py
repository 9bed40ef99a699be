"""Effects over REST: what journeys asked for and what became of it; what is dead or failed is retried or abandoned."""

from __future__ import annotations

from flask import Response
from pydantic_core import to_jsonable_python

from sojourn.application import desk, repair
from sojourn.application.audit import read
from sojourn.application.history import describe_effect
from sojourn.domain.effect import Effect, EffectStatus
from sojourn.runtime.api.access import Role, needs
from sojourn.runtime.api.call import answer, call, write_page_token
from sojourn.runtime.api.desk import bulk
from sojourn.runtime.api.questions import (
    AbandonEffectsBody,
    EffectPath,
    EffectsFilter,
    EffectsQuery,
    ReasonBody,
    RetryEffectsBody,
)
from sojourn.runtime.api.routes import Routes
from sojourn.runtime.api.views import BulkView, EffectPage, EffectView, WholeEffect

routes = Routes("effects")


@routes.get("/effects", responses={200: EffectPage})
@needs(Role.VIEWER)
def list_effects(query: EffectsQuery) -> Response:
    """Effects of a status, by id."""
    selection = desk.effects(query.status, journey_id=query.journey_id, bot_id=query.bot_id, reason=query.reason)
    page = desk.select(call().shop, selection, after=query.page_token, limit=query.page_size)
    items = tuple(_view(effect) for effect in page.items)
    return answer(EffectPage(items=items, next_page_token=write_page_token(page.after)))


@routes.get("/effects/<item:effect_id>", responses={200: WholeEffect})
@needs(Role.VIEWER)
def get_effect(path: EffectPath) -> Response:
    """The whole effect."""
    effect = read(call().shop, Effect, path.effect_id).value
    more = {field: getattr(effect, field) for field in ("rev", "result", "not_before", "expire_at")}
    return answer(WholeEffect(**dict(_view(effect)), payload=to_jsonable_python(effect.payload), **more))


@routes.post("/effects/<item:effect_id>/retry", responses={200: EffectView})
@needs(Role.OPERATOR)
def retry_effect(path: EffectPath) -> Response:
    """A DEAD or FAILED effect is performed again, with all its attempts."""
    return answer(_view(repair.retry_effect(call().shop, path.effect_id)))


@routes.post("/effects/<item:effect_id>/abandon", responses={200: EffectView})
@needs(Role.OPERATOR)
def abandon_effect(path: EffectPath, body: ReasonBody) -> Response:
    """A DEAD or FAILED effect is skipped for good."""
    return answer(_view(repair.abandon_effect(call().shop, path.effect_id, reason=body.reason)))


@routes.post("/effects/retry", responses={200: BulkView})
@needs(Role.OPERATOR)
def retry_effects(body: RetryEffectsBody) -> Response:
    """Retry what a filter finds, a page at a time; an empty filter finds all that is DEAD."""
    return bulk(repair.RETRY_EFFECT, _selection(body.filter), body)


@routes.post("/effects/abandon", responses={200: BulkView})
@needs(Role.OPERATOR)
def abandon_effects(body: AbandonEffectsBody) -> Response:
    """Abandon what a filter finds, a page at a time; `reason` says why."""
    return bulk(repair.abandoning_effects(body.reason), _selection(body.filter), body)


def _selection(given: EffectsFilter) -> desk.Selection[Effect]:
    status = EffectStatus(given.status)
    return desk.effects(status, journey_id=given.journey_id, bot_id=given.bot_id, reason=given.reason)


def _view(effect: Effect) -> EffectView:
    fields = {field: getattr(effect, field) for field in EffectView.model_fields if field != "about"}
    return EffectView(about=describe_effect(effect), **fields)
