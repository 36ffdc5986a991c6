"""``tracetui replay``: the timeline, or its text or JSON, out of files."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from tracetui.cli.terminal import say, take_keyboard
from tracetui.errors import Failure
from tracetui.model.packet import Packet
from tracetui.session import report
from tracetui.session.recording import RecordingWriter
from tracetui.session.replay import ReplaySession


def run(options: argparse.Namespace) -> int:
    """Replay the files; the exit status."""
    wanted = options.format or ("tui" if sys.stdout.isatty() else "text")
    with ExitStack() as stack:
        files = [(name, stack.enter_context(_open(name))) for name in options.files]
        session = ReplaySession(files)
        if wanted == "tui":
            take_keyboard()
            from tracetui.cli.screen import show

            return show(session)
        session.read_all()
        _print(session, wanted)
    if session.status.skipped:
        say(f"{session.status.skipped} lines held no hop")
    return 0


def _print(session: ReplaySession, wanted: str) -> None:
    writer = RecordingWriter(sys.stdout)
    show: Callable[[Packet], None] = writer.packet if wanted == "json" else _print_text
    if wanted == "json":
        writer.hello(session.status)
    for packet in session.packets:
        show(packet)
    if wanted == "json":
        writer.bye(session.status, len(session.packets))


def _print_text(packet: Packet) -> None:
    for line in report.packet_text(packet):
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
