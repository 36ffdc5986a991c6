"""A recording in several files of a bounded size, each of which replays by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Optional, TextIO

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace.packet import Packet
from tracetui.session.recording.recording import RecordingWriter
from tracetui.session.state.session import Status

SNAPSHOTS_CARRIED = 8
"""Snapshots per backend that the next file begins with: its first packets met those."""


class RotatingWriter(RecordingWriter):
    """Begins the next file when one reaches its limit, with the snapshots its packets need."""

    def __init__(self, stream: TextIO, following: Callable[[], TextIO], limit: int) -> None:
        """``following`` gives the next stream; ``limit`` is in bytes, and is passed by one line."""
        super().__init__(stream)
        self._following = following
        self._limit = limit
        self._status: Optional[Status] = None
        self._snapshots: dict[str, deque[Mapping[str, Any]]] = {}
        self._texts: dict[str, Any] = {}
        """Ruleset texts of the oldest carried snapshot of each backend."""

    def hello(self, status: Status) -> None:
        """Begin the stream."""
        self._status = status
        super().hello(status)

    def snapshot(self, record: Mapping[str, Any]) -> None:
        """Write a snapshot, and remember it for the next file."""
        backend = record["backend"]
        snapshots = self._snapshots.setdefault(backend, deque())
        snapshots.append(record)
        if len(snapshots) > SNAPSHOTS_CARRIED:
            snapshots.popleft()
        if len(snapshots) == 1 or snapshots[0]["parts"] is not None:
            self._texts[backend] = snapshots[0]["parts"]
        super().snapshot(record)

    def packet(self, packet: Packet, explanation: PacketExplanation) -> None:
        """Write a packet, in the next file where this one is full."""
        if self.written >= self._limit:
            self._begin_next()
        super().packet(packet, explanation)

    def _begin_next(self) -> None:
        self.begin(self._following())
        if self._status is not None:
            super().hello(self._status)
        for backend, snapshots in self._snapshots.items():
            first, *rest = snapshots
            # Nothing before it is in this file, so it goes on with nothing.
            super().snapshot({**first, "parts": self._texts[backend], "continuous": False})
            for record in rest:
                super().snapshot(record)
