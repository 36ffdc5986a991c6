"""A picture of a screen as text: its characters first, then the style of each run of cells.

Both halves are compact and readable, so that a diff of two pictures shows what changed::

    styles
    fwj  #e0e0e0 on #121212
    qa2  bold #ffffff on #0178d4

    runs
      1  fwj*12 qa2*7 fwj*61

Runs count cells, from the left; a wide character has two. The name of a style is drawn from its
words, so that a new style renames no other.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
from itertools import groupby

from rich.segment import Segment
from textual.app import App
from textual.strip import Strip


def draw(app: App[object]) -> str:
    """Draw what the program shows now, screens below a dialog included."""
    lines = [list(strip) for strip in strips(app)]
    words = [line_text(line) for line in lines]
    styles: dict[str, str] = {}
    runs = []
    for number, line in enumerate(lines, 1):
        cells = [(segment.cell_length, str(segment.style or "none")) for segment in line]
        parts = []
        for style, group in groupby(filter(has_width, cells), key=lambda cell: cell[1]):
            name = name_of(style)
            assert styles.setdefault(name, style) == style, "two styles of one name"
            parts.append(f"{name}*{sum(width for width, _ in group)}")
        runs.append(f"{number:3}  {' '.join(parts)}")
    legend = [f"{name}  {style}" for name, style in styles.items()]
    return "\n".join([*words, "", "styles", *legend, "", "runs", *runs, ""])


def strips(app: App[object]) -> list[Strip]:
    """Return the lines of the screen, as the program would write them to a terminal."""
    from textual._context import visible_screen_stack

    visible_screen_stack.set(app._background_screens)
    return app.screen._compositor.render_strips()


def line_text(line: list[Segment]) -> str:
    """Return the characters of a line without the blanks at its end."""
    return "".join(segment.text for segment in line).rstrip()


def has_width(cells: tuple[int, str]) -> bool:
    """Tell whether a run of cells is there to be seen."""
    return cells[0] > 0


def name_of(style: str) -> str:
    """Return three characters that stand for a style."""
    return base64.b32encode(hashlib.sha256(style.encode()).digest())[:3].decode().lower()


def words_of(picture: str) -> list[str]:
    """Return the characters of a drawn screen, line by line."""
    return picture.partition("\n\nstyles\n")[0].splitlines()


def difference(expected: str, actual: str) -> str:
    """Return a diff of two pictures: of their words where those differ, else of their styles."""
    before, after = words_of(expected), words_of(actual)
    if before == after:
        before, after = expected.splitlines(), actual.splitlines()
    return "\n".join(difflib.unified_diff(before, after, "expected", "drawn", lineterm="", n=1))
