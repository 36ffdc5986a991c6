"""Parts of the lines of lists: texts, each with its role."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tracetui.session.text.width import cells_of, fitted, padded, shown

VERDICT_MARKS = {
    "accept": "✓ accept",
    "drop": "✗ drop",
    "reject": "✗ reject",
    "unknown": "· unknown",
}
"""Verdicts are told apart without colour."""


class TextPart(NamedTuple):
    """A part of a line and what it is, which gives its look."""

    text: str
    role: str
    """The component class is ``timeline--ROLE``."""


Line = tuple[TextPart, ...]


def cell(text: str, width: int) -> str:
    """A column of a line: the text cut or filled to so many cells, and one between."""
    return padded(shown(text, width), width) + " "


def fit(pieces: Iterable[TextPart], width: int) -> Line:
    """The pieces as far as so many cells take them."""
    line: list[TextPart] = []
    for piece in pieces:
        if width <= 0:
            break
        line.append(piece._replace(text=fitted(piece.text, width)))
        width -= cells_of(piece.text)
    return tuple(line)
