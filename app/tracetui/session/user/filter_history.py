"""Filters used in this session and in earlier ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tracetui.errors import Failure
from tracetui.session.user import home

FILTERS_KEPT = 50
"""Filters remembered."""
HISTORY_BYTES = 1 << 20
"""Bytes of the file that are read."""


class FilterHistory:
    """Expressions, the newest last."""

    def __init__(self, before: Sequence[str] = ()) -> None:
        """``before`` are those of earlier sessions."""
        self.filters = list(before)
        """All filters, oldest first."""
        self.new: list[str] = []
        """Filters of this session."""

    def remember(self, text: str) -> None:
        """Take in a filter; what stands there already comes to be the newest."""
        self.filters = _newest([*self.filters, text])
        self.new = _newest([*self.new, text])


def file() -> Path:
    """Path of the history, by the XDG base directory specification."""
    return home.directory("XDG_STATE_HOME", "~/.local/state") / "filters"


def load(path: Path) -> FilterHistory:
    """Load the filters of earlier sessions, one a line; none if the file can't be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            lines = stream.read(HISTORY_BYTES).splitlines()
    except OSError:
        return FilterHistory()
    return FilterHistory(_newest(lines))


def save(path: Path, history: FilterHistory) -> None:
    """Add the filters of this session to those of others in the file; raises Failure."""
    if not history.new:
        return
    filters = _newest([*load(path).filters, *history.new])
    try:
        home.write(path, "".join(f"{expression}\n" for expression in filters))
    except OSError as error:
        raise Failure(f"the filters were not saved: {path}: {error.strerror}") from None


def _newest(filters: Iterable[str]) -> list[str]:
    """Each filter once, at its last position; the newest FILTERS_KEPT."""
    texts = [text for expression in filters if (text := " ".join(expression.splitlines()).strip())]
    return list(dict.fromkeys(reversed(texts)))[:FILTERS_KEPT][::-1]
