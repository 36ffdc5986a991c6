"""The session's end of the pipes: starts the collector, reads its frames, sees it off."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

from tracetui.collector import frames
from tracetui.collector.frames import Frame, FrameReader
from tracetui.errors import CollectorGone, Failure

CHUNK = 1 << 20
"""Bytes asked for in one read."""
BACKLOG = 256 << 20
"""Bytes that wait for the session at most, about a million hops; beyond, the pipe fills and the
collector counts what it can't send. The guard ends a flood long before, unless it is told not to.
"""
LEAVE_SECONDS = 40.0
"""How long we wait for a collector that is still removing rules; it goes on without us."""
SILENCE_SECONDS = 8.0
"""A collector that says nothing for so long hangs: it tells its state every second."""
SWEEP_SECONDS = 25.0
"""How long its watchdog, or a sweep of ours, may take after a collector died."""
_STEP_SECONDS = 0.01
_F_SETPIPE_SZ = 1031
"""fcntl(2); the module has a name for it since Python 3.10."""
_URGENT = frozenset(
    (frames.HELLO, frames.STATUS, frames.RULES, frames.NOTICE, frames.NODE, frames.BYE)
)
"""Frames that need not wait behind hops: a trip is known at once, whatever there is to take in."""
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from tracetui.collector.__main__ import main; sys.exit(main())"
)


class CollectorClient:
    """A running collector. Frames arrive in a thread; everything else is the caller's."""

    def __init__(self, arguments: Sequence[str], launcher: Sequence[str] = ()) -> None:
        """Start a collector with these arguments; raises Failure.

        ``launcher`` is what makes it root where this process is not: the words before its command.
        """
        self._arguments = list(arguments)
        self._launcher = list(launcher)
        self._frames: deque[Frame] = deque()
        self._urgent: deque[Frame] = deque()
        self._room = threading.Condition()
        self._held = 0
        """Bytes of the frames that wait."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._pid: Optional[int] = None
        self._said_bye = False
        self._closed = False
        try:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                # One that asks for a password needs the terminal's session.
                start_new_session=not launcher,
            )
        except OSError as error:
            self._errors.close()
            raise Failure(f"could not start the collector: {error.strerror}") from None
        self._reader = threading.Thread(target=self._read, name="frames", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The collector's process id; before it told, that of what we started."""
        return self._pid or self._process.pid

    @property
    def gone(self) -> bool:
        """Whether the collector ended and all it sent was taken."""
        return not (self._reader.is_alive() or self._frames or self._urgent)

    @property
    def said_bye(self) -> bool:
        """Whether it ended by its own will, with nothing left behind."""
        return self._said_bye

    def send(self, name: str, **values: Any) -> None:
        """Send a command; raises CollectorGone."""
        assert self._process.stdin is not None  # noqa: S101 - what stdin=PIPE promises
        try:
            self._process.stdin.write(frames.encode_command(name, **values))
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise CollectorGone("the collector has ended") from None

    def take(self) -> Frame | None:
        """The next frame, urgent ones first; None when there is none."""
        try:
            frame = self._urgent.popleft() if self._urgent else self._frames.popleft()
        except IndexError:
            return None
        if frame.kind not in _URGENT:
            self._make_room(len(frame.payload))
        if frame.kind == frames.HELLO:
            pid = frame.json().get("pid")
            self._pid = pid if isinstance(pid, int) else None
        if frame.kind == frames.BYE:
            self._said_bye = True
        return frame

    def leave(self) -> None:
        """Have the collector clean up and end, without waiting for it."""
        assert self._process.stdin is not None  # noqa: S101 - as above
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def close(self, heard: Callable[[Frame], None]) -> list[str]:
        """Have the collector clean up and end; what the user has to know of what was left.

        ``heard`` gets the frames it still sends, as they come.
        """
        if self._closed:
            return []
        self._closed = True
        self.leave()
        # Its last frames must not wait for room that nobody makes any more.
        self._make_room(0)
        left = self._see_off(heard)
        if not left:
            left = self.after_death()
            self._reader.join()
            assert self._process.stdout is not None  # noqa: S101 - as above
            self._process.stdout.close()
        self._errors.close()
        return left

    def after_death(self) -> list[str]:
        """Wait until what a dead collector left was removed; what that came to, a line each.

        After one that said good-bye that is nothing.
        """
        said = len(self._errors_read())
        try:
            status = self._process.wait(SWEEP_SECONDS)
        except subprocess.TimeoutExpired:
            return [f"its watchdog (pid {self._process.pid}) is still removing its rules"]
        lines = self._errors_read()[said:]
        # One that never said who it is has added nothing.
        if self._said_bye or status == 0 or self._pid is None:
            return [] if self._said_bye else lines
        return [*lines, *self._sweep()]

    def last_words(self) -> str:
        """The last line the collector wrote to its standard error; empty if none."""
        lines = self._errors_read()
        return lines[-1] if lines else ""

    def _see_off(self, heard: Callable[[Frame], None]) -> list[str]:
        """Hear the collector out; why that could not be done to the end."""
        now = heard_last = time.monotonic()
        give_up = now + LEAVE_SECONDS
        while not self.gone:
            frame = self.take()
            now = time.monotonic()
            if frame is not None:
                heard_last = now
                heard(frame)
            elif now - heard_last > SILENCE_SECONDS:
                if not self._kill():
                    return [f"the collector does not answer; `sudo kill -9 {self.pid}` ends it"]
                heard_last = now
            elif now > give_up:
                return [
                    f"the collector (pid {self.pid}) is still removing its rules and goes on "
                    "with that; `tracetui rules` shows what is left"
                ]
            else:
                time.sleep(_STEP_SECONDS)
        return []

    def _kill(self) -> bool:
        """Kill a collector that hangs, for its watchdog to sweep; False where that is not ours."""
        try:
            if self._pid is not None:
                os.kill(self._pid, signal.SIGKILL)
            else:
                # It hung before it told who it is; its watchdog leads its process group.
                os.killpg(self._process.pid, signal.SIGKILL)
        except PermissionError:
            return False
        except ProcessLookupError:
            pass
        self._reader.join(SILENCE_SECONDS)
        return True

    def _sweep(self) -> list[str]:
        """Remove what a collector left whose watchdog died too; what that says."""
        if self._launcher or os.geteuid() != 0:
            return ["its watchdog died too; `sudo tracetui flush` removes what they left"]
        try:
            done = subprocess.run(
                [*self._command(), "--sweep"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=SWEEP_SECONDS,
                start_new_session=True,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return [f"could not sweep: {error}; run `tracetui flush`"]
        return (done.stdout + done.stderr).splitlines()

    def _errors_read(self) -> list[str]:
        if self._errors.closed:
            return []
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip().splitlines()

    def _command(self) -> list[str]:
        # Isolated, and without site-packages: as root, only the standard library and this very
        # package are looked at, wherever it is started. A checkout need not be installed for that.
        # What it says is UTF-8 whatever the locale.
        package = str(Path(__file__).resolve().parents[2])
        python = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _START, package]
        return [*self._launcher, *python, *self._arguments]

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - what stdout=PIPE promises
        fd = self._process.stdout.fileno()
        with contextlib.suppress(OSError):
            # The threads of this process have their turns milliseconds apart.
            fcntl.fcntl(fd, _F_SETPIPE_SZ, CHUNK)
        reader = FrameReader()
        with contextlib.suppress(OSError, Failure):
            while data := os.read(fd, CHUNK):
                for frame in reader.feed(data):
                    if frame.kind in _URGENT:
                        self._urgent.append(frame)
                    else:
                        self._wait_for_room(len(frame.payload))
                        self._frames.append(frame)

    def _wait_for_room(self, size: int) -> None:
        with self._room:
            self._room.wait_for(lambda: self._held < BACKLOG or self._closed)
            self._held += size

    def _make_room(self, size: int) -> None:
        with self._room:
            self._held -= size
            self._room.notify()
