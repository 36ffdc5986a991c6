"""Records of nfnetlink_log to hops, fast; see ``datagrams``.

It prints the place first, then the devices, which all packets of a way share, and last the packet
itself, which all hops of a hook share (net/netfilter/nfnetlink_log.c).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import starmap
from typing import NamedTuple, Optional

from tracetui.model.hop import Hop, Look, new_hop, new_look
from tracetui.model.memory import Memory
from tracetui.model.place import Place
from tracetui.parse import ip, nflog
from tracetui.parse.datagrams import (
    ATTRIBUTE,
    KEPT,
    MOST_CUTS,
    Datagrams,
    Record,
    attributes_at,
    length_of,
)


class _Devices:
    """What nflog says before the packet's stamp, and how packets looked that came so."""

    __slots__ = ("looks", "shown")

    def __init__(self, look: Look) -> None:
        self.shown = look[:4]
        self.looks: Memory[bytes, Look] = Memory(KEPT)
        """By the packet's bytes."""


class _Rest(NamedTuple):
    """The attributes behind the devices; the packet is the last."""

    heads: tuple[int, ...]
    """Size and type of each of them but the packet."""
    reader: struct.Struct
    """Reads those, and the packet's."""
    stamp_at: int
    """Where the stamp is, from their beginning on; 0 for none."""


class NflogDatagrams(Datagrams):
    """Those of nfnetlink_log."""

    _PLACE_AT, _PREFIX_AT = 16, 28
    _PACKET_HDR, _TIMESTAMP, _PAYLOAD, _PREFIX = 1, 3, 9, 10
    _LATER = frozenset((_TIMESTAMP, _PAYLOAD, 11, 12, 13, 14))
    """With a socket's owner, and the record's numbers."""

    def __init__(self) -> None:
        super().__init__()
        self._places: Memory[bytes, Place] = Memory(KEPT)
        self._devices: Memory[bytes, _Devices] = Memory(KEPT)
        self._cuts: list[int] = []
        """How long the bytes of the devices can be."""
        self._rests: list[_Rest] = []

    def hops(self, records: Iterable[Record]) -> Iterator[Optional[Hop]]:
        """As :meth:`Datagrams.hops` says."""
        return starmap(self._hop, records)

    def _hop(self, datagram: bytes, received: float) -> Optional[Hop]:
        # Cut or not, the devices would be found.
        if len(datagram) > self._PREFIX_AT and length_of(datagram) == len(datagram):
            size = datagram[28] | datagram[29] << 8
            begin = 28 + (size + 3 & ~3)
            at = self._places.get(datagram[16:begin])
            if at is not None:
                hop = self._known(datagram, at, begin, received)
                if hop is not None:
                    return hop
        hop = self._placed(nflog.parse(datagram, self._links, received))
        if hop is not None:
            self._learn(datagram, hop)
        return hop

    def _known(self, datagram: bytes, at: Place, begin: int, received: float) -> Optional[Hop]:
        """The hop at a known place; None where its devices, or what follows, are not known."""
        for cut in self._cuts:
            rest_at = begin + cut
            devices = self._devices.get(datagram[begin:rest_at])
            if devices is None:
                continue
            for heads, reader, stamp_at in self._rests:
                packet_at = rest_at + reader.size
                if packet_at > len(datagram):
                    continue
                found = reader.unpack_from(datagram, rest_at)
                end = packet_at - 4 + found[-2]
                # Nothing but padding is behind the packet.
                is_end = found[-1] == self._PAYLOAD and 0 <= len(datagram) - end < 4
                if found[:-2] != heads or not is_end:
                    continue
                packet = datagram[packet_at:end]
                look = devices.looks.get(packet)
                if look is None:
                    parts = (*devices.shown, ip.parse(packet), None, self._window)
                    look = devices.looks.learn(packet, new_look(Look, parts))
                stamp = rest_at + stamp_at
                time = nflog.stamp(datagram[stamp : stamp + 16]) if stamp_at else None
                return new_hop(Hop, (at, look, time or received))
        return None

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
        self._places.learn(datagram[self._PLACE_AT : begin], hop.at)
        if datagram[begin:end] not in self._devices:
            # Else a new place would have the packet look anew.
            self._devices.learn(datagram[begin:end], _Devices(hop.look))
        if end - begin not in self._cuts:
            self._cuts = [end - begin, *self._cuts[: MOST_CUTS - 1]]
        found = self._rest(datagram, rest)
        if found is not None and found.heads not in [one.heads for one in self._rests]:
            self._rests = [found, *self._rests[: MOST_CUTS - 1]]

    def _rest(self, datagram: bytes, rest: list[tuple[int, int]]) -> Optional[_Rest]:
        """How to read the like of it."""
        form, heads, stamp_at = "=", list[int](), 0
        for kind, at in rest[:-1]:
            size, plain = ATTRIBUTE.unpack_from(datagram, at)
            heads += (size, plain)
            form += f"HH{(size + 3 & ~3) - 4}x"
            if kind == self._TIMESTAMP:
                if size != 20:
                    return None
                stamp_at = at + 4 - rest[0][1]
        return _Rest(tuple(heads), struct.Struct(f"{form}HH"), stamp_at)

    def _forget(self) -> None:
        self._places.clear()
        self._devices.clear()
        self._cuts.clear()
        self._rests.clear()

    def _forget_looks(self) -> None:
        for devices in self._devices.values():
            devices.looks.clear()
