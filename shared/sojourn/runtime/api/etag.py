"""Optimistic concurrency: the ETag of what was read is its revision, If-Match names it again."""

from __future__ import annotations

import re

from sojourn.domain.errors import Changed
from sojourn.runtime.api.questions import IfMatch

_REV = re.compile(r'"(\d{1,18})"', re.ASCII)


def rev_of(header: IfMatch) -> int | None:
    """The revision that If-Match names; None: any. Raises Changed for what was never an ETag of ours."""
    if header.if_match is None or header.if_match.strip() == "*":
        return None
    found = _REV.fullmatch(header.if_match.strip())
    if found is None:
        raise Changed(f'If-Match {header.if_match!r:.80} is no ETag of ours; send the one that GET answered, such as "3"')
    return int(found[1])
