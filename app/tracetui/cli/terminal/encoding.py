"""Our marks, and any other text, in an encoding that lacks them: ASCII, Latin-1.

Python has UTF-8 also where LANG is C (PEP 540); a node can be set to another encoding all the same.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable

from tracetui.session.text.width import cells_of

AS_TEXT = "tracetui.as_text"
"""The error handler for text: marks in ASCII, the rest as escapes, so that nothing is lost."""
BY_CELLS = "tracetui.by_cells"
"""The one for a screen: every character takes as many cells as it would have."""
_ASCII_WORDS = {"→": "->", "⇒": "=>", "…": "..."}
_ASCII_MARKS = {
    "→": ">", "⇒": ">", "…": "~", "·": "-", "µ": "u", "✓": "+", "✗": "x", "○": "o", "●": "*",
    "◆": "*", "▶": ">", "▸": ">", "▾": "v", "←": "<", "↑": "^", "↓": "v", "│": "|", "├": "|",
    "└": "`", "─": "-", "�": "?",
}  # fmt: skip
_BOX_DRAWING = range(0x2500, 0x2580), "+"
_BLOCKS = range(0x2580, 0x25A0), "#"


def register() -> None:
    """Make both handlers known to the codecs."""
    codecs.register_error(AS_TEXT, _handler(_as_text))
    codecs.register_error(BY_CELLS, _handler(_by_cells))


def _handler(replacement: Callable[[str], str]) -> Callable[[UnicodeError], tuple[str, int]]:
    def replace(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        return "".join(map(replacement, error.object[error.start : error.end])), error.end

    return replace


def _as_text(character: str) -> str:
    ascii_text = _ASCII_WORDS.get(character) or _ASCII_MARKS.get(character)
    return ascii_text or character.encode("ascii", "backslashreplace").decode()


def _by_cells(character: str) -> str:
    for codes, mark in (_BOX_DRAWING, _BLOCKS):
        if character not in _ASCII_MARKS and ord(character) in codes:
            return mark
    return _ASCII_MARKS.get(character) or "?" * cells_of(character)
