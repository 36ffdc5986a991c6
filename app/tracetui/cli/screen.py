"""The full screen over a session, whatever its packets come from."""

from __future__ import annotations

import sys

from tracetui.kernel.procfs import ProcFs
from tracetui.session.inert import inert
from tracetui.session.session import Session
from tracetui.ui.app import TraceApp


def show(session: Session) -> int:
    """Run the screen, then close the session and say what that did; the exit status."""
    app = TraceApp(session, ProcFs().modules_text)
    try:
        app.run()
    finally:
        session.close()
        for notice in session.take_notices():
            print(f"tracetui: {inert(notice.text)}", file=sys.stderr)
    return app.return_code or 0
