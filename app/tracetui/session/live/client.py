"""The session's end of the pipes: starts the collector, reads its frames, hears it to its end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import BinaryIO, Optional

from tracetui.collector import command
from tracetui.errors import CollectorGone, Failure
from tracetui.protocol import commands, frames
from tracetui.protocol.commands import Request
from tracetui.protocol.frames import Frame
from tracetui.session.live.frame_queue import FrameQueue

LEAVE_SECONDS = 40.0
"""Seconds that a collector that is still removing rules is waited for; it goes on without us."""
SILENCE_SECONDS = 8.0
"""Seconds of silence after which a collector hangs: it sends its state every second."""
SWEEP_SECONDS = 25.0
"""Seconds that its watchdog, or a sweep of ours, may take after a collector died."""
ABANDON_SECONDS = 3.0
"""Seconds that one that nobody waits for any more may take to end before we end without it."""
SEND_SECONDS = 2.0
"""Seconds that a command may wait for the pipe: a collector that takes none for so long hangs."""
ERROR_BYTES = 64 << 10
"""Bytes that are read at most of its standard error: the end of it."""
_PIPE_STEP_SECONDS = 0.01


class CollectorClient:
    """A running collector. Frames arrive in a thread; everything else is the caller's."""

    def __init__(
        self,
        arguments: Sequence[str],
        launcher: Sequence[str] = (),
        program: Sequence[str] = (),
    ) -> None:
        """Start a collector with these arguments; raises Failure.

        ``launcher`` is what makes it root where this process is not: the words before its command.
        ``program`` are the words of that command, where an installed one is meant.
        """
        self._arguments = list(arguments)
        self._launcher = list(launcher)
        self._program = list(program)
        self._pid: Optional[int] = None
        self._received_bye = False
        self._closed = False
        self._is_line_cut = False
        """Whether only a part of the last command was taken."""
        self._death_lock = threading.Lock()
        self._is_death_seen_to = False
        """Whether what a dead collector left was seen to."""
        try:
            self._errors = _in_memory()
        except OSError as error:
            raise Failure(f"could not start the collector: {error.strerror}") from None
        try:
            self._process = subprocess.Popen(
                self._command(),
                # Python's own buffer would be locked where a signal's handler closes it.
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                # One that asks for a password needs the terminal's session.
                start_new_session=not launcher,
            )
        except OSError as error:
            self._errors.close()
            raise Failure(f"could not start the collector: {error.strerror}") from None
        assert self._process.stdin is not None  # noqa: S101 - what stdin=PIPE promises
        assert self._process.stdout is not None  # noqa: S101 - as above
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        try:
            self._queue = FrameQueue(self._stdout.fileno())
        except RuntimeError:
            self._stdin.close()
            self._stdout.close()
            self._errors.close()
            self._end_unbegun()
            raise Failure(
                "could not start the collector: no more threads can be started here (ulimit -u, -v)"
            ) from None

    @property
    def pid(self) -> int:
        """The collector's process id; before it told, that of what we started."""
        return self._pid or self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the collector ended, or can't be understood, and all it sent was taken."""
        return self._queue.is_over

    @property
    def fault(self) -> str:
        """The reason why a collector that runs is not heard any more; empty where it is."""
        return self._queue.fault

    @property
    def silence(self) -> float:
        """Seconds since anything came from the collector."""
        return time.monotonic() - self._queue.heard

    @property
    def received_bye(self) -> bool:
        """Whether the collector ended by its own will, with nothing left behind."""
        return self._received_bye

    def send(self, request: Request) -> None:
        """Send a command; raises CollectorGone, and Failure for one that is too long."""
        line = commands.encode(request)
        # What a hanging collector took of an earlier line must not become the beginning of this.
        left = memoryview(b"\n" + line if self._is_line_cut else line)
        whole = len(left)
        end = time.monotonic() + SEND_SECONDS
        try:
            while left:
                try:
                    left = left[os.write(self._stdin.fileno(), left) :]
                except BlockingIOError:
                    if time.monotonic() > end:
                        self._is_line_cut |= 0 < len(left) < whole
                        raise CollectorGone("the collector takes no commands: it hangs") from None
                    select.select([], [self._stdin], [], _PIPE_STEP_SECONDS)
            self._is_line_cut = False
        except (OSError, ValueError):
            raise CollectorGone("the collector has ended") from None

    def take(self) -> Frame | None:
        """The next frame, urgent ones first; None when there is none.

        Raises Failure for one that tells who the collector is and is none.
        """
        frame = self._queue.take()
        if frame is None:
            return None
        if frame.kind == frames.HELLO:
            pid = frame.json().get("pid")
            self._pid = pid if isinstance(pid, int) and pid > 1 else None
        if frame.kind == frames.BYE:
            self._received_bye = True
        return frame

    def refuse(self, why: str) -> None:
        """Have a collector end that can't be believed, for this reason."""
        self._queue.refuse(why)
        self._received_bye = False
        self.leave()

    def leave(self) -> None:
        """Have the collector clean up and end, without waiting; safe in a signal's handler."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def abandon(self) -> None:
        """End without waiting: one that has not begun is ended, any other cleans up by itself."""
        if self._closed:
            return
        self._closed = True
        self.leave()
        self._queue.abandon()
        if self._pid is None and not self._queue.has_hello():
            self._end_unbegun()
        self._close_pipe(_PIPE_STEP_SECONDS)
        self._errors.close()

    def close(self, on_frame: Callable[[Frame], None]) -> list[str]:
        """Have the collector clean up and end; what the user has to know of what was left.

        ``on_frame`` gets the frames it still sends, as they come.
        """
        if self._closed:
            return []
        self._closed = True
        self.leave()
        left = self._hear_out(on_frame)
        self._queue.abandon()
        if not left:
            left = self.after_death()
        self._close_pipe(ABANDON_SECONDS)
        self._errors.close()
        return left

    def after_death(self) -> list[str]:
        """Wait until what a dead collector left was removed; what that came to, a line each.

        After one that said good-bye that is nothing; nor is there anything the second time.
        """
        with self._death_lock:
            if self._is_death_seen_to:
                return []
            self._is_death_seen_to = True
            return self._wait_for_sweep()

    def _wait_for_sweep(self) -> list[str]:
        said = len(self._errors_read())
        try:
            status = self._process.wait(SWEEP_SECONDS)
        except subprocess.TimeoutExpired:
            return [f"its watchdog (pid {self._process.pid}) is still removing its rules"]
        lines = self._errors_read()[said:]
        # One that never said who it is has added nothing.
        if self._received_bye or status == 0 or self._pid is None:
            return [] if self._received_bye else lines
        return [*lines, *self._sweep()]

    def last_error_line(self) -> str:
        """The last line the collector wrote to its standard error; empty if none."""
        lines = self._errors_read()
        return lines[-1] if lines else ""

    def _hear_out(self, on_frame: Callable[[Frame], None]) -> list[str]:
        """Hear the collector out; why that could not be done to the end."""
        now = heard_last = time.monotonic()
        give_up = now + LEAVE_SECONDS
        while not self.has_ended:
            frame = self._taken()
            now = time.monotonic()
            if now > give_up:
                return [
                    f"the collector (pid {self.pid}) is still removing its rules and goes on "
                    "with that; `tracetui rules` shows what is left"
                ]
            if frame is not None:
                heard_last = now
                on_frame(frame)
            elif now - heard_last > SILENCE_SECONDS:
                if not self._kill():
                    return [f"the collector does not answer; `sudo kill -9 {self.pid}` ends it"]
                heard_last = now
            else:
                time.sleep(_PIPE_STEP_SECONDS)
        return []

    def _taken(self) -> Optional[Frame]:
        """The next frame; one that is none is left out."""
        try:
            return self.take()
        except Failure:
            return None

    def _close_pipe(self, seconds: float) -> None:
        """Close the pipe at its end; one that has none in so many seconds goes with the process."""
        if self._queue.join(seconds):
            self._stdout.close()

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
        self._queue.join(SILENCE_SECONDS)
        return True

    def _end_unbegun(self) -> None:
        """End what was started, a sudo that asks for a password too: no rule is there yet.

        A user may send signals to a sudo that has not become somebody else for good: its real user
        id is still the user's (kill(2); sudo 1.9 at its prompt).
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(PermissionError, ProcessLookupError):
                if number == signal.SIGKILL and not self._launcher:
                    os.killpg(self._process.pid, number)
                else:
                    self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ABANDON_SECONDS)
                return

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
        try:
            # Not by seeking: the collector writes at the place that both share.
            fd = self._errors.fileno()
            start = max(0, os.fstat(fd).st_size - ERROR_BYTES)
            words = os.pread(fd, ERROR_BYTES, start)
        except (OSError, ValueError):  # closed meanwhile
            return []
        return words.decode(errors="replace").strip().splitlines()

    def _command(self) -> list[str]:
        return [*self._launcher, *(self._program or command.words()), *self._arguments]


def _in_memory() -> BinaryIO:
    """A file that needs no directory; raises OSError."""
    if not hasattr(os, "memfd_create"):
        # Built with a C library older than glibc 2.27.
        import tempfile

        return tempfile.TemporaryFile(buffering=0)
    return os.fdopen(os.memfd_create("collector", os.MFD_CLOEXEC), "w+b", buffering=0)
