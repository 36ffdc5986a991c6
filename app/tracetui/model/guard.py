"""The rate guard: hops per second and losses against what the node can bear.

It has no clock: callers pass monotonic seconds.
"""

from __future__ import annotations

from collections import deque

DEFAULT_THRESHOLD = 5_000
"""Hops per second."""
WINDOW = 1.0
"""Seconds the guard looks back."""
_STEP = 0.05
"""Seconds of counts kept together; bounds the memory at WINDOW / _STEP entries."""


class Guard:
    """A sliding window of hop counts that trips once and stays tripped until armed again."""

    def __init__(self, threshold: int = DEFAULT_THRESHOLD) -> None:
        self.threshold = threshold
        """Hops per second that trip it; may be changed at any time."""
        self.reason: str | None = None
        """Why it tripped, in a user's words; None while it is armed."""
        self._steps: deque[tuple[float, int]] = deque()
        self._sum = 0

    @property
    def tripped(self) -> bool:
        """Whether it has tripped and was not armed since."""
        return self.reason is not None

    def rate(self, now: float) -> int:
        """Hops in the window that ends at ``now``, as hops per second."""
        self._forget(now)
        return int(self._sum / WINDOW)

    def count(self, now: float, hops: int) -> bool:
        """Take in hops that arrived just now; True if that trips the guard."""
        if self._steps and now - self._steps[-1][0] < _STEP:
            start, before = self._steps[-1]
            self._steps[-1] = (start, before + hops)
        else:
            self._steps.append((now, hops))
        self._sum += hops
        rate = self.rate(now)
        if self.tripped or rate <= self.threshold:
            return False
        self.reason = f"{rate:,} hops/s, over {self.threshold:,}"
        return True

    def lose(self, source: str, records: int) -> bool:
        """Take in records the kernel says it dropped; True if that trips the guard."""
        if self.tripped or records <= 0:
            return False
        self.reason = f"the kernel dropped {records:,} records of {source}"
        return True

    def arm(self) -> None:
        """Forget the trip and what led to it."""
        self.reason = None
        self._steps.clear()
        self._sum = 0

    def _forget(self, now: float) -> None:
        while self._steps and now - self._steps[0][0] >= WINDOW:
            self._sum -= self._steps.popleft()[1]
