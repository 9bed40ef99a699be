"""One page of a bulk repair over REST, whatever is repaired."""

from __future__ import annotations

from flask import Response

from sojourn.application.desk import Selection, repair_page
from sojourn.application.repair import B, Repair
from sojourn.runtime.api.call import answer, call, write_page_token
from sojourn.runtime.api.questions import BulkBody
from sojourn.runtime.api.views import BulkView, RefusedView


def bulk(repair: Repair[B], selection: Selection[B], body: BulkBody) -> Response:
    """Repair a page, and say how it went and where the next begins."""
    shop, after, limit = call().shop, body.page_token, body.page_size
    page = repair_page(shop, repair, selection, after=after, limit=limit, dry_run=body.dry_run)
    view = BulkView(
        dry_run=body.dry_run,
        done=page.done,
        overtaken=page.overtaken,
        refused=tuple(RefusedView.model_validate(each) for each in page.refused),
        other=page.other,
        left=page.left,
        next_page_token=write_page_token(page.after),
    )
    return answer(view)
