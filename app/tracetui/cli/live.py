"""``tracetui``: the full screen, on this node."""

from __future__ import annotations

import argparse

from tracetui.cli import options as shared
from tracetui.cli import tracing
from tracetui.cli.terminal import take_keyboard
from tracetui.errors import Failure
from tracetui.kernel import privileges
from tracetui.session.replay import ReplaySession
from tracetui.session.session import Session


def run(options: argparse.Namespace) -> int:
    """Show the screen until it is left; the exit status."""
    rules = shared.rules(options) if shared.asks_for_rule(options) else []
    take_keyboard()
    from tracetui.cli.screen import show

    if not privileges.may_trace():
        if rules:
            raise Failure("tracing needs root: try again with sudo")
        return show(_without_root())
    session = tracing.start(options)
    try:
        tracing.wait_until_ready(session)
        tracing.add_rules(session, rules, options)
    except BaseException:
        session.close()
        raise
    return show(session)


def _without_root() -> Session:
    """A session that shows what needs no root and says what does."""
    return ReplaySession([], why_not="tracing needs root: quit and type `sudo tracetui`")
