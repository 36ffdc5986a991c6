"""The full screen over a session, whatever its packets come from."""

from __future__ import annotations

from tracetui.cli.terminal import say
from tracetui.kernel.procfs import ProcFs
from tracetui.session.session import Session
from tracetui.ui.app import TraceApp


def show(session: Session) -> int:
    """Run the screen, then close the session and say what that did; the exit status."""
    try:
        app = TraceApp(session, ProcFs().modules_text)
        app.run()
    finally:
        session.close()
        for notice in session.take_notices():
            say(notice.text)
    return app.return_code or 0
