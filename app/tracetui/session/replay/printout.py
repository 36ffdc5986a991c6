"""Packets of a replay handed on one by one: in their order, and while a file still grows."""

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
"""What a session needs to keep at a time: a packet that has to go is handed on before."""
PASSED_HOPS = 16_384
"""Of other packets: one that got none meanwhile is handed on. Stamps can't tell where they are
missing or the same for a whole second, and of a flood that long is half a second at least."""
QUIET_SECONDS = 0.5
"""Where nothing more is there to read, a packet is handed on after so long without a new hop."""

Out = Callable[[Packet, PacketExplanation], None]


class _Restless(NamedTuple):
    """A packet that is not handed on yet, or got more hops since."""

    packet: Packet
    moved: float
    """Seconds, on the monotonic clock, when its last hop came."""
    hops: int
    """Hops of all packets that had come by then."""


class Printout:
    """Hands each packet that a filter lets through to ``out``, again if it got more hops."""

    def __init__(self, session: ReplaySession, view: ViewFilter, out: Out) -> None:
        self._session = session
        self._view = view
        self._out = out
        self._restless: dict[int, _Restless] = {}
        self._newest: Optional[float] = None
        """The time of the hop that came last."""
        self.packets = 0
        """Those handed on."""
        self._handed: set[int] = set()
        session.packets.on_evicted = self._evicted

    def run(self, told: Optional[Callable[[], None]] = None) -> None:
        """Read to the end and hand everything on; ``told`` is called now and then."""
        while not self._session.ended:
            self._session.read_some()
            self._note()
            if self._session.is_idle:
                self._hand_on(time.monotonic() - QUIET_SECONDS)
            self._hand_on_ended()
            if told is not None:
                told()
        self._session.read_all()
        self._note()
        self._hand_on(float("inf"))

    def _note(self) -> None:
        now, hops = time.monotonic(), self._session.status.hops
        for packet in self._session.packets.take_changed():
            self._restless[packet.id] = _Restless(packet, now, hops)
            self._newest = packet.newest

    def _hand_on_ended(self) -> None:
        """Hand on, in their order, packets that have no more hops to come, as far as can be told.

        One of which a hop comes nevertheless is handed on again.
        """
        while self._restless:
            one = next(iter(self._restless.values()))
            if not self._has_ended(one):
                break
            del self._restless[one.packet.id]
            self._hand(one.packet)

    def _has_ended(self, one: _Restless) -> bool:
        if self._session.status.hops - one.hops > PASSED_HOPS:
            return True
        last, newest = one.packet.newest, self._newest
        return last is not None and newest is not None and newest - last > IDLE_SECONDS

    def _hand_on(self, before: float) -> None:
        quiet = [one.packet for one in self._restless.values() if one.moved <= before]
        for packet in sorted(quiet, key=lambda one: one.id):
            del self._restless[packet.id]
            self._hand(packet)

    def _evicted(self, packet: Packet) -> None:
        changed = self._restless.pop(packet.id, None) is not None
        if changed or packet.id not in self._handed:
            self._hand(packet)
        self._handed.discard(packet.id)

    def _hand(self, packet: Packet) -> None:
        explanation = self._session.explain(packet)
        if not self._view.matches(packet, self._session.explain):
            return
        self.packets += packet.id not in self._handed
        self._handed.add(packet.id)
        self._out(packet, explanation)
