"""The help of a command: paragraphs, lists of entries and their columns, with no colour in it."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

WIDTH = 80
"""Columns of the help at most; narrower terminals get less."""
_MARGIN, _COLUMN, _LEAST = 2, 26, 11
"""Columns left free at the right; those before what is told of an entry, at most; and those for
that, at least."""


class HelpEntry(NamedTuple):
    """An entry of a list."""

    name: str
    about: str
    indent: int = 2


def written(
    usage: str, paragraphs: Iterable[str], lists: Mapping[str, Sequence[HelpEntry]], end: str
) -> str:
    """The help as it is printed; ``lists`` by their titles, ``end`` as it is."""
    width = min(shutil.get_terminal_size().columns, WIDTH) - _MARGIN
    names = [
        entry.indent + len(entry.name)
        for entries_of_list in lists.values()
        for entry in entries_of_list
    ]
    column = min(max(names, default=0) + 2, _COLUMN, max(width - 20, 4))
    parts = [usage.rstrip(), *(_filled(paragraph, max(width, _LEAST)) for paragraph in paragraphs)]
    for title, entries in lists.items():
        lines = [line for entry in entries for line in _entry(entry, column, width)]
        parts.append("\n".join([f"{title}:", *lines]))
    return "\n\n".join([*parts, end]) + "\n"


def _entry(entry: HelpEntry, column: int, width: int) -> list[str]:
    """The lines of an entry: a long name has one to itself."""
    about_lines = textwrap.wrap(entry.about, max(width - column, _LEAST), break_on_hyphens=False)
    lines = [" " * column + line for line in about_lines]
    name = " " * entry.indent + entry.name
    if len(name) + 2 > column:
        return [name, *lines]
    return [name.ljust(column) + about_lines[0], *lines[1:]]


def _filled(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_on_hyphens=False)
