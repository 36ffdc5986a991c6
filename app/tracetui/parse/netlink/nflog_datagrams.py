"""Records of nfnetlink_log to hops, with a cache before the decoder; see ``datagrams``.

The kernel puts the trace point first, then the devices, which all packets of a path share, and last
the packet itself, which all hops of a hook share (net/netfilter/nfnetlink_log.c).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from tracetui.model.trace.hop import Hop, PacketState, new_hop, new_state
from tracetui.model.trace.memo import Memo
from tracetui.model.trace.trace_point import TracePoint
from tracetui.parse.headers import ip
from tracetui.parse.netlink import nflog
from tracetui.parse.netlink.datagrams import (
    ATTRIBUTE,
    BYTES_KEPT,
    MOST_CUTS,
    Datagrams,
    Record,
    attributes_at,
)

_Devices = tuple[Optional[str], Optional[str], Optional[int], Optional[str]]
"""The first four fields of a packet state, which nflog gives before the packet's stamp."""


class _Layout(NamedTuple):
    """How the attributes behind the place stand in some of the datagrams."""

    size: int
    """Bytes of the devices, and of all else that packets of one path share."""
    heads: tuple[int, ...]
    """Size and type of each attribute from there to the packet, which is the last."""
    reader: struct.Struct
    """Reads those, and the packet's."""
    stamp_at: int
    """Where the stamp is, from the first of those on; 0 for none."""


class NflogDatagrams(Datagrams):
    """The cached reader of nfnetlink_log."""

    _PREFIX_HEAD_AT, _PREFIX_AT = 16, 28
    _HEAD = struct.Struct("=IH22xH")
    """The length and type of all, and the size of the prefix."""
    _PACKET_HDR, _TIMESTAMP, _PAYLOAD, _PREFIX = 1, 3, 9, 10
    _LATER = frozenset((_TIMESTAMP, _PAYLOAD, 11, 12, 13, 14))
    """With a socket's owner, and the record's numbers."""

    def __init__(self) -> None:
        super().__init__()
        self._points: Memo[bytes, TracePoint] = Memo(BYTES_KEPT)
        self._devices: Memo[bytes, _Devices] = Memo(BYTES_KEPT)
        self._states: Memo[tuple[bytes, bytes], PacketState] = Memo(BYTES_KEPT)
        """By the bytes of the devices and of the packet."""
        self._layouts: list[_Layout] = []
        """The one that was met last is the first."""

    def hops(self, records: Iterable[Record]) -> Iterator[Optional[Hop]]:
        """See :meth:`Datagrams.hops`."""
        head, least, points = self._HEAD.unpack_from, self._HEAD.size, self._points.get
        for datagram, received in records:
            if len(datagram) >= least:
                length, kind, size = head(datagram)
                begin = 28 + (size + 3 & ~3)
                at = points(datagram[16:begin])
                # Cut or not, the devices would be found.
                if at is not None and length == len(datagram) and kind == nflog.PACKET:
                    hop = self._known(datagram, at, begin, received)
                    if hop is not None:
                        yield hop
                        continue
            yield self._new(datagram, received)

    def _new(self, datagram: bytes, received: float) -> Optional[Hop]:
        """The hop of a record of which not all has come before."""
        hop = self._placed(nflog.parse(datagram, self._links, received))
        if hop is not None:
            self._learn(datagram, hop)
        return hop

    def _known(self, datagram: bytes, at: TracePoint, begin: int, received: float) -> Optional[Hop]:
        """The hop at a known place; None where its devices, or what follows, are not known."""
        for number, layout in enumerate(self._layouts):
            size, heads, reader, stamp_at = layout
            rest_at = begin + size
            packet_at = rest_at + reader.size
            if packet_at > len(datagram):
                continue
            found = reader.unpack_from(datagram, rest_at)
            end = packet_at - 4 + found[-2]
            # Nothing but padding is behind the packet.
            is_end = found[-1] == self._PAYLOAD and 0 <= len(datagram) - end < 4
            if found[:-2] != heads or not is_end:
                continue
            shown = datagram[begin:rest_at], datagram[packet_at:end]
            state = self._states.get(shown) or self._state(*shown)
            if state is None:
                continue
            if number:
                # The other hops of the hook stand so too.
                self._layouts.insert(0, self._layouts.pop(number))
            stamp = rest_at + stamp_at
            time = nflog.stamp(datagram[stamp : stamp + 16]) if stamp_at else None
            return new_hop(Hop, (at, state, time or received))
        return None

    def _state(self, devices: bytes, packet: bytes) -> Optional[PacketState]:
        """Learn the state of a packet with these devices; None where they are not known."""
        known = self._devices.get(devices)
        if known is None:
            return None
        parts = (*known, ip.parse(packet), None, self._interval)
        return self._states.learn((devices, packet), new_state(PacketState, parts))

    def _learn(self, datagram: bytes, hop: Hop) -> None:
        """Remember the place and the devices, where the datagram is as the kernel builds it."""
        kinds = attributes_at(datagram)
        names = [kind for kind, _ in kinds]
        if names[:2] != [self._PACKET_HDR, self._PREFIX] or len(set(names)) < len(names):
            return
        later = [index for index, (kind, _) in enumerate(kinds) if kind in self._LATER]
        if not later or kinds[1][1] != self._PREFIX_AT or names[-1] != self._PAYLOAD:
            return
        rest = kinds[later[0] :]
        if any(kind not in self._LATER for kind, _ in rest):
            return
        begin, end = kinds[2][1], rest[0][1]
        self._points.learn(datagram[self._PREFIX_HEAD_AT : begin], hop.point)
        self._devices.learn(datagram[begin:end], hop.state[:4])
        layout = self._layout(datagram, end - begin, rest)
        if layout is not None and layout[:2] not in [one[:2] for one in self._layouts]:
            self._layouts = [layout, *self._layouts[: MOST_CUTS - 1]]

    def _layout(self, datagram: bytes, size: int, rest: list[tuple[int, int]]) -> Optional[_Layout]:
        """How to read the like of it."""
        form, heads, stamp_at = "=", list[int](), 0
        for kind, at in rest[:-1]:
            length, plain = ATTRIBUTE.unpack_from(datagram, at)
            heads += (length, plain)
            form += f"HH{(length + 3 & ~3) - 4}x"
            if kind == self._TIMESTAMP:
                if length != 20:
                    return None
                stamp_at = at + 4 - rest[0][1]
        return _Layout(size, tuple(heads), struct.Struct(f"{form}HH"), stamp_at)

    def _forget(self) -> None:
        self._points.clear()
        self._devices.clear()
        self._layouts.clear()
        self._forget_states()

    def _forget_states(self) -> None:
        self._states.clear()
