"""The stylesheet of the screens."""

from __future__ import annotations

from pathlib import Path

NAME = "screens.tcss"


def text() -> str:
    """The stylesheet: that of the package when it was installed, else of the checkout.

    Textual could read the file itself, but only when root may have been given up already.
    """
    packaged = Path(__file__).parents[1] / NAME
    path = packaged if packaged.exists() else Path(__file__).parents[3] / NAME
    return path.read_text(encoding="utf-8")
