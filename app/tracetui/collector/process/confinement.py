"""Limits, environment and descriptors of a privileged process: its own, not its starter's."""

from __future__ import annotations

import contextlib
import os
import resource
import stat
from pathlib import Path

from tracetui.kernel.command_line import PROGRAM_PATH

DESCRIPTORS = 65_536
"""Descriptors, where the kernel lets root have so many."""
_UNLIMITED = (
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_AS,
    resource.RLIMIT_DATA,
    resource.RLIMIT_CPU,
    resource.RLIMIT_STACK,
    resource.RLIMIT_NPROC,
    resource.RLIMIT_MEMLOCK,
)
_LOCK_FILE = "XTABLES_LOCKFILE"
"""The one variable that is kept: iptables' own, for the lock that the node's commands share."""


def begin() -> None:
    """Take limits, file mode, environment, directory and descriptors of our own.

    A low limit would end a removal half-way; a library path, or an open file of the user's, would
    reach every command that root runs.
    """
    take_limits()
    os.umask(0o077)
    keep_little_of_the_environment()
    with contextlib.suppress(OSError):
        os.chdir("/")
    close_inherited()


def take_limits() -> None:
    """Lift what could stop this process or its commands (setrlimit(2)), and dump no core."""
    for kind in _UNLIMITED:
        _limit(kind, resource.RLIM_INFINITY)
    _limit(resource.RLIMIT_NOFILE, DESCRIPTORS)
    _limit(resource.RLIMIT_CORE, 0)


def keep_little_of_the_environment() -> None:
    """Forget every variable but one, and look for programs in root's own folders."""
    lock = os.environ.get(_LOCK_FILE)
    os.environ.clear()
    os.environ["PATH"] = PROGRAM_PATH
    if lock is not None and _is_roots_own(lock):
        os.environ[_LOCK_FILE] = lock


def close_inherited() -> None:
    """Close every descriptor but standard input, output and error."""
    with contextlib.suppress(OSError):
        opened = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
        os.closerange(3, max(opened, default=2) + 1)


def _limit(kind: int, wanted: int) -> None:
    """Set a limit, or where that is more than may be had, the most that may be."""
    most = resource.getrlimit(kind)[1]
    is_most = most == resource.RLIM_INFINITY or 0 <= wanted <= most
    for pair in ((wanted, most if is_most and wanted else wanted), (most, most)):
        # More than before takes CAP_SYS_RESOURCE, which root may lack in a container.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, pair)
            return


def _is_roots_own(name: str) -> bool:
    try:
        status = Path(name).lstat()
    except OSError:
        return False
    return status.st_uid == 0 and stat.S_ISREG(status.st_mode) and not status.st_mode & 0o022
