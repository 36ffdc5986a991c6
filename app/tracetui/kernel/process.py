"""What tells one process from every other that ever had its pid."""

from __future__ import annotations

import os
from pathlib import Path


def start_time(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process (proc(5), stat field 22); None if it is gone.

    A zombie counts as gone: it can't clean up any more.
    """
    try:
        text = Path("/proc", str(pid), "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return int(fields[19])


def pid_namespace() -> int:
    """The inode of this process's pid namespace: pids mean nothing outside it."""
    return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - a magic link, no path
