"""Packets of a replay, printed one by one in order while files are still read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Optional

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.filter.view_filter import ViewFilter
from tracetui.model.trace.open_packet import IDLE_SECONDS
from tracetui.model.trace.packet import Packet
from tracetui.session.replay.replay import ReplaySession

KEPT_HOPS = 200_000
"""Hops the session needs to keep: a packet is printed before it is evicted."""
OTHER_HOPS = 16_384
"""Hops of other packets after which a packet that got none is printed. Timestamps may be missing or
the same for a whole second; in a flood so many hops take half a second at least."""
QUIET_PACKET_SECONDS = 0.5
"""Seconds without a new hop after which a packet is printed, if nothing more can be read."""

Out = Callable[[Packet, PacketExplanation], None]


class _PendingPacket(NamedTuple):
    """A packet that is not printed yet, or got more hops since."""

    packet: Packet
    moved_at: float
    """Seconds, on the monotonic clock, when its last hop came."""
    hops: int
    """Hops of all packets that had come by then."""


class Printout:
    """Passes each packet that matches a filter to ``out``, again if it got more hops."""

    def __init__(self, session: ReplaySession, view: ViewFilter, out: Out) -> None:
        self._session = session
        self._view = view
        self._out = out
        self._pending: dict[int, _PendingPacket] = {}
        self._newest_time: Optional[float] = None
        """The time of the hop that came last."""
        self.packets = 0
        """Number of packets printed."""
        self._printed_ids: set[int] = set()
        session.packets.on_evicted = self._print_evicted

    def run(self, on_progress: Optional[Callable[[], None]] = None) -> None:
        """Read to the end and print every packet; ``on_progress`` is called after each read."""
        while not self._session.ended:
            self._session.read_some()
            self._note_changes()
            if self._session.is_idle:
                self._print_quiet(time.monotonic() - QUIET_PACKET_SECONDS)
            self._print_complete()
            if on_progress is not None:
                on_progress()
        self._session.read_all()
        self._note_changes()
        self._print_quiet(float("inf"))

    def _note_changes(self) -> None:
        now, hops = time.monotonic(), self._session.status.hops
        for packet in self._session.packets.take_changed():
            self._pending[packet.id] = _PendingPacket(packet, now, hops)
            self._newest_time = packet.newest

    def _print_complete(self) -> None:
        """Print packets, in order, that are expected to get no more hops.

        A packet that gets one nevertheless is printed again.
        """
        while self._pending:
            oldest = next(iter(self._pending.values()))
            if not self._is_complete(oldest):
                break
            del self._pending[oldest.packet.id]
            self._print(oldest.packet)

    def _is_complete(self, pending: _PendingPacket) -> bool:
        if self._session.status.hops - pending.hops > OTHER_HOPS:
            return True
        last, newest = pending.packet.newest, self._newest_time
        return last is not None and newest is not None and newest - last > IDLE_SECONDS

    def _print_quiet(self, before: float) -> None:
        quiet = [pending.packet for pending in self._pending.values() if pending.moved_at <= before]
        for packet in sorted(quiet, key=lambda packet: packet.id):
            del self._pending[packet.id]
            self._print(packet)

    def _print_evicted(self, packet: Packet) -> None:
        changed = self._pending.pop(packet.id, None) is not None
        if changed or packet.id not in self._printed_ids:
            self._print(packet)
        self._printed_ids.discard(packet.id)

    def _print(self, packet: Packet) -> None:
        explanation = self._session.explain(packet)
        if not self._view.matches(packet, self._session.explain):
            return
        self.packets += packet.id not in self._printed_ids
        self._printed_ids.add(packet.id)
        self._out(packet, explanation)
