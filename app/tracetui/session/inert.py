"""Text from logs, rules and files is data: nothing in it may act on the terminal or the screen."""

from __future__ import annotations

import unicodedata

_DANGEROUS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories that move the cursor, reverse the direction or show nothing."""


def inert(text: str) -> str:
    """The text with every character that is not plainly visible replaced."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("�" if unicodedata.category(c) in _DANGEROUS else c for c in text)
