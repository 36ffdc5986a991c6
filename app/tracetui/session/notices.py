"""What waits to be told to the user, bounded however much there is."""

from __future__ import annotations

import time

from tracetui.session.session import Notice

MOST = 1000
"""Notices that wait; of more the number is told."""


class Notices:
    """Notices in the order in which they came, until they are taken; safe from every thread."""

    def __init__(self) -> None:
        self._waiting: list[Notice] = []
        self._beyond = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def say(self, severity: str, text: str) -> None:
        """Note a sentence of now."""
        self.keep(Notice(time.time(), severity, text))

    def keep(self, notice: Notice) -> None:
        """Note one that came, or that it came."""
        if len(self._waiting) < MOST:
            self._waiting.append(notice)
        else:
            self._beyond += 1

    def take(self) -> list[Notice]:
        """All that came since the last call, oldest first."""
        taken, self._waiting = self._waiting, []
        if self._beyond:
            text = f"{self._beyond:,} more notices came than can be kept"
            taken.append(Notice(time.time(), "warning", text))
            self._beyond = 0
        return taken
