"""Outputs that take nothing: their reader is there, and stands still."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

F_SETPIPE_SZ = 1031
"""fcntl(2); the module has a name for it since Python 3.10."""
KINDS = ("pipe", "fifo", "terminal")
_WRITING = ("pipe_write", "n_tty_write", "tty_write", "wait_woken")
"""Kernel functions in which a blocked write waits."""


@contextmanager
def stuck(kind: str, directory: Path) -> Iterator[int]:
    """The writing end of a full pipe or FIFO, or of a terminal that was sent XOFF."""
    if kind == "terminal":
        reader, writer = pty.openpty()
        termios.tcflow(writer, termios.TCOOFF)
    elif kind == "fifo":
        os.mkfifo(directory / "fifo")
        reader = os.open(directory / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(directory / "fifo", os.O_WRONLY)
    else:
        reader, writer = os.pipe()
    if kind != "terminal":
        fill(writer)
    try:
        yield writer
    finally:
        os.close(reader)
        os.close(writer)


def fill(writer: int, room: int = 0) -> None:
    """Leave so many pages of room in a pipe that is small."""
    pages = fcntl.fcntl(writer, F_SETPIPE_SZ, 4096 * max(1, room + 1)) // 4096
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        for _ in range(pages - room):
            os.write(writer, b"\n" * 4096)
    os.set_blocking(writer, True)


def wait_until_stuck(pid: int, thread: int | None = None, seconds: float = 30.0) -> None:
    """Wait until a process, or one of its threads, is in a write that does not end."""
    end = time.monotonic() + seconds
    while not is_stuck(pid, thread or pid):
        assert time.monotonic() < end, Path(f"/proc/{pid}/wchan").read_text()
        time.sleep(0.02)


def is_stuck(pid: int, thread: int) -> bool:
    """Whether a thread of a process waits in a write, twice in a row."""
    for _ in range(2):
        where = Path(f"/proc/{pid}/task/{thread}/wchan").read_text()
        if not any(name in where for name in _WRITING):
            return False
        time.sleep(0.05)
    return True
