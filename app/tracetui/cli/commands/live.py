"""``tracetui``: the full screen, on this node."""

from __future__ import annotations

import argparse

from tracetui.cli.commands import tracing
from tracetui.cli.grammar import options as shared
from tracetui.cli.start import late
from tracetui.cli.terminal import terminal_restorer
from tracetui.cli.terminal.terminal import say, take_terminal
from tracetui.errors import Failure
from tracetui.kernel import privileges
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.state.session import Session


def run(options: argparse.Namespace) -> int:
    """Show the screen until it is left; the exit status."""
    rules = shared.rules(options) if shared.asks_for_rule(options) else []
    take_terminal("`tracetui record` traces without one")
    with terminal_restorer.restoring():
        session = _session(options, rules)
        from tracetui.cli.terminal.screen import show

        return show(session, options.filter)


def _session(options: argparse.Namespace, rules: list[TraceRule]) -> Session:
    """A live session with the rules in place; without root, one that shows what needs none."""
    may_trace = privileges.may_trace()
    try:
        session = tracing.start(options, meanwhile=late.load_screen)
    except Failure as error:
        if may_trace or rules:
            raise
        say(str(error))
        return ReplaySession([], why_not=f"not tracing: {error}; quit and type `sudo tracetui`")
    if rules:
        tracing.add_rules(session, rules, options)
    return session
