"""The collector's parent: when the collector dies without cleaning up, it does so in its place.

It is root like the collector, does nothing while all is well, and has no part in the pipes. So the
node is clean after the screen, which may not be root, and the collector were both killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable

from tracetui.collector.process import confinement
from tracetui.collector.reactor.worker import PRIORITY
from tracetui.kernel import process

_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER (include/uapi/linux/prctl.h)."""
_FOR_THE_SCREEN = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
"""Ignored here and, inherited, in the collector: the screen decides what they mean."""


def run(serve: Callable[[], int], sweep: Callable[[], None], restore: Callable[[], None]) -> int:
    """Run ``serve`` in a child, and ``sweep`` if that does not end well; the exit status.

    ``restore`` follows an end that was well: it is to find nothing left to do.

    Must be called before any thread is started.
    """
    with contextlib.suppress(PermissionError):
        # Not the terminal's session any more: its hang-up and its keys are the screen's matter.
        os.setsid()
    process.go_before_other_sessions(PRIORITY)
    # What a dead collector was about to do, an iptables that waits for its lock, comes to us.
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    for number in _FOR_THE_SCREEN:
        signal.signal(number, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        process.rename("tt-collector")
        return serve()
    process.rename("tt-watchdog")
    signal.signal(signal.SIGTERM, lambda *_: _pass_on(child, signal.SIGTERM))
    _let_go_of_pipes()
    status = _wait_for(child)
    # Whoever could lower this process's limits could keep it from sweeping.
    confinement.take_limits()
    try:
        had_orphans = _end_orphans()
    except OSError:
        had_orphans = True
    if status != 0 or had_orphans:
        sweep()
    else:
        restore()
    return 0


def _let_go_of_pipes() -> None:
    """Let each end of the pipes see the other's end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(nothing, fd)
    os.close(nothing)


def _wait_for(child: int) -> int:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return status


def _pass_on(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _end_orphans() -> bool:
    """Kill what the collector left running, and what that leaves; whether there was anything."""
    had_orphans = False
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in process.children(os.getpid()):
                had_orphans = True
                _pass_on(pid, signal.SIGKILL)
            os.waitpid(-1, 0)
    return had_orphans
