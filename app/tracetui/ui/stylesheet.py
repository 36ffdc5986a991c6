"""The stylesheet of the screens."""

from __future__ import annotations

import pkgutil
from pathlib import Path

NAME = "screens.tcss"


def text() -> str:
    """The stylesheet: that of the package when it was installed, else of the checkout.

    Textual could read the file itself, but only when root may have been given up already, and not
    out of an archive.
    """
    try:
        packaged = pkgutil.get_data("tracetui", NAME)
    except FileNotFoundError:
        packaged = None
    if packaged is None:
        packaged = (Path(__file__).parents[3] / NAME).read_bytes()
    return packaged.decode()
