"""Text in the macros of man(7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_GLYPHS = {
    "\\": "\\e", "-": "\\-", '"': "\\(dq", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti",
}  # fmt: skip
"""Characters that roff would interpret, or print as others (groff_char(7))."""
_QUOTED_COMMAND = re.compile("`([^`]+)`")


def text(plain: str) -> str:
    """Text that is printed as it is."""
    glyphs = "".join(
        _GLYPHS.get(character, character) if character < "\x7f" else f"\\[u{ord(character):04X}]"
        for character in plain
    )
    return f"\\&{glyphs}" if glyphs.startswith(".") else glyphs


def prose(plain: str) -> str:
    """Text with `commands` in bold."""
    parts = _QUOTED_COMMAND.split(plain)
    return "".join(
        f"\\fB{text(part)}\\fR" if index % 2 else text(part) for index, part in enumerate(parts)
    )


def heading(title: str) -> str:
    """The title of a part of a section."""
    return f'.SS "{text(title)}"'


def paragraphs(texts: Iterable[str]) -> Iterator[str]:
    """A paragraph for each text."""
    for paragraph in texts:
        yield ".PP"
        yield prose(paragraph)


def entry(name: str, about: str) -> Iterator[str]:
    """An entry of a list."""
    yield ".TP"
    yield f"\\fB{text(name)}\\fR"
    yield prose(about)


def example(purpose: str, line: str) -> Iterator[str]:
    """A line that can be typed, and what it is for."""
    yield ".PP"
    yield f"{text(purpose)}:"
    yield from (".PP", ".RS 2", ".nf", text(line), ".fi", ".RE")
