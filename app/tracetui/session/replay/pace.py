"""The rhythm of a replay: hops come as they came, or so many times as fast."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional


class Pace:
    """Delays hops by their timestamps, relative to the first one."""

    def __init__(self, speed: Optional[float], clock: Callable[[], float] = time.monotonic) -> None:
        """``speed`` times as fast as it was; None for no pace at all. ``clock`` is in seconds."""
        self._speed = speed
        self._clock = clock
        self._begun: Optional[tuple[float, float]] = None
        self._due = 0.0

    def is_early(self, stamp: Optional[float]) -> bool:
        """Whether a hop stamped so (seconds) must wait; :attr:`is_waiting` is true until then.

        A hop without a time comes at once, as one from before the last does: a log may begin anew.
        """
        if self._speed is None or stamp is None:
            return False
        now = self._clock()
        if self._begun is None:
            self._begun = (stamp, now)
        first, begun = self._begun
        due = begun + (stamp - first) / self._speed
        if stamp < first:
            self._begun = (stamp, now)
            return False
        self._due = due
        return due > now

    @property
    def is_none(self) -> bool:
        """Whether hops come as fast as can be."""
        return self._speed is None

    @property
    def is_waiting(self) -> bool:
        """Whether the newest hop is not due yet."""
        return self.seconds_left > 0

    @property
    def seconds_left(self) -> float:
        """Seconds until the newest hop is due."""
        return max(0.0, self._due - self._clock()) if self._speed is not None else 0.0
