"""A fault of the program's own: one line for the user, and a report for who mends it."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from pathlib import Path

from tracetui import __version__
from tracetui.errors import TracetuiError
from tracetui.kernel import privileges
from tracetui.session.user import home

REPORT_CHARACTERS = 64 << 10
"""Characters of a report, of which the last tell the most."""


def report(error: BaseException) -> str:
    """Write down where it happened; the sentence that says what it was, and where that is.

    Only the last report is kept, so that they can't fill a disk.
    """
    summary = f"internal error: {_last_line(error)}"
    # Only root may be able to read the sources, and what Python imports to write them down.
    text = _text(error)
    try:
        # Under sudo the directory may be the user's, and root touches nothing there.
        with privileges.acting_as_invoker():
            path = _file()
            home.write(path, text)
    except (OSError, RuntimeError, TracetuiError) as why:
        reason = why.strerror if isinstance(why, OSError) else why
        return f"{summary}; no report could be written ({reason})"
    return f"{summary}; the report is in {path}"


def _file() -> Path:
    """Path of the report, by the XDG base directory specification."""
    user = privileges.invoker()
    theirs = user.home if user is not None and user.home else "~"
    return home.directory("XDG_STATE_HOME", f"{theirs}/.local/state") / "fault.txt"


def _text(error: BaseException) -> str:
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return (
        f"tracetui {__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()}\n"
        f"uid {os.geteuid()}: {' '.join(map(repr, sys.argv))}\n\n"
        f"{''.join(lines)[-REPORT_CHARACTERS:]}"
    )


def _last_line(error: BaseException) -> str:
    """The error as one short line."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}{f': {lines[0][:200]}' if lines[0] else ''}"
