"""Tells once that a rule is about to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracetui.model.tracing.installed_rule import InstalledRule

SECONDS = 60.0
BETWEEN_LOOKS = 0.5
"""Seconds; polls come far more often than there is anything new to say."""


class LastMinute:
    """Which rules of ours were told of already."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._looked = 0.0

    def news(self, rules: Sequence[InstalledRule], now: float) -> Iterator[str]:
        """One line for each rule whose last minute has begun; ``now`` in seconds since the epoch.

        An extended rule is another one: its last minute is told too.
        """
        if abs(now - self._looked) < BETWEEN_LOOKS:
            return
        self._looked = now
        mine = {rule.id: rule for rule in rules if rule.mine and rule.expires is not None}
        left_of = {key: (rule.expires or 0.0) - now for key, rule in mine.items()}
        self._told = {key for key in self._told if left_of.get(key, SECONDS + 1) <= SECONDS}
        for key, rule in mine.items():
            left = left_of[key]
            if 0 < left <= SECONDS and key not in self._told:
                self._told.add(key)
                yield f"ends in {left:.0f} s: {rule.backend} {rule.chain} {rule.text}"
