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
    "import gc, sys; gc.disable(); sys.path.insert(0, sys.argv.pop(1)); {}"
    "from tracetui.collector.__main__ import main; gc.freeze(); gc.enable(); sys.exit(main())"
)
"""Behind it comes the directory, or the archive, that the package is in.

What is imported is in no cycle: to look for some meanwhile took a fifth of the start.
"""
_FROM_ARCHIVE = (
    "from tracetui.onefile.archive_sources import import_from; import_from(sys.path[0]); "
)


def words() -> list[str]:
    """Words that start a collector; its options come behind them.

    A checkout need not be installed for that. What it says is UTF-8 whatever the locale.
    """
    package = Path(__file__).resolve().parents[2]
    start = START.format(_FROM_ARCHIVE if package.is_file() else "")
    return [sys.executable, "-I", "-S", "-X", "utf8", "-c", start, str(package)]


def main() -> NoReturn:
    """Become a collector with the options that were typed."""
    argv = [*words(), *sys.argv[1:]]
    try:
        os.execv(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"tracetui-collector: {argv[0]}: {error.strerror}")
