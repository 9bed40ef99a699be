"""Right inputs that somebody's cat walked over: what is almost right finds more faults than what is plainly wrong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T", str, bytes)

MAX_EDITS = 4
MAX_CUT = 40


def edited(source: T, pieces: Sequence[T]) -> st.SearchStrategy[T]:
    """`source` after some edits: each takes a stretch out and puts a piece in, which may be one from elsewhere in `source`."""
    place = st.integers(0, len(source))
    cut = st.tuples(place, st.integers(0, MAX_CUT))
    piece = st.sampled_from(pieces) | cut.map(lambda found: source[found[0] : found[0] + found[1]])
    return st.lists(st.tuples(cut, piece), min_size=1, max_size=MAX_EDITS).map(partial(_apply, source))


def _apply(source: T, edits: Sequence[tuple[tuple[int, int], T]]) -> T:
    for (start, length), piece in edits:
        source = source[:start] + piece + source[start + length :]
    return source
