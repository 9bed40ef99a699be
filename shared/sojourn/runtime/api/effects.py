"""What waits for an operator, over REST: effects that are dead, and events that were rejected."""

from __future__ import annotations

from flask import Response

from sojourn.application import repair
from sojourn.application.history import describe_effect
from sojourn.application.operations import list_page
from sojourn.domain.effect import Effect
from sojourn.domain.journey import RejectedEvent
from sojourn.runtime.api.access import Role, guarded, needs
from sojourn.runtime.api.audit import record
from sojourn.runtime.api.call import answer, call, write_page_token
from sojourn.runtime.api.questions import EffectPath, EffectsQuery, PageQuery, ReasonBody, RejectedPath
from sojourn.runtime.api.views import EffectPage, EffectView, OutcomeView, RejectedPage, RejectedView

routes = guarded("effects")


@routes.get("/effects", responses={200: EffectPage})
@needs(Role.VIEWER)
def list_effects(query: EffectsQuery) -> Response:
    """Effects of a status, by id."""
    page = list_page(call().shop, Effect, {"status": query.status.value}, after=query.page_token, limit=query.page_size)
    items = tuple(_effect_view(effect) for effect in page.items)
    return answer(EffectPage(items=items, next_page_token=write_page_token(page.after)))


@routes.post("/effects/<effect_id>/retry", responses={200: EffectView})
@needs(Role.OPERATOR)
def retry_effect(path: EffectPath) -> Response:
    """A DEAD or FAILED effect is performed again, with all its attempts."""
    before = _found(path)
    after = _effect_view(repair.retry_effect(call().shop, path.effect_id))
    record("effect.retry", f"effects/{path.effect_id}", before=before, after=after)
    return answer(after)


@routes.post("/effects/<effect_id>/abandon", responses={200: EffectView})
@needs(Role.OPERATOR)
def abandon_effect(path: EffectPath, body: ReasonBody) -> Response:
    """A DEAD effect is skipped for good."""
    before = _found(path)
    after = _effect_view(repair.abandon_effect(call().shop, path.effect_id, reason=body.reason))
    record("effect.abandon", f"effects/{path.effect_id}", before=before, after=after)
    return answer(after)


@routes.get("/rejected-events", responses={200: RejectedPage})
@needs(Role.VIEWER)
def list_rejected(query: PageQuery) -> Response:
    """Log entries of ours that could not be taken, by id."""
    page = list_page(call().shop, RejectedEvent, {}, after=query.page_token, limit=query.page_size)
    items = tuple(_rejected_view(rejected) for rejected in page.items)
    return answer(RejectedPage(items=items, next_page_token=write_page_token(page.after)))


@routes.post("/rejected-events/<rejected_id>/replay", responses={200: OutcomeView})
@needs(Role.OPERATOR)
def replay_rejected(path: RejectedPath) -> Response:
    """Take the entry in again, as it came."""
    view = OutcomeView(outcome=repair.replay_rejected(call().shop, path.rejected_id).code)
    record("rejected.replay", f"rejected-events/{path.rejected_id}", before=None, after=view)
    return answer(view)


def _found(path: EffectPath) -> EffectView | None:
    stored = call().shop.store.get_many(Effect, [path.effect_id])[0]
    return _effect_view(stored.value) if stored is not None else None


def _effect_view(effect: Effect) -> EffectView:
    fields = {field: getattr(effect, field) for field in EffectView.model_fields if field != "about"}
    return EffectView(about=describe_effect(effect), **fields)


def _rejected_view(rejected: RejectedEvent) -> RejectedView:
    fields = {field: getattr(rejected, field) for field in RejectedView.model_fields if field != "data"}
    return RejectedView(data=rejected.data.decode(errors="replace"), **fields)
