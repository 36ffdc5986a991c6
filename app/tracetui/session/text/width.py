"""The width of texts in terminal cells, and texts cut to a width."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from tracetui.session.text.sanitize import COMBINING_MARKS, is_mark, is_plain, sanitize

ELLIPSIS = "…"
_DENSEST = COMBINING_MARKS + 1
"""Characters in one cell of an inert text: a letter and its marks."""


def shown(text: str, cells: int) -> str:
    """Any text, inert and in at most so many cells."""
    return fitted(_sanitized_head(text, cells), cells) if cells > 0 else ""


def cells_of(text: str) -> int:
    """The cells an inert text takes: letters of East Asia take two, marks on a letter none."""
    return len(text) if is_plain(text) else sum(map(_width, text))


def fitted(text: str, cells: int) -> str:
    """An inert text, its end cut off with an ellipsis where it takes more cells."""
    if len(text) <= cells * _DENSEST and cells_of(text) <= cells:
        return text
    return text[: _room(text, cells - 1)] + ELLIPSIS[: max(0, cells)]


def padded(text: str, cells: int) -> str:
    """An inert text in exactly so many cells."""
    text = fitted(text, cells)
    return text + " " * (cells - cells_of(text))


def tail(text: str, cells: int) -> str:
    """An inert text, its beginning cut off where it takes more cells."""
    if cells_of(text) <= cells:
        return text
    start, room = len(text), cells - 1
    while start and _width(text[start - 1]) <= room:
        start -= 1
        room -= _width(text[start])
    return ELLIPSIS[: max(0, cells)] + text[start:]


def wrapped(text: str, cells: int, lines: int) -> list[str]:
    """Any text on at most so many lines, broken at blanks where it has them; empty for none."""
    if cells < 1 or lines < 1:
        return []
    rest = _sanitized_head(text, cells * lines)
    lines_so_far: list[str] = []
    while len(lines_so_far) < lines - 1 and cells_of(rest) > cells:
        room = max(1, _room(rest, cells))
        blank = rest.rfind(" ", 1, room + 1)
        cut = blank if blank > 0 else room
        lines_so_far.append(rest[:cut])
        rest = rest[cut:].lstrip(" ")
    return [*lines_so_far, fitted(rest, cells)] if rest else lines_so_far


def _sanitized_head(text: str, cells: int) -> str:
    """Sanitize a text, of one that is far too long only its head: the rest is not shown."""
    most = cells * _DENSEST
    return sanitize(text) if len(text) <= most else sanitize(text[:most]) + ELLIPSIS


def _room(text: str, cells: int) -> int:
    """Number of characters of a text that fit into so many cells."""
    for index, character in enumerate(text):
        cells -= _width(character)
        if cells < 0:
            return index
    return len(text)


@lru_cache(maxsize=4096)
def _width(character: str) -> int:
    if is_mark(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
