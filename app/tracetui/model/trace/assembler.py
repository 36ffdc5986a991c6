"""Hops to packets.

The kernel gives no packet number. A legacy hop shows the whole header each time; an nft event has a
trace id, which later packets of a flow bear again and which can change during one traversal, and
shows the header only when a base chain is entered. So packets are known by the fields that no rule
changes, and a hop joins one only where that packet's traversal allows it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from typing import Optional

from tracetui.model.trace.batch import HopBatch
from tracetui.model.trace.header import identity, lasting
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.open_packet import BEST_FIT, NO_FIT, OpenPacket
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.traversal import Transitions

OPEN_PACKETS = 8192
"""Packets that may still get hops; beyond, the one idle for longest is closed."""
ALIKE_PACKETS = 64
"""Open packets that differ in nothing that lasts: answers of a DNS server have no IP ID. Beyond,
the one idle for longest is closed. At one moment no more than a node has CPUs are traversing."""
RIVALS = 8
"""Packets that look alike and are held against each other: those that moved last."""
TRACE_IDS = 8
"""A packet is known by the last ones it had: it gets another where the kernel copies it."""


class Assembler:
    """Gives each hop to its packet; it has no clock but the hops' own."""

    def __init__(self, open_packets: int = OPEN_PACKETS) -> None:
        """At most ``open_packets`` may still get hops."""
        self._open_packets = open_packets
        self._last_id = 0
        self._open: OrderedDict[int, OpenPacket] = OrderedDict()
        self._by_identity: dict[Hashable, OrderedDict[int, OpenPacket]] = {}
        self._by_trace_id: dict[int, OpenPacket] = {}
        self._transitions = Transitions()
        self._moved: Optional[OpenPacket] = None
        """The packet that the last hop was of."""

    def take(self, batches: Iterable[HopBatch], took: Callable[[Packet, int], None]) -> None:
        """Put hops into their packets; ``took`` is called with each packet that got so many."""
        for batch in batches:
            if batch.points[0].is_forged:
                for hop in batch.hops:
                    took(self._alone(hop), 1)
                continue
            left: Optional[HopBatch] = batch
            while left is not None:
                packet = self._packet_of(left.first)
                count = packet.add(left, self._transitions)
                took(packet.packet, count)
                left = left.after(count) if count < len(left.points) else None

    def _alone(self, hop: Hop) -> Packet:
        """A packet of this hop, which is no part of any path: nothing goes on with it."""
        self._last_id += 1
        packet = Packet(self._last_id)
        packet.add(hop, hop.hook)
        packet.pack()
        return packet

    def _packet_of(self, hop: Hop) -> OpenPacket:
        """The packet that a hop is of, from now on the one that moved last."""
        moved = self._moved
        if moved is not None and moved.goes_on_with(hop):
            return moved
        one = self._find(hop) or self._start(hop)
        if one is not moved:
            self._moved = one
            self._open.move_to_end(one.packet.id)
            one.alike.move_to_end(one.packet.id)
        trace_id = hop.state.trace_id
        if trace_id is not None and self._by_trace_id.get(trace_id) is not one:
            self._name(one, trace_id)
        return one

    @property
    def next_id(self) -> int:
        """The id of the next packet that begins."""
        return self._last_id + 1

    def skip_id(self) -> None:
        """Leave the next id to a packet that came in one piece."""
        self._last_id += 1

    def _find(self, hop: Hop) -> Optional[OpenPacket]:
        current = None
        state = hop.state
        if state.trace_id is not None:
            current = self._by_trace_id.get(state.trace_id)
            if current is not None and self._belongs(current, hop):
                return current
        if state.header is None:
            return self._find_without_header(hop)
        alike = self._by_identity.get(identity(state.header))
        if not alike:
            return self._find_cut(hop)
        if len(alike) == 1:
            (one,) = alike.values()
            return one if one is not current and one.accepts(hop) else None
        found, best = None, NO_FIT
        for one in reversed(alike.values()):
            if one is current or not one.accepts(hop):
                continue
            fit = one.fit(hop)
            if fit > best:
                found, best = one, fit
                if fit == BEST_FIT:
                    break
        if found is not None:
            self._note_rivals(found, hop, alike)
        return found

    def _find_without_header(self, hop: Hop) -> Optional[OpenPacket]:
        """The packet of a hop of which a copy kept no more than the place: that of its neighbour.

        Another one can have been on its way, so it is ambiguous.
        """
        moved = self._moved
        if hop.state.trace_id is not None or moved is None or moved.header is not None:
            return None
        if moved.trace_ids or not moved.accepts(hop):
            return None
        moved.packet.ambiguous = True
        return moved

    def _find_cut(self, hop: Hop) -> Optional[OpenPacket]:
        """The packet of a hop whose line was cut behind the addresses: its neighbour, with those.

        None where the line shows more, or the neighbour shows no more.
        """
        moved, header = self._moved, hop.state.header
        if moved is None or header is None or moved.seen is None or hop.state.trace_id is not None:
            return None
        is_cut = header.proto is None and header.ttl is None and header.src is not None
        ends = header.src, header.dst
        is_its = is_cut and moved.seen.proto is not None and ends == moved.seen[2:4]
        return moved if is_its and moved.accepts(hop) else None

    @staticmethod
    def _note_rivals(chosen: OpenPacket, hop: Hop, alike: OrderedDict[int, OpenPacket]) -> None:
        """Mark packets that the hop can belong to as well as to the chosen one.

        Where they had the same hops so far it makes no difference which of them it is.
        """
        for one in islice(reversed(alike.values()), RIVALS):
            if one is chosen:
                continue
            if one.is_past(hop):
                break
            is_rival = one.accepts(hop) and one.is_bound_for(hop) == chosen.is_bound_for(hop)
            if is_rival and not one.packet.went_as(chosen.packet):
                one.packet.ambiguous = chosen.packet.ambiguous = True

    @staticmethod
    def _belongs(current: OpenPacket, hop: Hop) -> bool:
        """Whether an nft event goes on with the packet its trace id last stood for."""
        if current.is_full:
            return False
        header = hop.state.header
        if header is None:
            return True
        if header is current.seen:
            return current.accepts(hop)
        same = current.header is None or lasting(current.header) == lasting(header)
        return same and current.accepts(hop)

    def _start(self, hop: Hop) -> OpenPacket:
        self._last_id += 1
        alike: OrderedDict[int, OpenPacket] = OrderedDict()
        if hop.header is not None:
            alike = self._by_identity.setdefault(identity(hop.header), alike)
        one = OpenPacket(Packet(self._last_id), hop.header, alike)
        self._open[one.packet.id] = alike[one.packet.id] = one
        if len(alike) > ALIKE_PACKETS:
            self._close(next(iter(alike.values())))
        if len(self._open) > self._open_packets:
            self._close(next(iter(self._open.values())))
        return one

    def _name(self, one: OpenPacket, trace_id: int) -> None:
        """Have a trace id stand for a packet."""
        self._by_trace_id[trace_id] = one
        if trace_id not in one.trace_ids:
            one.trace_ids.append(trace_id)
        if len(one.trace_ids) > TRACE_IDS:
            self._unname(one, one.trace_ids.pop(0))

    def _unname(self, one: OpenPacket, trace_id: int) -> None:
        if self._by_trace_id.get(trace_id) is one:
            del self._by_trace_id[trace_id]

    def _close(self, one: OpenPacket) -> None:
        one.packet.pack()
        if self._moved is one:
            self._moved = None
        del self._open[one.packet.id]
        for trace_id in one.trace_ids:
            self._unname(one, trace_id)
        del one.alike[one.packet.id]
        if one.header is not None and not one.alike:
            del self._by_identity[identity(one.header)]
