"""Journeys over REST: drafts, their publication, and the changes of status. The ETag is the revision of the head."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response

from sojourn.application import lifecycle
from sojourn.application.operations import count_journeys, get_version, list_page
from sojourn.application.report import journey_report
from sojourn.domain.definition import Definition
from sojourn.domain.errors import DefinitionInvalid, Fault
from sojourn.domain.journey import Journey, Migration
from sojourn.domain.loading import load_stored, parse_definition
from sojourn.runtime.api.access import Role, needs
from sojourn.runtime.api.call import answer, call, write_page_token
from sojourn.runtime.api.etag import rev_of
from sojourn.runtime.api.questions import (
    BotQuery,
    DefinitionBody,
    IfMatch,
    JourneyPath,
    JourneysQuery,
    PublishBody,
    ReasonBody,
    ResumeBody,
    VersionPath,
)
from sojourn.runtime.api.routes import Routes
from sojourn.runtime.api.views import (
    JourneyCount,
    JourneyPage,
    JourneySummary,
    JourneyView,
    Published,
    PublishPlan,
    ReportView,
    StandingView,
    VersionView,
)

routes = Routes("journeys", "/v1/journeys")
RESERVED_IDS = frozenset({"count", ".", ".."})
"""They could not be asked for: a route of that name, and what clients take out of a path."""


@routes.post("", responses={201: JourneyView})
@needs(Role.AUTHOR)
def create_journey(body: DefinitionBody) -> Response:
    """Create a DRAFT; the definition may say `next` on nodes instead of node_paths."""
    definition = read_definition(body)
    view = journey_view(lifecycle.create_journey(call().shop, definition))
    response = answer(view, HTTPStatus.CREATED, rev=view.rev)
    response.headers["Location"] = f"/v1/journeys/{view.id}"
    return response


@routes.get("", responses={200: JourneyPage})
@needs(Role.VIEWER)
def list_journeys(query: JourneysQuery) -> Response:
    """A bot's journeys, by id."""
    where = {"bot_id": query.bot_id, **({"status": query.status.value} if query.status else {})}
    page = list_page(call().shop, Journey, where, after=query.page_token, limit=query.page_size)
    items = tuple(JourneySummary.model_validate(head) for head in page.items)
    return answer(JourneyPage(items=items, next_page_token=write_page_token(page.after)))


@routes.get("/count", responses={200: JourneyCount})
@needs(Role.VIEWER)
def journey_count(query: BotQuery) -> Response:
    """How many journeys a bot has, by status."""
    counts = count_journeys(call().shop, query.bot_id)
    return answer(JourneyCount(bot_id=query.bot_id, total=sum(counts.values()), by_status=counts))


@routes.get("/<journey:journey_id>", responses={200: JourneyView})
@needs(Role.VIEWER)
def get_journey(path: JourneyPath) -> Response:
    """The journey with nodes and node_paths: of its draft where there is one, else of the published version."""
    return _answer(lifecycle.get_journey(call().shop, path.journey_id))


@routes.put("/<journey:journey_id>", responses={200: JourneyView})
@needs(Role.AUTHOR)
def edit_journey(path: JourneyPath, header: IfMatch, body: DefinitionBody) -> Response:
    """Replace the draft of a DRAFT or PAUSED journey. What GET gave may be sent back as it is."""
    definition = read_definition(body, journey_id=path.journey_id)
    rev = rev_of(header)
    return _answer(lifecycle.edit_journey(call().shop, definition, rev=rev))


@routes.delete("/<journey:journey_id>", responses={204: None})
@needs(Role.AUTHOR)
def delete_journey(path: JourneyPath, header: IfMatch) -> Response:
    """Take a DRAFT away that was never published."""
    lifecycle.delete_journey(call().shop, path.journey_id, rev=rev_of(header))
    return Response(status=HTTPStatus.NO_CONTENT)


