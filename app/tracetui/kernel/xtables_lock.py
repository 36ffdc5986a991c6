"""The xtables lock and who takes it: every legacy iptables command that can change a table does.

There is no event for a change of legacy tables, and no number that counts them. But the lock file
is opened before each change (iptables, iptables/xshared.c). fanotify(7) tells of that, and who it
was: a command in another namespace, one that only lists, or one of the other family changes
nothing here. Where fanotify can't be had inotify(7) tells only that somebody took the lock.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from tracetui.errors import Failure
from tracetui.kernel import netns, writing

LOCK_PATH = Path("/run/xtables.lock")
"""The lock's file, unless XTABLES_LOCKFILE names another in our environment (iptables,
iptables/xshared.c); one in that of another command is not seen by anybody."""
IP_FAMILIES = (4, 6)
_LOCK_STEP_SECONDS = 0.02
_ON_OPEN = 0x20
"""FAN_OPEN and IN_OPEN, which have one number."""
_FAN_CLOEXEC, _FAN_NONBLOCK, _FAN_MARK_ADD = 0x1, 0x2, 0x1
_AT_FDCWD = -100
_FANOTIFY = struct.Struct("=IBBHQii")
_INOTIFY = struct.Struct("=iIII")
_CHANGING_OPTIONS = frozenset((
    "-A", "-I", "-D", "-R", "-F", "-P", "-N", "-X", "-E", "-Z", "--append", "--insert", "--delete",
    "--replace", "--flush", "--policy", "--new-chain", "--delete-chain", "--rename-chain", "--zero",
    "--new", "--rename",
))  # fmt: skip


class XtablesLock:
    """Counts commands that can have changed a table of this namespace; selectable.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._counts = dict.fromkeys(IP_FAMILIES, 0)
        self._guard = threading.Lock()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._netns = netns.inode()
        self._watched: Optional[int] = None
        flags = _FAN_CLOEXEC | _FAN_NONBLOCK
        self.own = 0
        """Times that a command of this process took it; those are not counted, where known."""
        self.knows_who = hasattr(self._libc, "fanotify_init")
        """Whether the watch tells who took the lock."""
        self._fd = int(self._libc.fanotify_init(flags, os.O_RDONLY)) if self.knows_who else -1
        if self._fd < 0:
            self.knows_who = False
            self._fd = int(self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        self.look()

    def fileno(self) -> int:
        """The descriptor to select on; negative where nothing tells, and all looks count."""
        return self._fd

    def look(self) -> dict[int, int]:
        """Take in what happened; the commands so far, by family."""
        with self._guard:
            if self._fd < 0 or (self._watched != _inode() and self._watch()):
                # It may have been taken more than once before it could be watched.
                self._count(IP_FAMILIES, 2)
            self._read()
            return dict(self._counts)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)

    def _watch(self) -> bool:
        path = os.fsencode(_path())
        if self._fd < 0:
            return False
        if self.knows_who:
            mark = self._libc.fanotify_mark
            mark.argtypes = (
                ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p,
            )  # fmt: skip
            done = int(mark(self._fd, _FAN_MARK_ADD, _ON_OPEN, _AT_FDCWD, path)) == 0
        else:
            done = int(self._libc.inotify_add_watch(self._fd, path, _ON_OPEN)) >= 0
        self._watched = _inode() if done else None
        return done

    def _read(self) -> None:
        while self._fd >= 0:
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                return
            except OSError:
                self._count(IP_FAMILIES, 2)
                return
            if self.knows_who:
                for pid in _openers(data):
                    if not pid:
                        # The queue ran over, or a process that can't be seen from here.
                        self._count(IP_FAMILIES, 2)
                        continue
                    # Our own are one rule of raw more or less, which the next reading finds.
                    if pid == os.getpid() or _is_child_of_ours(pid):
                        self.own += 1
                    else:
                        self._count(_changes_of(pid, self._netns), 1)
            else:
                # inotify tells of two that come close to each other but once.
                self._count(IP_FAMILIES, 2 * (len(data) // _INOTIFY.size))

    def _count(self, families: tuple[int, ...], times: int) -> None:
        for family in families:
            self._counts[family] += times


@contextlib.contextmanager
def held(seconds: float) -> Iterator[str]:
    """Hold the xtables lock; yields another lock file, for our commands that run meanwhile.

    It is waited for so many seconds. Raises Failure where it is not to be had.
    """
    try:
        fd = os.open(_path(), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failure(f"{_path()}: {error.strerror}") from None
    try:
        _take(fd, time.monotonic() + seconds)
        # It is named by its descriptor: no other file has to be made anywhere.
        try:
            own = os.memfd_create("xtables.lock")
        except OSError as error:
            raise Failure(f"no lock file to give to iptables: {error.strerror}") from None
        try:
            yield f"/proc/{os.getpid()}/fd/{own}"
        finally:
            os.close(own)
    finally:
        os.close(fd)


def _take(fd: int, end: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > end:
                who = holder()
                raise Failure(f"the xtables lock is held{f' by {who}' if who else ''}") from None
            time.sleep(_LOCK_STEP_SECONDS)
        else:
            return


def why_not() -> str:
    """Tell why no command of iptables-legacy can take the lock here; empty where it can.

    Reading is enough where the file is there already (iptables, iptables/xshared.c).
    """
    path = _path()
    return "" if path.exists() else writing.why_not(path.parent)


def holder() -> Optional[str]:
    """Name the holder of the xtables lock as ``NAME (pid N)``; None if nobody, or it can't be seen.

    iptables takes it with flock(2), which /proc/locks lists (proc_locks(5)).
    """
    try:
        inode = _path().stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        is_held = len(fields) >= 6 and fields[1] == "FLOCK"
        if is_held and fields[5].rpartition(":")[2] == str(inode):
            # It may have passed the descriptor on to a child and ended.
            name = "a child of"
            with contextlib.suppress(OSError):
                name = Path("/proc", fields[4], "comm").read_text(errors="replace").strip()
            return f"{name} (pid {fields[4]})"
    return None


def _openers(data: bytes) -> Iterator[int]:
    """The process of each event; the file descriptors that come with them are given back."""
    at = 0
    while at + _FANOTIFY.size <= len(data):
        length, _, _, _, _, fd, pid = _FANOTIFY.unpack_from(data, at)
        if fd >= 0:
            os.close(fd)
        yield pid
        at += max(length, _FANOTIFY.size)


def _path() -> Path:
    return Path(os.environ.get("XTABLES_LOCKFILE", LOCK_PATH))


def _inode() -> Optional[int]:
    """The lock file's; None while there is none."""
    try:
        return _path().stat().st_ino
    except OSError:
        return None


def _changes_of(pid: int, here: int) -> tuple[int, ...]:
    """The families whose tables in namespace ``here`` a process can be about to change."""
    words = _words(pid)
    if words is None:
        return IP_FAMILIES
    with contextlib.suppress(OSError):
        if os.stat(f"/proc/{pid}/ns/net").st_ino != here:  # noqa: PTH116 - a magic link, no path
            return ()
    program = " ".join(Path(word).name for word in words[:2])
    is_restore = "-restore" in program
    if "tables" in program and not is_restore and not _is_change(words):
        return ()
    return (6,) if "ip6tables" in program else (4,) if "iptables" in program else IP_FAMILIES


def _is_change(words: list[str]) -> bool:
    """Whether a command line has a command that changes: bundled short options count as such."""
    return any(word in _CHANGING_OPTIONS or word[:2] in _CHANGING_OPTIONS for word in words[1:])


def _words(pid: int) -> Optional[list[str]]:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    words = [os.fsdecode(word) for word in text.split(b"\0")[:-1]]
    return words or None


def _is_child_of_ours(pid: int) -> bool:
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return int(fields[1]) == os.getpid()
    return False
