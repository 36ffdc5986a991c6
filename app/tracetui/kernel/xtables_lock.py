"""Who takes the xtables lock: every legacy iptables command that can change a table does.

There is no event for a change of legacy tables, and no number that counts them. The lock file is
opened before a change and closed after it (iptables, iptables/xshared.c), which inotify(7) tells.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from pathlib import Path

PATH = Path("/run/xtables.lock")
"""XTABLES_LOCKFILE in the environment of a command can name another one, which nobody sees."""
_OPEN, _CLOSE_WRITE, _CLOSE_NOWRITE, _DELETED = 0x20, 0x8, 0x10, 0x400
_EVENT = struct.Struct("=iIII")


class XtablesLock:
    """Counts how often the lock was taken since it is watched; selectable."""

    def __init__(self) -> None:
        self.taken = 0
        """How often the lock file was opened or closed, whichever was seen more often."""
        self._opened = self._closed = 0
        self._guard = threading.Lock()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = int(self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        """Negative where there is no inotify; then every look counts as changes."""
        self._watched = False
        self.look()

    def fileno(self) -> int:
        """The descriptor to select on; negative where there is no inotify."""
        return self._fd

    def look(self) -> int:
        """Take in what happened; :attr:`taken` afterwards. Safe from every thread."""
        with self._guard:
            return self._look()

    def _look(self) -> int:
        if self._fd < 0 or (not self._watched and self._watch()):
            # It may have been taken more than once before it could be watched.
            self._opened, self._closed = self._opened + 2, self._closed + 2
        self._read()
        self.taken = max(self._opened, self._closed)
        return self.taken

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)

    def _watch(self) -> bool:
        mask = _OPEN | _CLOSE_WRITE | _CLOSE_NOWRITE | _DELETED
        path = os.fsencode(PATH)
        added = self._fd >= 0 and int(self._libc.inotify_add_watch(self._fd, path, mask)) >= 0
        self._watched = added
        return added

    def _read(self) -> None:
        while self._fd >= 0:
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                return
            at = 0
            while at + _EVENT.size <= len(data):
                _, mask, _, length = _EVENT.unpack_from(data, at)
                self._opened += bool(mask & _OPEN)
                self._closed += bool(mask & (_CLOSE_WRITE | _CLOSE_NOWRITE))
                if mask & _DELETED:
                    self._watched = False
                at += _EVENT.size + length
