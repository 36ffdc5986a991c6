"""Filters that were in force before, in this session and in those before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tracetui.errors import Failure
from tracetui.session.user import home

KEPT = 50
"""Filters remembered."""
LARGEST = 1 << 20
"""Bytes of the file that are read."""


class FilterHistory:
    """Expressions, the newest last."""

    def __init__(self, before: Sequence[str] = ()) -> None:
        """``before`` are those of earlier sessions."""
        self.filters = list(before)
        """All of them."""
        self.new: list[str] = []
        """Those of this session."""

    def remember(self, text: str) -> None:
        """Take in a filter; what stands there already comes to be the newest."""
        self.filters = _newest([*self.filters, text])
        self.new = _newest([*self.new, text])


def file() -> Path:
    """Where they are, by the XDG base directory specification."""
    return home.directory("XDG_STATE_HOME", "~/.local/state") / "filters"


def load(path: Path) -> FilterHistory:
    """What earlier sessions kept, one filter a line; nothing where that can't be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            lines = stream.read(LARGEST).splitlines()
    except OSError:
        return FilterHistory()
    return FilterHistory(_newest(lines))


def save(path: Path, history: FilterHistory) -> None:
    """Add those of this session to what other sessions keep there by now; raises Failure."""
    if not history.new:
        return
    filters = _newest([*load(path).filters, *history.new])
    try:
        home.write(path, "".join(f"{one}\n" for one in filters))
    except OSError as error:
        raise Failure(f"the filters are not kept: {path}: {error.strerror}") from None


def _newest(filters: Iterable[str]) -> list[str]:
    """Each once, where it stands last; as many as are kept."""
    texts = [text for one in filters if (text := " ".join(one.splitlines()).strip())]
    return list(dict.fromkeys(reversed(texts)))[:KEPT][::-1]
