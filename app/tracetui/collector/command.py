"""``tracetui-collector``: a collector, and nothing else, for a line of sudoers(5) to allow.

It starts python anew, isolated and without site-packages: as root only the standard library and
this very package are looked at (python(1), -I and -S).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from tracetui.collector.__main__ import main; sys.exit(main())"
)
"""Behind it comes the directory that the package is in."""


def words() -> list[str]:
    """Words that start a collector; its options come behind them.

    A checkout need not be installed for that. What it says is UTF-8 whatever the locale.
    """
    package = str(Path(__file__).resolve().parents[2])
    return [sys.executable, "-I", "-S", "-X", "utf8", "-c", START, package]


def main() -> NoReturn:
    """Become a collector with the options that were typed."""
    argv = [*words(), *sys.argv[1:]]
    try:
        os.execv(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"tracetui-collector: {argv[0]}: {error.strerror}")
