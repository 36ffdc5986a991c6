"""Notices that wait to be told to the user, bounded however many there are."""

from __future__ import annotations

import threading
import time
from collections import deque

from tracetui.session.state.session import Notice

MOST = 1000
"""Notices that wait; of more the newest, and how many there were before."""


class Notices:
    """Notices in the order in which they came, until they are taken; safe from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Notice] = deque()
        self._left_out = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def say(self, severity: str, text: str) -> None:
        """Note a sentence of now."""
        self.keep(Notice(time.time(), severity, text))

    def keep(self, notice: Notice) -> None:
        """Note one that came."""
        with self._lock:
            self._waiting.append(notice)
            if len(self._waiting) > MOST:
                self._waiting.popleft()
                self._left_out += 1

    def take(self) -> list[Notice]:
        """All that came since the last call, oldest first."""
        with self._lock:
            taken, left_out = list(self._waiting), self._left_out
            self._waiting.clear()
            self._left_out = 0
        if left_out:
            text = f"{left_out:,} notices before these came too fast to be kept"
            taken.insert(0, Notice(taken[0].time, "warning", text))
        return taken
