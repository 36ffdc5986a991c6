"""Text in the macros of man(7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_GLYPHS = {
    "\\": "\\e", "-": "\\-", '"': "\\(dq", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti",
}  # fmt: skip
"""What roff would take for a command, or print as another character (groff_char(7))."""
_COMMAND = re.compile("`([^`]+)`")


def text(plain: str) -> str:
    """Text that is printed as it is."""
    made = "".join(
        _GLYPHS.get(one, one) if one < "\x7f" else f"\\[u{ord(one):04X}]" for one in plain
    )
    return f"\\&{made}" if made.startswith(".") else made


def prose(plain: str) -> str:
    """Text with `commands` in bold."""
    parts = _COMMAND.split(plain)
    return "".join(f"\\fB{text(one)}\\fR" if at % 2 else text(one) for at, one in enumerate(parts))


def heading(title: str) -> str:
    """The title of a part of a section."""
    return f'.SS "{text(title)}"'


def paragraphs(texts: Iterable[str]) -> Iterator[str]:
    """A paragraph for each text."""
    for one in texts:
        yield ".PP"
        yield prose(one)


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
