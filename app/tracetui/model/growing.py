"""A packet's hops while they come, as most do: a run behind the other."""

from __future__ import annotations

from typing import Optional

from tracetui.model.header import Header
from tracetui.model.hop import Look
from tracetui.model.way import Stretch, Way, gone


class Growing:
    """The runs so far; few objects, for speed."""

    __slots__ = ("_gone", "backend", "header", "iif", "length", "oif", "stretches")

    def __init__(self, backend: str) -> None:
        self._gone: Optional[tuple[Way, list[Look]]] = None
        self.backend = backend
        self.length = 0
        self.stretches: list[Stretch] = []
        self.header: Optional[Header] = None
        self.iif: Optional[str] = None
        self.oif: Optional[str] = None

    def add(self, stretch: Stretch) -> None:
        """Take some hops in."""
        self._gone = None
        self.length += len(stretch.step.places)
        self.stretches.append(stretch)
        for look in stretch.looks:
            if self.header is None:
                self.header = look[4]
            if self.iif is None:
                self.iif = look[0]
            self.oif = look[1] or self.oif

    @property
    def gone(self) -> tuple[Way, list[Look]]:
        """Its way so far, and its looks in the way's order."""
        if self._gone is None:
            self._gone = gone(self.stretches)
        return self._gone

    @property
    def oldest(self) -> Optional[float]:
        """The time of the first hop."""
        times = self.stretches[0].times
        return times[0] if isinstance(times, tuple) else times

    @property
    def newest(self) -> Optional[float]:
        """The time of the last hop."""
        times = self.stretches[-1].times
        return times[-1] if isinstance(times, tuple) else times

    @property
    def times(self) -> list[Optional[float]]:
        """Of each hop."""
        times: list[Optional[float]] = []
        for step, _, some in self.stretches:
            times += some if isinstance(some, tuple) else (some,) * len(step.places)
        return times
