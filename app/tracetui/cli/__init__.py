"""The command line; the one place that wires kernel to collector and session to ui.

Exit status: 0 done, 1 it could not be done, 2 bad usage, 128 and the number of the signal that
ended it; one clear line on stderr, no traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status.

    Nothing of ours is imported before: what can't be loaded, for want of memory, of descriptors or
    of a package, is said in one line too.
    """
    try:
        from tracetui.cli.start.program import run

        return run(argv)
    except (MemoryError, SystemError):
        # Without memory CPython now and then fails to say of what it failed.
        why = "there is not enough memory here to start it (ulimit -v, or a cgroup's limit)"
    except ImportError as error:
        why = f"a module can't be loaded: {error}; install tracetui again"
    except OSError as error:
        why = f"a module can't be read: {error.strerror}"
    except KeyboardInterrupt:
        return 130
    _say(f"tracetui: {why}\n")
    return 1


def _say(line: str) -> None:
    """Write a line to standard error, with nothing that would have to be loaded."""
    try:
        os.write(2, line.encode(sys.getfilesystemencoding(), "replace"))
    except OSError:
        return
