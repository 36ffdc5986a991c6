"""The signals that end a command: at once, whatever its output does.

Before anything is traced a signal ends the command where it is, as Ctrl+C does in Python. While
something is traced it is noted, our rules are removed at once, and the command ends in its own
way; an output that takes nothing meanwhile is given up.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Optional

from tracetui.session.recording.outlet import GivenUp, blocked_seconds

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OUTPUT_SECONDS = 1.0
"""Seconds an output may take nothing, once the end was requested, before it is given up."""
SAME_SECONDS = 1.0
"""Seconds within which signals count as one; a later one ends at once."""
OUTPUT_CHECK_SECONDS = 0.1
"""Seconds between two checks of the output."""


class Interrupted(KeyboardInterrupt):
    """Raised where a signal finds the command."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number
        """The exit status, as a shell tells it."""


@contextmanager
def ending_at_once(shut: Callable[[], None]) -> Iterator[None]:
    """Have a signal raise Interrupted while the context lasts, in the main thread.

    ``shut`` gives the outputs up before: what is done on the way out may write, too. A hang-up that
    is ignored from the start stays ignored: nohup(1) asks for that.
    """

    def end(number: int, _: Optional[FrameType]) -> None:
        shut()
        raise Interrupted(number)

    with _handled(end):
        yield


class Stop:
    """Whether, and by what, the end of a trace was asked for."""

    def __init__(self, leave: Callable[[], None], seconds: Optional[float] = None) -> None:
        """``leave`` has our rules removed without waiting; after ``seconds`` the end is due."""
        self.number: Optional[int] = None
        """The signal that came first; None where none did."""
        self._leave = leave
        self._came = float("inf")
        self._due = float("inf") if seconds is None else time.monotonic() + seconds

    def __call__(self) -> bool:
        """Whether a signal came."""
        return self.number is not None

    def on_signal(self, number: int, _: Optional[FrameType]) -> None:
        """Note a signal; raises Interrupted for one that comes when the first is still obeyed."""
        if self.number is not None and time.monotonic() - self._came > SAME_SECONDS:
            raise Interrupted(number)
        if self.number is None:
            self.number, self._came = number, time.monotonic()
            self._leave()

    def on_alarm(self, _: int, __: Optional[FrameType]) -> None:
        """Look at the output; raises GivenUp out of a write that holds the end up."""
        now, blocked = time.monotonic(), blocked_seconds()
        if now < min(self._came, self._due) or blocked is None or blocked < OUTPUT_SECONDS:
            return
        self._leave()
        raise GivenUp


@contextmanager
def noted(leave: Callable[[], None], seconds: Optional[float] = None) -> Iterator[Stop]:
    """Have signals noted while the context lasts; see :class:`Stop`."""
    stop = Stop(leave, seconds)
    before = signal.signal(signal.SIGALRM, stop.on_alarm)
    signal.setitimer(signal.ITIMER_REAL, OUTPUT_CHECK_SECONDS, OUTPUT_CHECK_SECONDS)
    try:
        with _handled(stop.on_signal):
            yield stop
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _handled(handler: Callable[[int, Optional[FrameType]], None]) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler_before in before.items():
        if number != signal.SIGHUP or handler_before is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)
