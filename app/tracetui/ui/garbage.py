"""Objects that only refer to each other, as widgets leave them: found while nobody waits."""

from __future__ import annotations

import gc

QUIET_SECONDS = 0.5
LOOKS, ROUNDS = 10, 20
"""Python looks through new objects by itself, and by a command at all that stayed since the last
one; that is given after so many looks, and after so many such rounds one goes through everything.
"""


class Garbage:
    """Looks for it once the screen is quiet: among many hops that takes a tenth of a second."""

    def __init__(self) -> None:
        self._busy = 0.0

    def look(self, is_busy: bool, now: float) -> None:
        """Look for it if nothing was to be done for QUIET_SECONDS; ``now`` is monotonic seconds."""
        if is_busy:
            self._busy = now
        if now - self._busy < QUIET_SECONDS:
            return
        _, looks, rounds = gc.get_count()
        if looks >= LOOKS:
            gc.collect(2 if rounds >= ROUNDS else 1)
