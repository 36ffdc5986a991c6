"""Where the look is kept."""

from __future__ import annotations

from pathlib import Path

NAME = "screens.tcss"


def find() -> Path:
    """The stylesheet: in the package when it was installed, else at the top of the checkout."""
    packaged = Path(__file__).parents[1] / NAME
    return packaged if packaged.exists() else Path(__file__).parents[3] / NAME
