"""The user's terminal: what is told on it, and what is needed of it for a screen."""

from __future__ import annotations

import io
import os
import sys

from tracetui.errors import Failure
from tracetui.session.inert import inert


def take_any_text() -> None:
    """Have standard output and error write what their encoding lacks as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Tell one sentence on standard error; text from rules and logs in it stays inert."""
    print(f"tracetui: {inert(text)}", file=sys.stderr)


def take_keyboard() -> None:
    """Read keys from the terminal, also where packets come through a pipe; raises Failure.

    To be called before anything is started for a screen: without a terminal behind it, the screen
    would find the end of its input again and again.
    """
    if not sys.stdout.isatty():
        raise Failure(
            "the screen needs a terminal; `tracetui record` and `replay --format text` need none"
        )
    if sys.stdin is not None and sys.stdin.isatty():
        return
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        raise Failure("the screen needs a terminal to read keys from") from None
    os.dup2(terminal, 0)
    os.close(terminal)
