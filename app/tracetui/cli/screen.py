"""The full screen over a session, whatever its packets come from."""

from __future__ import annotations

import os
import sys

from tracetui.errors import Failure
from tracetui.kernel.procfs import ProcFs
from tracetui.session.inert import inert
from tracetui.session.session import Session
from tracetui.ui.app import TraceApp


def show(session: Session) -> int:
    """Run the screen, then close the session and say what that did; the exit status."""
    try:
        take_keyboard()
        app = TraceApp(session, ProcFs().modules_text)
        app.run()
    finally:
        session.close()
        for notice in session.take_notices():
            print(f"tracetui: {inert(notice.text)}", file=sys.stderr)
    return app.return_code or 0


def take_keyboard() -> None:
    """Read keys from the terminal, also where packets come through a pipe; raises Failure.

    Without a terminal behind it the screen would find the end of its input again and again.
    """
    if not sys.stdout.isatty():
        raise Failure("the screen needs a terminal; `tracetui replay --format text` needs none")
    if sys.stdin is not None and sys.stdin.isatty():
        return
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        raise Failure("the screen needs a terminal to read keys from") from None
    os.dup2(terminal, 0)
    os.close(terminal)
