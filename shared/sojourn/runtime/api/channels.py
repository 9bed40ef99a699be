"""Channels over REST: which rest, why and until when; and the reset of one that was set right."""

from __future__ import annotations

from datetime import datetime

from flask import Response

from sojourn.application.breaker import list_channels, reset_channel
from sojourn.domain.breaker import BreakerState
from sojourn.domain.event import Identifier
from sojourn.runtime.api.access import Role, needs
from sojourn.runtime.api.call import answer, call
from sojourn.runtime.api.questions import Wire
from sojourn.runtime.api.routes import Routes
from sojourn.runtime.api.views import View

routes = Routes("channels", "/v1/channels")


class ChannelPath(Wire):
    channel_id: Identifier


class ChannelView(View):
    """`state`: CLOSED is well, OPEN rests until then, PROBING is being tried. `since` and `reason` are of the last change."""

    id: str
    channel: str
    state: BreakerState
    until: datetime | None
    since: datetime | None
    reason: str | None


class ChannelList(View):
    items: tuple[ChannelView, ...]


@routes.get("", responses={200: ChannelList})
@needs(Role.VIEWER)
def get_channels() -> Response:
    """Every channel that is configured here, and each host of webhooks that was in trouble; those that rest come first."""
    return answer(ChannelList(items=tuple(ChannelView.model_validate(each) for each in list_channels(call().shop))))


@routes.post("/<channel_id>/reset", responses={200: ChannelView})
@needs(Role.OPERATOR)
def post_channel_reset(path: ChannelPath) -> Response:
    """Trust a channel again at once, by its id or its name."""
    return answer(ChannelView.model_validate(reset_channel(call().shop, path.channel_id)))
