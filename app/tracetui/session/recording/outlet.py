"""Outputs whose blocked write can be given up: a reader that stands still holds nobody up.

Python tries a write again that a signal interrupted (PEP 475), unless the signal's handler raises.
So the handler has to know whether the main thread is in a write, and to raise only there.
"""

from __future__ import annotations

import io
import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional, TextIO

WRITE_BYTES = 64 << 10
"""Bytes of one write, the size of a pipe: what takes long then takes nothing at all."""


class GivenUp(OSError):
    """Raised by a signal handler out of a write that does not end; the output is shut by it."""


class Outlet(io.RawIOBase):
    """A raw output; once shut it takes everything and writes nothing."""

    def __init__(self, fd: int, closefd: bool = True) -> None:
        """Write to a descriptor, which is closed with this if ``closefd``."""
        super().__init__()
        self.is_shut = False
        """Whether it was given up: what is written from then on is lost."""
        self._fd = fd
        self._closefd = closefd

    def write(self, data: object, /) -> int:
        """Write as much as one go takes; the bytes taken. Raises OSError."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        if self.is_shut:
            return len(view)
        is_main = threading.current_thread() is threading.main_thread()
        try:
            if is_main:
                _Main.writing_since = time.monotonic()
            written = self._write(view[:WRITE_BYTES])
            if is_main:
                _Main.writing_since = None
        except GivenUp:
            self.is_shut = True
            written = len(view)
        finally:
            if is_main:
                _Main.writing_since = None
        return written

    def _write(self, view: memoryview) -> int:
        while True:
            try:
                return os.write(self._fd, view)
            except BlockingIOError:
                # Another program that has it open too made it so, as some leave a terminal.
                select.select([], [self._fd], [])

    def shut(self) -> None:
        """Write nothing any more."""
        self.is_shut = True

    @contextmanager
    def dropping(self) -> Iterator[None]:
        """Write nothing while the context lasts: what waits in a buffer above is lost."""
        before, self.is_shut = self.is_shut, True
        try:
            yield
        finally:
            self.is_shut = before

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._fd)

    def writable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the descriptor, if that was asked for."""
        if not self.closed:
            super().close()
            if self._closefd:
                os.close(self._fd)


class _Main:
    """The main thread, in which signal handlers run."""

    writing_since: Optional[float] = None
    """Start of the write under way, in monotonic seconds."""


def blocked_seconds() -> Optional[float]:
    """Seconds the main thread has been blocked in a write; None if it is in none."""
    since = _Main.writing_since
    return None if since is None else time.monotonic() - since


def text_on(
    fd: int,
    encoding: Optional[str] = "utf-8",
    errors: Optional[str] = None,
    closefd: bool = True,
    by_line: bool = False,
) -> TextIO:
    """A text stream on a descriptor, which can be given up; ``by_line`` flushes every line."""
    raw = Outlet(fd, closefd)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=by_line
    )


def outlet_of(stream: TextIO) -> Optional[Outlet]:
    """The outlet that a stream of :func:`text_on` writes to; None for any other."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, Outlet) else None
