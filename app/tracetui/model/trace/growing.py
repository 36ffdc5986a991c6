"""A packet's hops while they come, as most do: a run behind the other."""

from __future__ import annotations

from typing import Optional

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import PacketState
from tracetui.model.trace.path import Path, PathSegment, gone


class GrowingPath:
    """The runs so far; few objects, for speed."""

    __slots__ = ("_gone", "backend", "header", "iif", "length", "oif", "segments")

    def __init__(self, backend: str) -> None:
        self._gone: Optional[tuple[Path, list[PacketState]]] = None
        self.backend = backend
        self.length = 0
        self.segments: list[PathSegment] = []
        self.header: Optional[Header] = None
        self.iif: Optional[str] = None
        self.oif: Optional[str] = None

    def add(self, segment: PathSegment) -> None:
        """Take some hops in."""
        self._gone = None
        self.length += len(segment.step.points)
        self.segments.append(segment)
        for state in segment.states:
            if self.header is None:
                self.header = state[4]
            if self.iif is None:
                self.iif = state[0]
            self.oif = state[1] or self.oif

    @property
    def gone(self) -> tuple[Path, list[PacketState]]:
        """Its way so far, and its looks in the way's order."""
        if self._gone is None:
            self._gone = gone(self.segments)
        return self._gone

    @property
    def oldest(self) -> Optional[float]:
        """The time of the first hop."""
        times = self.segments[0].times
        return times[0] if isinstance(times, tuple) else times

    @property
    def newest(self) -> Optional[float]:
        """The time of the last hop."""
        times = self.segments[-1].times
        return times[-1] if isinstance(times, tuple) else times

    @property
    def times(self) -> list[Optional[float]]:
        """Of each hop."""
        times: list[Optional[float]] = []
        for step, _, some in self.segments:
            times += some if isinstance(some, tuple) else (some,) * len(step.points)
        return times
