"""Where goldens are kept."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).with_name("goldens")


def goldens() -> list[Path]:
    """Every one, by name."""
    return sorted(FOLDER.glob("*.json"))
