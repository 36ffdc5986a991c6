"""Files of ours in the user's home."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def directory(variable: str, usual: str) -> Path:
    """Ours in the directory an XDG variable names; a relative one does not count (XDG basedir)."""
    base = os.environ.get(variable, "")
    return (Path(base) if base.startswith("/") else Path(usual).expanduser()) / "tracetui"


def write(path: Path, text: str) -> None:
    """Write a file all at once, readable for the user only; raises OSError."""
    # A link is what people keep such files by: what it points to is replaced, not the link.
    target = Path(os.path.realpath(path))
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new", dir=target.parent) as beside:
        new = Path(beside) / "new"
        new.touch(mode=0o600)
        new.write_text(text, encoding="utf-8")
        new.replace(target)