@routes.post("/<journey:journey_id>/publish", responses={200: Published})
@needs(Role.OPERATOR)
def publish(path: JourneyPath, header: IfMatch, body: PublishBody) -> Response:
    """Make the draft the next version; `migration` says what becomes of members on older ones."""
    shop, migration = call().shop, Migration(**body.migration.model_dump())
    if body.dry_run:
        plan = lifecycle.plan_publish(shop, path.journey_id, migration)
        return answer(PublishPlan(standing=tuple(StandingView.model_validate(each) for each in plan)))
    rev = rev_of(header)
    return _answer(lifecycle.publish(shop, path.journey_id, migration=migration, rev=rev))


@routes.post("/<journey:journey_id>/pause", responses={200: JourneyView})
@needs(Role.OPERATOR)
def pause(path: JourneyPath, header: IfMatch) -> Response:
    """Nobody enters, nobody moves, nothing is lost."""
    return _answer(lifecycle.pause(call().shop, path.journey_id, rev=rev_of(header)))


@routes.post("/<journey:journey_id>/resume", responses={200: JourneyView})
@needs(Role.OPERATOR)
def resume(path: JourneyPath, header: IfMatch, body: ResumeBody) -> Response:
    """Go on; what fell due meanwhile is taken up, spread out. `settling` tells how far that is."""
    rev = rev_of(header)
    return _answer(lifecycle.resume(call().shop, path.journey_id, extend_waits=body.extend_waits, rev=rev))


@routes.post("/<journey:journey_id>/end", responses={200: JourneyView})
@needs(Role.OPERATOR)
def end(path: JourneyPath, header: IfMatch, body: ReasonBody) -> Response:
    """End the journey for good; everybody on the way leaves."""
    rev, reason = rev_of(header), body.reason or "journey ended"
    return _answer(lifecycle.end(call().shop, path.journey_id, reason=reason, rev=rev))


@routes.get("/<journey:journey_id>/versions/<version>", responses={200: VersionView})
@needs(Role.VIEWER)
def journey_version(path: VersionPath) -> Response:
    """A published version, as it will be for ever."""
    stored = get_version(call().shop, path.journey_id, path.version)
    definition = load_stored(stored.definition)
    return answer(
        VersionView(
            journey_id=path.journey_id,
            version=stored.version,
            published_at=stored.published_at,
            **{field: getattr(definition, field) for field in ("name", "settings", "nodes", "node_paths")},
        )
    )


@routes.get("/<journey:journey_id>/report", responses={200: ReportView})
@needs(Role.VIEWER)
def report(path: JourneyPath) -> Response:
    """How many entered, are on the way, left, and what they brought; by version, day and node."""
    return answer(ReportView(journey_report(call().shop, path.journey_id)))


def journey_view(head: Journey) -> JourneyView:
    """What others see of a journey."""
    definition = load_stored(head.draft) if head.draft is not None else None
    if definition is None and head.version is not None:
        definition = call().shop.catalog.definition(head.id, head.version)
    assert definition is not None, "a journey has a draft or a version"
    fields = {field: getattr(definition, field) for field in ("settings", "nodes", "node_paths")}
    return JourneyView(**JourneySummary.model_validate(head).model_dump(), draft=head.draft is not None, **fields)


def _answer(head: Journey) -> Response:
    return answer(journey_view(head), rev=head.rev)


def read_definition(body: DefinitionBody, *, journey_id: str | None = None) -> Definition:
    """The definition in a body, without what only the server says. Raises DefinitionInvalid."""
    server_s = JourneyView.model_fields.keys() - set(JourneyView.DEFINED)
    raw = {key: value for key, value in body.root.items() if journey_id is None or key not in server_s}
    definition = parse_definition(raw if journey_id is None else {"id": journey_id, **raw})
    if journey_id is not None and definition.id != journey_id:
        raise DefinitionInvalid([Fault(("id",), f"{definition.id!r} is not {journey_id!r}, the journey of the path")])
    if "/" in definition.id or definition.id in RESERVED_IDS:
        raise DefinitionInvalid([Fault(("id",), f"{definition.id!r} cannot be part of a path; choose another id")])
    return definition
