"""The rate guard: hops per second and losses against what the node can bear.

It has no clock: callers pass monotonic seconds.
"""

from __future__ import annotations

from collections import deque

DEFAULT_THRESHOLD = 5_000
"""Hops per second."""
MAX_THRESHOLD = 999_999_999
"""More than any kernel can report."""
WINDOW_SECONDS = 1.0
"""Seconds within which more hops than the threshold are too many, however they are spread."""
SUSTAINED_SECONDS = 0.24
"""Seconds after which a rate over the threshold is a flood, and no burst that ends by itself."""
SUSTAINED_PARTS = 3
"""Equal parts of these seconds, each of which must be over it: no one burst fills them all."""
_COUNTING_STEP_SECONDS = 0.02
"""Seconds of counts kept together; bounds the memory at WINDOW / _STEP entries."""


class Guard:
    """A sliding window of hop counts that trips once and stays tripped until armed again.

    It trips on a rate that lasts, within SUSTAINED seconds of its beginning, and on a whole
    second's worth of hops at any moment. A burst that is shorter and smaller than that, like the
    first packets that the kernel's own limit lets through at once, passes.
    """

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
        return int(self._sum / WINDOW_SECONDS)

    def count(self, now: float, hops: int) -> bool:
        """Take in hops that arrived just now; True if that trips the guard."""
        if self._steps and now - self._steps[-1][0] < _COUNTING_STEP_SECONDS:
            start, before = self._steps[-1]
            self._steps[-1] = (start, before + hops)
        else:
            self._steps.append((now, hops))
        self._sum += hops
        self._forget(now)
        if not self.tripped:
            self.reason = self._too_many(now)
            return self.tripped
        return False

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

    def _too_many(self, now: float) -> str | None:
        if self._sum > self.threshold * WINDOW_SECONDS:
            return f"{self._sum:,} hops within a second, over {self.threshold:,}"
        parts, rate = self._recent(now)
        if (
            min(parts) > self.threshold * SUSTAINED_SECONDS / SUSTAINED_PARTS
            and rate > self.threshold
        ):
            return f"{rate:,} hops/s for {SUSTAINED_SECONDS * 1000:.0f} ms, over {self.threshold:,}"
        return None

    def _recent(self, now: float) -> tuple[list[int], int]:
        """Hops in each of the last PARTS parts of SUSTAINED seconds, and their rate at least.

        The oldest are left out of it: they came at the beginning of the time it counts.
        """
        parts = [0] * SUSTAINED_PARTS
        oldest, first = now, 0
        for start, hops in reversed(self._steps):
            part = int((now - start) * SUSTAINED_PARTS / SUSTAINED_SECONDS)
            if part >= SUSTAINED_PARTS:
                break
            parts[part] += hops
            oldest, first = start, hops
        seconds = now - oldest
        return parts, int((sum(parts) - first) / seconds) if seconds else 0

    def _forget(self, now: float) -> None:
        while self._steps and now - self._steps[0][0] >= WINDOW_SECONDS:
            self._sum -= self._steps.popleft()[1]
