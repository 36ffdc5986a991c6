"""Keys as people write them, and as Textual names them."""

from __future__ import annotations

import re
import unicodedata
from typing import Optional

MODIFIERS = ("ctrl", "shift", "alt")
_FUNCTION_KEY = re.compile(r"f[0-9]+")
_TEXTUAL_NAMES = {
    "solidus": "slash", "reverse_solidus": "backslash", "commercial_at": "at",
    "hyphen_minus": "minus", "plus_sign": "plus", "low_line": "underscore",
}  # fmt: skip
"""Textual's names that differ from Unicode's (its ``keys.py``)."""


def name_of(character: str) -> str:
    """Textual's name of the key that types a character; the character itself where it is that."""
    if character.isalnum():
        return character
    name = unicodedata.name(character, character).lower().replace("-", "_").replace(" ", "_")
    return _TEXTUAL_NAMES.get(name, name)


_CHARACTERS = {name_of(chr(one)): chr(one) for one in range(ord("!"), ord("~") + 1)}
_WRITTEN = {
    "enter": "Enter", "space": "Space", "tab": "Tab", "escape": "Esc", "backspace": "Backspace",
    "up": "↑", "down": "↓", "left": "←", "right": "→", "delete": "Del",
    "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End", **_CHARACTERS,
}  # fmt: skip
_KEY_NAMES = {written.lower(): name for name, written in _WRITTEN.items() if len(name) > 1}


def written(keys: str) -> str:
    """Keys by their names, comma between, as people write them, blank between."""
    return " ".join(map(_one_written, keys.split(",")))


def read(key: str) -> Optional[str]:
    """The name of a key from how people write it; None where there is no such key."""
    if len(key) == 1:
        return name_of(key) if key.isprintable() else None
    *modifiers, last = key.lower().split("+")
    last = _KEY_NAMES.get(last, last)
    return "+".join((*modifiers, last)) if _is_known(modifiers, last) else None


def _one_written(key: str) -> str:
    *modifiers, last = key.split("+")
    name = _WRITTEN.get(last, last)
    if _FUNCTION_KEY.fullmatch(name) or (modifiers and len(name) == 1):
        name = name.upper()
    return "+".join([*(modifier.capitalize() for modifier in modifiers), name])


def _is_known(modifiers: list[str], last: str) -> bool:
    # The man page is made of the keys too, and needs no Textual.
    from textual.keys import Keys

    names = {key.value for key in Keys}
    is_key = last in names or last in _CHARACTERS or (len(last) == 1 and last.isprintable())
    return is_key and set(modifiers) <= set(MODIFIERS)
