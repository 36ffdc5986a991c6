"""Restores the terminal, also after a screen that was killed.

A process that is killed can't leave the alternate screen, nor turn the mouse off. So a small one
waits beside it, and does that in its place.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOPPED_SECONDS = 60.0
"""Seconds a stopped terminal (XOFF) is waited for."""

_RESET = (
    b"\x1b[?2026l\x1b[<u"  # synchronised output, kitty's keyboard
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l"  # mouse
    b"\x1b[?1004l\x1b[?2004l\x1b[?2048l"  # focus, paste, resize
    b"\x1b[?1049l\x1b[?7h\x1b[?25h\x1b[0m"  # the other screen, wrapping, the cursor, colours
)
"""Turns off what Textual's LinuxDriver turns on."""
_KILLED_NOTICE = b"\r\ntracetui: the screen was killed; its rules are being removed\r\n"


@contextmanager
def restoring() -> Iterator[None]:
    """Restore the terminal when the context ends; to be entered before any thread starts."""
    try:
        modes = termios.tcgetattr(0)
    except termios.error:
        yield
        return
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    restorer = os.fork()
    if restorer == 0:
        os.close(write_end)
        _restore_when_killed(read_end, modes)
    os.close(read_end)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.write(write_end, b"!")
        os.close(write_end)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(restorer, 0)


def _restore_when_killed(pipe: int, modes: list[Any]) -> None:
    """Wait for the other process, and end: without its word, after the terminal was restored."""
    try:
        # No hang-up, no job control: the shell may have the terminal in the foreground by then.
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        if not os.read(pipe, 1):
            with contextlib.suppress(OSError):
                _write(_RESET + _KILLED_NOTICE)
            termios.tcsetattr(0, termios.TCSANOW, modes)
    finally:
        os._exit(0)


def _write(data: bytes) -> None:
    """Write to the terminal, waiting for one that is stopped, but not for ever."""
    os.set_blocking(1, False)
    end = time.monotonic() + STOPPED_SECONDS
    while data and time.monotonic() < end:
        if select.select([], [1], [], max(0.0, end - time.monotonic()))[1]:
            data = data[os.write(1, data) :]
    os.set_blocking(1, True)
