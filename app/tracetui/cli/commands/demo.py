"""``tracetui demo``: the full screen on a throwaway lab, or on a recording of it."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from typing import BinaryIO

from tracetui.cli.commands import tracing
from tracetui.cli.start import late
from tracetui.cli.terminal import terminal_restorer
from tracetui.cli.terminal.terminal import can_draw, say, take_terminal
from tracetui.errors import Failure
from tracetui.kernel import privileges
from tracetui.kernel.xtables import Xtables
from tracetui.lab import recording
from tracetui.lab.network import CLIENT_SIDE, SERVER_SIDE
from tracetui.lab.process import LabProcess
from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.filter.view_filter import ViewFilter
from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.rule_fields import DEFAULT_EXPIRY
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.live.live import LiveSession
from tracetui.session.recording import report
from tracetui.session.replay.printout import Printout
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.state.session import Session


def run(options: argparse.Namespace) -> int:
    """Show the screen until it is left, or print the recording; the exit status."""
    if not can_draw():
        return _print_recording()
    take_terminal("`tracetui demo | less` prints a recording")
    # When the recording is needed, root may have been given up, and only root be able to read it.
    with terminal_restorer.restoring(), recording.open_recording() as file, ExitStack() as stack:
        session: Session
        try:
            session = _live(options, stack)
        except Failure as error:
            stack.close()
            session = _recorded(str(error), file)
        from tracetui.cli.terminal.screen import show

        return show(session)


def _live(options: argparse.Namespace, stack: ExitStack) -> LiveSession:
    """The lab with traffic in it, traced on its node; raises Failure where that can't be had."""
    if not privileges.may_trace():
        raise Failure("a live lab needs root: try again with sudo")
    lab = stack.enter_context(LabProcess(_kind()))
    options.netns = lab.node
    session = tracing.start(options, called="lab", meanwhile=late.load_screen)
    expires = int(time.time()) + DEFAULT_EXPIRY
    rules = [
        TraceRule(chain="PREROUTING", iif=device)._replace(expires=expires)
        for device in (CLIENT_SIDE, SERVER_SIDE)
    ]
    session.add_rules(rules, session.status.node.backend)
    return session


def _kind() -> str:
    """Rules in both backends where the node has both; raises Failure where it has none."""
    backends = Xtables().backends
    if not backends:
        raise Failure("a live lab needs iptables: install the iptables package")
    return "mixed" if len(backends) > 1 else backends[0]


def _print_recording() -> int:
    """Print the recording of the lab as text; the exit status."""
    with recording.open_recording() as file:
        session = ReplaySession([("a recording of the lab", file)])

        def out(packet: Packet, explanation: PacketExplanation) -> None:
            print("\n".join(report.packet_text(packet, explanation)))

        Printout(session, ViewFilter.parse(), out).run()
    say("this is a recording of the lab; on a terminal, tracetui demo shows the lab live")
    return 0


def _recorded(why: str, file: BinaryIO) -> ReplaySession:
    """A recording of the lab, which says that it is one."""
    return ReplaySession([("a recording of the lab", file)], why_not=f"this is a recording; {why}")
