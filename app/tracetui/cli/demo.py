"""``tracetui demo``: the full screen on a throwaway lab, or on a recording of it."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from dataclasses import replace

from tracetui.cli import tracing
from tracetui.cli.terminal import take_keyboard
from tracetui.errors import Failure
from tracetui.kernel import privileges
from tracetui.kernel.xtables import Xtables
from tracetui.lab import recording
from tracetui.lab.network import CLIENT_SIDE, SERVER, SERVER_SIDE, Lab
from tracetui.lab.ruleset import Ruleset
from tracetui.lab.traffic import Traffic
from tracetui.model.rule import DEFAULT_EXPIRY, TraceRule
from tracetui.session.live import LiveSession
from tracetui.session.replay import ReplaySession


def run(options: argparse.Namespace) -> int:
    """Show the screen until it is left; the exit status."""
    take_keyboard()
    from tracetui.cli.screen import show

    with ExitStack() as stack:
        try:
            session = _live(options, stack)
        except Failure as error:
            stack.close()
            return show(_recorded(str(error), stack))
        return show(session)


def _live(options: argparse.Namespace, stack: ExitStack) -> LiveSession:
    """The lab with traffic in it, traced on its node; raises Failure where that can't be had."""
    if not privileges.may_trace():
        raise Failure("a live one needs root: try again with sudo")
    lab = stack.enter_context(Lab(Ruleset(_kind(), SERVER)))
    traffic = stack.enter_context(Traffic(lab))
    session = LiveSession(lab.node, options.source, options.guard, called="lab")
    try:
        tracing.wait_until_ready(session)
        expires = int(time.time()) + DEFAULT_EXPIRY
        for device in (CLIENT_SIDE, SERVER_SIDE):
            rule = replace(TraceRule(chain="PREROUTING", iif=device), expires=expires)
            session.add_rule(rule, session.status.node.backend)
        traffic.keep_asking()
    except BaseException:
        session.close()
        raise
    return session


def _kind() -> str:
    """Rules in both backends where the node has both; raises Failure where it has none."""
    backends = Xtables().backends
    if not backends:
        raise Failure("a live one needs iptables: install the iptables package")
    return "mixed" if len(backends) > 1 else backends[0]


def _recorded(why: str, stack: ExitStack) -> ReplaySession:
    """A recording of the lab, which says that it is one."""
    file = stack.enter_context(recording.open_recording())
    return ReplaySession([("a recording of the lab", file)], why_not=f"this is a recording; {why}")
