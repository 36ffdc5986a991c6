"""The session's end of the pipes: starts the collector, reads its frames, cleans up if it dies."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracetui.collector import frames
from tracetui.collector.frames import Frame, FrameReader
from tracetui.errors import CollectorGone, Failure

CHUNK = 1 << 20
"""Bytes asked for in one read."""
BACKLOG = 500_000
"""Frames that wait for the session at most; beyond, the pipe fills and the collector counts."""
LEAVE_SECONDS = 25.0
"""How long the collector may take to clean up; longer than one iptables call may hang."""


class CollectorClient:
    """A running collector. Frames arrive in a thread; everything else is the caller's."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Start ``python -m tracetui.collector`` with these arguments; raises Failure."""
        self._arguments = list(arguments)
        self._frames: deque[Frame] = deque()
        self._room = threading.Semaphore(BACKLOG)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._said_bye = False
        self._closed = False
        try:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
                env=_environment(),
            )
        except OSError as error:
            self._errors.close()
            raise Failure(f"could not start the collector: {error.strerror}") from None
        self._reader = threading.Thread(target=self._read, name="frames", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The collector's process id."""
        return self._process.pid

    @property
    def gone(self) -> bool:
        """Whether the collector ended and all it sent was taken."""
        return not self._reader.is_alive() and not self._frames

    def send(self, name: str, **values: Any) -> None:
        """Send a command; raises CollectorGone."""
        assert self._process.stdin is not None  # noqa: S101 - what stdin=PIPE promises
        try:
            self._process.stdin.write(frames.encode_command(name, **values))
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise CollectorGone("the collector has ended") from None

    def take(self) -> Frame | None:
        """The next frame; None when there is none."""
        try:
            frame = self._frames.popleft()
        except IndexError:
            return None
        self._room.release()
        if frame.kind == frames.BYE:
            self._said_bye = True
        return frame

    def close(self) -> list[Frame]:
        """Have the collector clean up and end; the frames it still sent.

        If it does not end by itself, or ended without a good-bye, its rules are swept.
        """
        if self._closed:
            return []
        self._closed = True
        assert self._process.stdin is not None  # noqa: S101 - as above
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        # Its last frames must not wait for room that nobody makes any more.
        self._room.release(BACKLOG)
        try:
            self._process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(LEAVE_SECONDS)
        assert self._process.stdout is not None  # noqa: S101 - as above
        self._process.stdout.close()
        last = []
        while (frame := self.take()) is not None:
            last.append(frame)
        if not self._said_bye:
            self.sweep()
        self._errors.close()
        return last

    def sweep(self) -> list[str]:
        """Remove what a dead collector left, in a process of its own; what it says."""
        try:
            done = subprocess.run(
                [*self._command(), "--sweep"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=LEAVE_SECONDS,
                start_new_session=True,
                env=_environment(),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return [f"could not sweep: {error}; run `tracetui flush`"]
        return (done.stdout + done.stderr).splitlines()

    def last_words(self) -> str:
        """The last line the collector wrote to its standard error; empty if none."""
        if self._errors.closed:
            return ""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "tracetui.collector", *self._arguments]

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - what stdout=PIPE promises
        fd = self._process.stdout.fileno()
        reader = FrameReader()
        with contextlib.suppress(OSError, Failure):
            while data := os.read(fd, CHUNK):
                for frame in reader.feed(data):
                    self._room.acquire()
                    self._frames.append(frame)


def _environment() -> dict[str, str]:
    """Ours, with this very package first: a checkout need not be installed for root.

    What the collector says in plain text is UTF-8, whatever the locale.
    """
    package = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": f"{package}{os.pathsep}{path}" if path else package,
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
