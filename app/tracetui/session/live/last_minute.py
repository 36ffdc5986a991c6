"""Tells once that a rule is about to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracetui.model.tracing.installed_rule import InstalledRule

LAST_MINUTE_SECONDS = 60.0
BETWEEN_LOOKS = 0.5
"""Seconds; polls come far more often than there is anything new to say."""


class LastMinute:
    """Rules of ours whose last minute was told."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._looked = 0.0

    def news(self, rules: Sequence[InstalledRule], now: float) -> Iterator[str]:
        """Yield a line for each rule in its last minute; ``now`` is seconds since the epoch.

        An extended rule is another one: its last minute is told too.
        """
        if abs(now - self._looked) < BETWEEN_LOOKS:
            return
        self._looked = now
        mine = {rule.id: rule for rule in rules if rule.mine and rule.expires is not None}
        left_of = {key: (rule.expires or 0.0) - now for key, rule in mine.items()}
        self._told = {
            key
            for key in self._told
            if left_of.get(key, LAST_MINUTE_SECONDS + 1) <= LAST_MINUTE_SECONDS
        }
        for key, rule in mine.items():
            left = left_of[key]
            if 0 < left <= LAST_MINUTE_SECONDS and key not in self._told:
                self._told.add(key)
                yield f"ends in {left:.0f} s: {rule.backend} {rule.chain} {rule.text}"
