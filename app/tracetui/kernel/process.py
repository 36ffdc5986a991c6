"""The identity of a process: its pid, and what no other process with that pid ever had."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""Its inode (include/uapi/linux/nsfs.h, PID_NS_INIT_INO)."""
_SET_NAME = 15
"""PR_SET_NAME (include/uapi/linux/prctl.h)."""


def start_time(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process (proc(5), stat field 22); None if it is gone.

    A zombie counts as gone: it can't clean up any more. The ticks are those of the initial time
    namespace, wherever this process is, one tick more at most. Raises OSError where it can't be
    looked up, which says nothing of the process.
    """
    fields = _stat(pid)
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return int(fields[19]) - _boot_offset()


def is_same_start(ticks: int | None, other: int) -> bool:
    """Whether two start times can be one process's: read in time namespaces they differ by a tick.

    No pid is given again so soon.
    """
    return ticks is not None and abs(ticks - other) <= 1


def _boot_offset() -> int:
    """The clock ticks by which this process's time namespace moves the boot of the node.

    The kernel adds them to the start of every process that is read here (fs/proc/array.c,
    do_task_stat; time_namespaces(7)). Raises OSError where they are not known.
    """
    path = Path("/proc/self/ns/time")
    if not path.exists():
        # Before Linux 5.6, or built without them: there is one namespace.
        return 0
    if path.readlink() != Path("/proc/self/ns/time_for_children").readlink():
        raise OSError("the offsets of this process's time namespace can't be read")
    for line in Path("/proc/self/timens_offsets").read_text().splitlines():
        clock, seconds, nanoseconds = line.split()
        if clock in ("boottime", "7"):
            moved = int(seconds) * 1_000_000_000 + int(nanoseconds)
            return moved * os.sysconf("SC_CLK_TCK") // 1_000_000_000
    raise OSError("/proc/self/timens_offsets has no boottime")


def start_time_in(pid_namespace: int, pid: int) -> int | None:
    """Read the start time of a process by its pid in another pid namespace, named by its inode.

    None if it is gone, or if that namespace is not below this process's own. Raises OSError too.
    """
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and _is_known_as(path, pid_namespace, pid):
            return start_time(int(path.name))
    return None


def sees_every_process() -> bool:
    """Whether this process is in the initial pid namespace, and /proc shows that one."""
    return pid_namespace() == _INITIAL_PID_NAMESPACE and start_time(os.getpid()) is not None


def children(pid: int) -> list[int]:
    """The processes whose parent is ``pid``, ended ones included."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                if _stat(int(path.name))[1:2] == [str(pid)]:
                    found.append(int(path.name))
    return found


def end_children() -> None:
    """Kill every process that this one started, and wait for its end (kill(2), wait(2))."""
    for pid in children(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def rename(name: str) -> None:
    """Have ``ps`` and ``top`` show this process under another name of at most 15 bytes."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_NAME, name.encode(), 0, 0, 0)


def go_before_other_sessions(nice: int) -> None:
    """Have what runs in this session go before others of the node, where this process leads it.

    With autogroups a nice value counts within a session only (sched(7)); the session has its own.
    """
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(f"{nice}\n")


def _is_known_as(path: Path, pid_namespace: int, pid: int) -> bool:
    """Whether a process's directory is that of ``pid`` of a pid namespace."""
    try:
        if (path / "ns/pid").stat().st_ino != pid_namespace:
            return False
        lines = (path / "status").read_text(errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    # The pid in each namespace, the innermost last (proc(5), NSpid).
    known = next((line.split() for line in lines if line.startswith("NSpid:")), [])
    return known[-1:] == [str(pid)]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, from the state on; none if it is gone."""
    try:
        text = Path("/proc", str(pid), "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def pid_namespace() -> int:
    """The inode of this process's pid namespace: pids mean nothing outside it."""
    return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - a magic link, no path
