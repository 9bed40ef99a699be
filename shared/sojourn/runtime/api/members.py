"""Members over REST: what is known of them, and their passages through a journey."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from flask import Response

from sojourn.application import members, operations
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress
from sojourn.runtime.api.access import Role, needs
from sojourn.runtime.api.call import answer, call
from sojourn.runtime.api.etag import rev_of
from sojourn.runtime.api.questions import EnrollBody, IfMatch, JourneyPath, MemberPath, PassagePath
from sojourn.runtime.api.routes import Routes
from sojourn.runtime.api.views import MemberView, OutcomeView, PassagesView, PassageView

routes = Routes("members")


@routes.get("/bots/<bot_id>/members/<member_id>", responses={200: MemberView})
@needs(Role.VIEWER)
def get_member(path: MemberPath) -> Response:
    """What is known of a member."""
    member = members.get_member(call().shop, path.bot_id, path.member_id)
    return answer(_member_view(member), rev=member.rev)


@routes.put("/bots/<bot_id>/members/<member_id>", responses={200: MemberView})
@needs(Role.AUTHOR)
def put_member(path: MemberPath, header: IfMatch, body: members.MemberFields) -> Response:
    """Create the member, or replace all that is known of them."""
    record = members.MemberRecord(bot_id=path.bot_id, member_id=path.member_id, **dict(body))
    member = members.put_member(call().shop, record, rev=rev_of(header))
    return answer(_member_view(member), rev=member.rev)


@routes.post("/journeys/<journey:journey_id>/enroll", responses={200: OutcomeView})
@needs(Role.OPERATOR)
def enroll_member(path: JourneyPath, body: EnrollBody) -> Response:
    """Let a member in through the journey's `api` trigger. The outcome is `entered`, or the word for why not."""
    outcome = operations.enroll_member(call().shop, path.journey_id, body.member_id, data=body.data, event_id=body.event_id)
    call().outcomes[outcome.code] += 1
    return answer(OutcomeView(outcome=outcome.code))


@routes.get("/journeys/<journey:journey_id>/members/<member_id>", responses={200: PassagesView})
@needs(Role.VIEWER)
def get_passages(path: PassagePath) -> Response:
    """The member's passages through the journey, the newest first, each with its trail."""
    return answer(_passages_view(path, operations.passages(call().shop, path.journey_id, path.member_id)))


@routes.delete("/journeys/<journey:journey_id>/members/<member_id>", responses={200: PassagesView})
@needs(Role.OPERATOR)
def cancel_member(path: PassagePath) -> Response:
    """Take the member off the journey; messages that are not out yet are skipped."""
    canceled = operations.cancel_member(call().shop, path.journey_id, path.member_id)
    call().outcomes["canceled"] += len(canceled)
    return answer(_passages_view(path, canceled))


@routes.post("/journeys/<journey:journey_id>/members/<member_id>/advance", responses={202: PassagesView})
@needs(Role.OPERATOR)
def advance_member(path: PassagePath) -> Response:
    """What the member waits for is due now; they move on in a moment."""
    advanced = operations.advance_member(call().shop, path.journey_id, path.member_id)
    return answer(_passages_view(path, advanced), HTTPStatus.ACCEPTED)


@routes.post("/journeys/<journey:journey_id>/members/<member_id>/retry", responses={202: PassagesView})
@needs(Role.OPERATOR)
def retry_member(path: PassagePath) -> Response:
    """A member in ERROR goes on from where they went wrong, in a moment."""
    retried = operations.retry_member(call().shop, path.journey_id, path.member_id)
    return answer(_passages_view(path, retried), HTTPStatus.ACCEPTED)


def _member_view(member: Member) -> MemberView:
    return MemberView.model_validate(member)


def _passages_view(path: PassagePath, found: Sequence[Progress]) -> PassagesView:
    passages = tuple(PassageView.model_validate(progress) for progress in found)
    return PassagesView(journey_id=path.journey_id, member_id=path.member_id, passages=passages)
