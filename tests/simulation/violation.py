"""What a simulation raises where a rule is broken."""

from __future__ import annotations


class Violation(AssertionError):
    """Something that must never be; the text says what, the trace of the seed how it came to be."""


def require(holds: bool, otherwise: str) -> None:
    """Raises Violation."""
    if not holds:
        raise Violation(otherwise)
