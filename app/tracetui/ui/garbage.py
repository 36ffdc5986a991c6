"""Garbage collection while the screen is quiet: widgets leave objects that refer to each other."""

from __future__ import annotations

import gc

QUIET_SCREEN_SECONDS = 0.5
YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS = 10, 20
"""Collections of generation 0 after which generation 1 is collected, and of generation 1 after
which generation 2 is (``gc.get_count``): the youngest is left to Python itself.
"""


class Garbage:
    """Collects once the screen is quiet: among many hops that takes a tenth of a second."""

    def __init__(self) -> None:
        self._busy_at = 0.0

    def collect_if_quiet(self, is_busy: bool, now: float) -> None:
        """Collect after QUIET_SCREEN_SECONDS without work; ``now`` is in monotonic seconds."""
        if is_busy:
            self._busy_at = now
        if now - self._busy_at < QUIET_SCREEN_SECONDS:
            return
        _, young, middle = gc.get_count()
        if young >= YOUNG_COLLECTIONS:
            gc.collect(2 if middle >= MIDDLE_COLLECTIONS else 1)
