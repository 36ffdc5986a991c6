"""A recording in several files of a bounded size, each of which replays by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Optional, TextIO

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace.packet import Packet
from tracetui.session.recording.recording import RecordingWriter
from tracetui.session.state.session import Status

RECENT = 8
"""Readings of a backend's rules that the next file begins with: its first packets met those."""


class RotatingWriter(RecordingWriter):
    """Begins the next file where one has grown to its limit, with all that its packets need."""

    def __init__(self, stream: TextIO, following: Callable[[], TextIO], limit: int) -> None:
        """``following`` gives the next stream; ``limit`` is in bytes, and is passed by one line."""
        super().__init__(stream)
        self._following = following
        self._limit = limit
        self._status: Optional[Status] = None
        self._readings: dict[str, deque[Mapping[str, Any]]] = {}
        self._texts: dict[str, Any] = {}
        """The rules that the oldest kept reading of each backend found."""

    def hello(self, status: Status) -> None:
        """Begin the stream."""
        self._status = status
        super().hello(status)

    def reading(self, record: Mapping[str, Any]) -> None:
        """Write a ruleset, and remember it for the next file."""
        backend = record["backend"]
        kept = self._readings.setdefault(backend, deque())
        kept.append(record)
        if len(kept) > RECENT:
            kept.popleft()
        if len(kept) == 1 or kept[0]["parts"] is not None:
            self._texts[backend] = kept[0]["parts"]
        super().reading(record)

    def packet(self, packet: Packet, explanation: PacketExplanation) -> None:
        """Write a packet, in the next file where this one is full."""
        if self.written >= self._limit:
            self._begin_next()
        super().packet(packet, explanation)

    def _begin_next(self) -> None:
        self.begin(self._following())
        if self._status is not None:
            super().hello(self._status)
        for backend, kept in self._readings.items():
            first, *rest = kept
            # Nothing before it is in this file, so it goes on with nothing.
            super().reading({**first, "parts": self._texts[backend], "continuous": False})
            for record in rest:
                super().reading(record)
