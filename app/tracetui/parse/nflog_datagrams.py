"""Records of nfnetlink_log to hops, fast; see ``datagrams``.

It prints the place first, then the devices, which all packets of a way share, and last the packet
itself, which all hops of a hook share (net/netfilter/nfnetlink_log.c).
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.model.hop import Hop, Look
from tracetui.model.memory import Memory
from tracetui.model.place import Place
from tracetui.parse import ip, nflog
from tracetui.parse.datagrams import (
    ATTRIBUTE,
    KEPT,
    MOST_CUTS,
    Datagrams,
    attributes_at,
    length_of,
)


class _Devices(NamedTuple):
    """What nflog says before the packet's stamp."""

    iif: Optional[str]
    oif: Optional[str]
    mark: Optional[int]
    mac: Optional[str]


class NflogDatagrams(Datagrams):
    """Those of nfnetlink_log."""

    _PLACE_AT, _PREFIX_AT = 16, 28
    _PACKET_HDR, _TIMESTAMP, _PAYLOAD, _PREFIX = 1, 3, 9, 10
    _PASSED = frozenset((11, 12, 13, 14))
    """A socket's owner, and the record's numbers."""
    _LATER = _PASSED | {_TIMESTAMP, _PAYLOAD}

    def __init__(self) -> None:
        super().__init__()
        self._places: Memory[bytes, Place] = Memory(KEPT)
        self._devices: Memory[bytes, _Devices] = Memory(KEPT)
        self._looks: Memory[bytes, Look] = Memory(KEPT)
        self._cuts: list[int] = []
        """How long the bytes of the devices can be."""

    def hop(self, datagram: bytes, received: float) -> Optional[Hop]:
        """As :meth:`Datagrams.hop` says."""
        # Cut or not, the devices would be found.
        if len(datagram) > self._PREFIX_AT and length_of(datagram) == len(datagram):
            size = datagram[self._PREFIX_AT] | datagram[self._PREFIX_AT + 1] << 8
            begin = self._PREFIX_AT + (size + 3 & ~3)
            at = self._places.get(datagram[self._PLACE_AT : begin])
            if at is not None:
                hop = self._known(datagram, at, begin, received)
                if hop is not None:
                    return hop
        hop = self._placed(nflog.parse(datagram, self._links, received))
        if hop is not None:
            self._learn(datagram, hop)
        return hop

    def _known(self, datagram: bytes, at: Place, begin: int, received: float) -> Optional[Hop]:
        """The hop at a known place; None where its devices are not known."""
        for cut in self._cuts:
            devices = datagram[begin : begin + cut]
            known = self._devices.get(devices)
            if known is None or len(devices) != cut:
                continue
            found = self._rest(datagram, begin + cut)
            if found is None:
                return None
            stamp, payload = found
            look = self._looks.get(devices + payload)
            if look is None:
                header = ip.parse(payload)
                look = Look(*known, header, None, self._window)
                self._looks.learn(devices + payload, look)
            return tuple.__new__(Hop, (at, look, nflog.stamp(stamp) or received))
        return None

    def _rest(self, datagram: bytes, at: int) -> Optional[tuple[bytes, bytes]]:
        """The stamp, empty for none, and the packet; None where anything else stands there."""
        stamp, end = b"", len(datagram)
        while end - at >= 4:
            size, kind = ATTRIBUTE.unpack_from(datagram, at)
            if size < 4 or at + size > end:
                return None
            if kind == self._PAYLOAD:
                return (stamp, datagram[at + 4 : at + size]) if end - at < size + 4 else None
            if kind == self._TIMESTAMP:
                stamp = datagram[at + 4 : at + size]
            elif kind not in self._PASSED:
                return None
            at += size + 3 & ~3
        return None

    def _learn(self, datagram: bytes, hop: Hop) -> None:
        """Remember the place and the devices, where the datagram is as the kernel builds it."""
        kinds = attributes_at(datagram)
        names = [kind for kind, _ in kinds]
        if names[:2] != [self._PACKET_HDR, self._PREFIX] or len(set(names)) < len(names):
            return
        later = (at for kind, at in kinds[2:] if kind in self._LATER)
        begin, end = kinds[2][1] if len(kinds) > 2 else len(datagram), next(later, None)
        if end is None or kinds[1][1] != self._PREFIX_AT or self._rest(datagram, end) is None:
            return
        self._places.learn(datagram[self._PLACE_AT : begin], hop.at)
        self._devices.learn(datagram[begin:end], _Devices(*hop.look[:4]))
        if end - begin not in self._cuts:
            self._cuts = [end - begin, *self._cuts[: MOST_CUTS - 1]]

    def _forget(self) -> None:
        self._places.clear()
        self._devices.clear()
        self._looks.clear()
        self._cuts.clear()
