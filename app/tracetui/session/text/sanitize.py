"""Text from logs, rules and files is data: nothing in it may act on the terminal or the screen."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache

REPLACEMENT = "�"
"""Replacement of a character that is not shown."""
COMBINING_MARKS = 3
"""Marks on one letter at most: more are no writing, and would be drawn over the lines around."""
_INVISIBLE = frozenset((
    *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0),  # choose another form, and another width
    *range(0x1F1E6, 0x1F200), *range(0x1F3FB, 0x1F400),  # drawn by some terminals with the next one
    0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0,
))  # fmt: skip
"""Characters that are printable and show nothing (Default_Ignorable_Code_Point)."""
_VISIBLE = re.compile("[ -~¡-¬®-ɏ→⇒…·✓✗▶│└]*")
"""ASCII, Latin letters and what the screen itself draws: nothing in it needs a closer look."""
_SPECIAL = re.compile(r"[^ -~]")


def sanitize(text: str) -> str:
    """Replace every character that is not plainly visible.

    That is what moves a cursor, changes a colour or the direction of writing, takes no cell or
    looks like a blank, and half a character that is none (``str.isprintable``).
    """
    if is_plain(text):
        return text
    visible: list[str] = []
    # A mark at the very beginning would be drawn onto what stands before the text.
    marks = COMBINING_MARKS
    for character in text:
        marks = marks + 1 if is_mark(character) else 0
        if marks <= COMBINING_MARKS:
            visible.append(_shown(character))
        elif marks == COMBINING_MARKS + 1:
            visible.append(REPLACEMENT)
    return "".join(visible)


def sanitize_json(text: str) -> str:
    """Escape such characters in a JSON text, which is read back as it was."""
    return text if text.isprintable() else _SPECIAL.sub(_escaped, text)


def is_plain(text: str) -> bool:
    """Whether a text is inert and takes one cell for each character, as far as a look tells."""
    return _VISIBLE.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def is_mark(character: str) -> bool:
    """Whether a character is drawn onto the one before it and takes no cell."""
    code = ord(character)
    # Hangul vowels and finals, which join the consonant before them.
    is_joining = 0x1160 <= code <= 0x11FF or 0xD7B0 <= code <= 0xD7FF
    return is_joining or unicodedata.category(character)[0] == "M"


@lru_cache(maxsize=4096)
def _shown(character: str) -> str:
    is_plain = character.isprintable() and ord(character) not in _INVISIBLE
    return character if is_plain else REPLACEMENT


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable():
        return character
    # Beyond 16 bits it takes a pair, which json knows; it leaves DEL as it is.
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else json.dumps(character)[1:-1]
