"""Jobs that other threads, and signals, hand to the receive loop's thread."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable


class Mailbox:
    """A queue of jobs with a descriptor that becomes readable when there is one."""

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], None]] = deque()
        self._out, self._in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def fileno(self) -> int:
        """The descriptor to select on."""
        return self._out

    def wake_on_signals(self) -> None:
        """Make every handled signal end the loop's wait (signal.set_wakeup_fd)."""
        signal.set_wakeup_fd(self._in, warn_on_full_buffer=False)

    def post(self, job: Callable[[], None]) -> None:
        """Have the loop's thread run ``job`` soon; safe from every thread."""
        self._jobs.append(job)
        try:
            os.write(self._in, b"\0")
        except BlockingIOError:
            return  # full of wake-ups already

    def run(self) -> None:
        """Run what was posted."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._out, 4096)
        while self._jobs:
            self._jobs.popleft()()
