"""``tracetui replay``: the timeline, or its text or JSON, out of files."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from tracetui.cli import terminal_keeper
from tracetui.cli.terminal import say, take_terminal
from tracetui.errors import Failure
from tracetui.kernel import privileges
from tracetui.model.view_filter import ViewFilter
from tracetui.session import report
from tracetui.session.recording import RecordingWriter
from tracetui.session.replay import ReplaySession
from tracetui.session.rulesets import Rulesets


def run(options: argparse.Namespace) -> int:
    """Replay the files; the exit status."""
    wanted = options.format or ("tui" if sys.stdout.isatty() else "text")
    with ExitStack() as stack:
        files = [(name, stack.enter_context(_open(name))) for name in options.files]
        rulesets = _rulesets(options.ruleset)
        # What is read may be readable by root only; what it says need not be looked at by root.
        privileges.drop_to_invoker()
        session = ReplaySession(files, rulesets=rulesets)
        if wanted == "tui":
            take_terminal()
            with terminal_keeper.kept():
                from tracetui.cli.screen import show

                return show(session, options.filter)
        session.read_all()
        _print(session, wanted, options)
    if session.status.skipped:
        say(f"{session.status.skipped} lines held no hop")
    return 0


def _rulesets(names: list[str]) -> Rulesets:
    """The listings of --ruleset; raises Failure for a file that is none."""
    rulesets = Rulesets()
    for name in names:
        with _open(name) as file:
            text = file.read().decode(errors="backslashreplace")
        if not rulesets.fix(text):
            raise Failure(
                f"{name}: no ruleset; iptables-save, `nft -j list ruleset` and `nft -a list "
                "ruleset` write one"
            )
    return rulesets


def _print(session: ReplaySession, wanted: str, options: argparse.Namespace) -> None:
    view = ViewFilter.parse(expression=options.filter)
    packets = [one for one in session.packets if view.matches(one, session.explain)]
    if wanted == "json":
        writer = RecordingWriter(sys.stdout)
        writer.hello(session.status)
        for packet in packets:
            writer.packet(packet, session.explain(packet))
        writer.bye(session.status, len(packets))
        return
    for packet in packets:
        for line in report.packet_text(packet, session.explain(packet), options.own):
            print(line)


def _open(name: str) -> BinaryIO:
    """The file, or standard input for ``-``; raises Failure."""
    if name == "-":
        # A screen takes the keyboard in its place.
        return os.fdopen(os.dup(0), "rb")
    try:
        return Path(name).open("rb")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Failure(f"{name}: {why}") from None
