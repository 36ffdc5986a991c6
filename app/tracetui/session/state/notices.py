"""Notices that wait to be shown, bounded however many there are."""

from __future__ import annotations

import threading
import time
from collections import deque

from tracetui.session.state.session import Notice

NOTICES_KEPT = 1000
"""Notices kept until they are taken; of more the newest, and the number left out."""


class Notices:
    """Notices in the order in which they came, until they are taken; safe from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Notice] = deque()
        self._left_out = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def say(self, severity: str, text: str) -> None:
        """Add a notice with the present time."""
        self.keep(Notice(time.time(), severity, text))

    def keep(self, notice: Notice) -> None:
        """Add a notice."""
        with self._lock:
            self._waiting.append(notice)
            if len(self._waiting) > NOTICES_KEPT:
                self._waiting.popleft()
                self._left_out += 1

    def take(self) -> list[Notice]:
        """Take the notices since the last call, oldest first."""
        with self._lock:
            notices, left_out = list(self._waiting), self._left_out
            self._waiting.clear()
            self._left_out = 0
        if left_out:
            text = f"{left_out:,} earlier notices came too fast to be kept"
            notices.insert(0, Notice(notices[0].time, "warning", text))
        return notices
