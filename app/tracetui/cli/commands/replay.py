"""``tracetui replay``: the timeline, or its text or JSON, out of files."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from tracetui.cli.start import late
from tracetui.cli.terminal import terminal_restorer
from tracetui.cli.terminal.terminal import can_draw, say, take_terminal
from tracetui.errors import Failure
from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.filter.view_filter import ViewFilter
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.recording.recording import RecordingWriter
from tracetui.session.replay.printout import KEPT_HOPS, Printout
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.store import PacketStore

LARGEST_RULESET = 64 << 20
"""Bytes of a listing: some 450,000 rules."""
_PIECE_BYTES = 1 << 20


def run(options: argparse.Namespace) -> int:
    """Replay the files; the exit status."""
    form = options.format or ("tui" if can_draw() else "text")
    if form == "tui" and "-" in options.files and sys.stdin.isatty():
        raise Failure(
            "standard input is this terminal; pipe a log to it: `dmesg | tracetui replay -`"
        )
    with ExitStack() as stack:
        files = [(name, stack.enter_context(_open(name))) for name in options.files]
        rulesets = _rulesets(options.ruleset)
        # What is read may be readable by root only; what it says need not be looked at by root.
        if form == "tui":
            late.load_screen()
        late.give_up_root()
        store = PacketStore() if form == "tui" else PacketStore(KEPT_HOPS)
        session = ReplaySession(
            files, store, rulesets=rulesets, follow=options.follow, speed=options.speed
        )
        stack.callback(session.close)
        if form == "tui":
            take_terminal("`--format text` needs none")
            with terminal_restorer.restoring():
                from tracetui.cli.terminal.screen import show

                return show(session, options.filter)
        return _print(session, form, options)


def _rulesets(names: list[str]) -> Rulesets:
    """The listings of --ruleset; raises Failure for a file that is none."""
    rulesets = Rulesets()
    for name in names:
        with _open(name) as file:
            text = _text(name, file)
        unused_before = len(rulesets.unused)
        is_ruleset = rulesets.fix(text)
        for why in rulesets.unused[unused_before:]:
            say(f"{name}: {why}")
        if not is_ruleset:
            raise Failure(
                f"{name}: not a ruleset; iptables-save, `iptables -S`, `iptables -L -v -n`, "
                "`nft -j list ruleset` and `nft -a list ruleset` write one"
            )
    return rulesets


def _text(name: str, file: BinaryIO) -> str:
    """The whole of a listing; raises Failure for what is no text, has no end, or can't be read."""
    pieces: list[bytes] = []
    try:
        while piece := file.read(_PIECE_BYTES):
            if b"\0" in piece:
                raise Failure(f"{name}: not a ruleset: not a text file")
            pieces.append(piece)
            if len(pieces) * _PIECE_BYTES > LARGEST_RULESET:
                raise Failure(
                    f"{name}: larger than {LARGEST_RULESET >> 20} MiB, too large for a ruleset"
                )
    except OSError as error:
        raise Failure(f"{name}: {error.strerror}") from None
    return b"".join(pieces).decode(errors="backslashreplace")


def _print(session: ReplaySession, form: str, options: argparse.Namespace) -> int:
    """Print packets while they are read; the exit status."""
    view = ViewFilter.parse(expression=options.filter)
    writer = RecordingWriter(sys.stdout)

    def print_text(packet: Packet, explanation: PacketExplanation) -> None:
        for line in report.packet_text(packet, explanation, options.own):
            print(line)

    failures: list[str] = []

    def tell() -> None:
        for notice in session.take_notices():
            failures.extend([notice.text] if notice.severity == "error" else [])
            say(notice.text)
        for fault in session.take_faults() if options.verbose else ():
            say(f"{fault.file}:{fault.line}: {fault.why}")
        writer.flush()

    printout = Printout(session, view, writer.packet if form == "json" else print_text)
    if form == "json":
        writer.hello(session.status)
    try:
        printout.run(tell)
    finally:
        tell()
    if form == "json":
        writer.bye(session.status, printout.packets)
    status = session.status
    if status.skipped and not status.silence:
        lines = "1 line" if status.skipped == 1 else f"{status.skipped:,} lines"
        say(f"{lines} without a hop{'' if options.verbose else '; --verbose lists them'}")
    for finding in status.silence:
        say(f"{finding.cause}{f': {finding.remedy}' if finding.remedy else ''}")
    if status.lost:
        say(f"{status.lost:,} records are missing, according to the log")
    return 1 if failures else 0


def _open(name: str) -> BinaryIO:
    """The file, or standard input for ``-``; raises Failure."""
    if name == "-":
        # A screen takes the keyboard in its place.
        return os.fdopen(os.dup(0), "rb")
    try:
        return Path(name).open("rb")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        if isinstance(error, PermissionError):
            why = f"{why}; try again with sudo"
        raise Failure(f"{name}: {why}") from None
