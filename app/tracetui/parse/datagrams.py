"""Datagrams of one source to hops, fast: what comes again is read once.

This is the hot path of a live trace, and all there is of it in this layer. ``nflog`` and
``nftrace`` read a datagram attribute by attribute; here the same bytes give the same hop without
that, which a test holds against them. Bytes come again because

* an nft event without a header differs in nothing but the trace id from the one that another packet
  had at that place, and the id is at a fixed offset (net/netfilter/nf_tables_trace.c puts it
  behind the type);
* nflog prints the place first, then the devices, which all packets of a way share, and last the
  packet itself, which all hops of a hook share (net/netfilter/nfnetlink_log.c).
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from typing import Generic, NamedTuple, Optional, TypeVar

from tracetui.model.header import Header
from tracetui.model.hop import Hop, Look
from tracetui.model.place import Place
from tracetui.parse import ethernet, ip, nflog, nftrace

KEPT = 4096
"""Of each kind of bytes remembered; beyond, all are forgotten, and those that come are learned."""
Window = tuple[int, int]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Memory(dict[_Key, _Value], Generic[_Key, _Value]):
    """What came of what; bounded."""

    def learn(self, key: _Key, value: _Value) -> _Value:
        """Remember it; the value."""
        if len(self) >= KEPT:
            self.clear()
        self[key] = value
        return value


class Datagrams:
    """What both sources have in common: the names of interfaces, and the readings of the rules."""

    def __init__(self) -> None:
        self._links: Mapping[int, str] = {}
        self._window: Optional[Window] = None

    def set_links(self, links: Mapping[int, str]) -> None:
        """Have these names, by index, for the interfaces of what comes from now on."""
        self._links = dict(links)
        self._forget()

    def set_window(self, window: Window) -> None:
        """Have what comes from now on stand between these readings of the ruleset."""
        if window != self._window:
            self._window = window
            self._forget()

    def hop(self, datagram: bytes, received: float) -> Optional[Hop]:
        """The hop of one datagram; None if it holds none. ``received``: seconds since the epoch."""
        raise NotImplementedError

    def _forget(self) -> None:
        raise NotImplementedError

    def _placed(self, hop: Optional[Hop]) -> Optional[Hop]:
        if hop is None or self._window is None:
            return hop
        return hop._replace(look=hop.look._replace(readings=self._window))


class _Known(NamedTuple):
    """What the bytes before an nft event's header came to."""

    at: Place
    iif: Optional[str]
    oif: Optional[str]
    mark: Optional[int]
    is_ethernet: bool


class NftraceDatagrams(Datagrams):
    """Those of nf_tables."""

    _ID_HEAD, _ID_AT, _ID_END = struct.pack("=HH", 8, 6), 40, 44
    _LINK, _NETWORK, _TRANSPORT, _IIFTYPE = 7, 8, 9, 11
    _BEFORE = frozenset((1, 2, 3, 4, 5, 6, 10, _IIFTYPE, 12, 14, 16))
    """All that is read but the headers (enum nft_trace_attributes)."""

    def __init__(self) -> None:
        super().__init__()
        self._known: _Memory[bytes, _Known] = _Memory()
        """By all bytes but the id's, of events without a header."""
        self._headed: _Memory[bytes, _Known] = _Memory()
        """By those before the header."""
        self._tails: list[int] = []
        """How long the bytes from the network header on can be."""
        self._bare: _Memory[int, Look] = _Memory()
        """How packets looked last, by their trace id, in events without a header."""
        self._with_header: _Memory[int, Look] = _Memory()
        """The same in those with one."""

    def hop(self, datagram: bytes, received: float) -> Optional[Hop]:
        """As :meth:`Datagrams.hop` says."""
        if _length(datagram) != len(datagram):
            return self._placed(nftrace.parse(datagram, self._links, received))
        head = datagram[: self._ID_AT]
        number = int.from_bytes(datagram[self._ID_AT : self._ID_END], "big")
        known = self._known.get(head + datagram[self._ID_END :])
        if known is not None:
            look = self._look(known, number, None, None)
            return tuple.__new__(Hop, (known.at, look, received))
        for tail in self._tails:
            cut = len(datagram) - tail
            known = self._headed.get(head + datagram[self._ID_END : cut])
            headers = known and self._headers(datagram, cut, known.is_ethernet)
            if known is not None and headers is not None:
                look = self._look(known, number, *headers)
                return tuple.__new__(Hop, (known.at, look, received))
        hop = self._placed(nftrace.parse(datagram, self._links, received))
        if hop is not None and datagram[self._ID_AT - 4 : self._ID_AT] == self._ID_HEAD:
            self._learn(datagram, hop)
        return hop

    def _look(
        self, known: _Known, number: int, header: Optional[Header], mac: Optional[str]
    ) -> Look:
        """How it looked; that of the packet's hop before, where that is the same."""
        looks = self._bare if header is None else self._with_header
        last = looks.get(number)
        if (
            last is None
            or last.header is not header
            or last.mark != known.mark
            or last.iif != known.iif
            or last.oif != known.oif
            or last.mac != mac
        ):
            devices = known.iif, known.oif, known.mark
            last = looks.learn(number, Look(*devices, mac, header, number, self._window))
        return last

    def _headers(
        self, datagram: bytes, at: int, is_ethernet: bool
    ) -> Optional[tuple[Optional[Header], Optional[str]]]:
        """What the bytes from a network header on say: the packet's header, its addresses.

        None where no whole network header begins there.
        """
        network = transport = b""
        mac, end = None, len(datagram)
        while end - at >= 4:
            size, kind = _ATTRIBUTE.unpack_from(datagram, at)
            if size < 4 or at + size > end:
                return None
            if kind == self._NETWORK:
                network = datagram[at + 4 : at + size]
            elif kind == self._TRANSPORT:
                transport = datagram[at + 4 : at + size]
            elif kind == self._LINK:
                mac = ethernet.addresses(datagram[at + 4 : at + size]) if is_ethernet else None
            else:
                break
            at += size + 3 & ~3
        return (ip.parse_parts(network, transport), mac) if network else None

    def _learn(self, datagram: bytes, hop: Hop) -> None:
        """Remember what came before the header, where the datagram is as the kernel builds it."""
        kinds = attributes_at(datagram)
        places = dict(kinds)
        if len(places) < len(kinds):
            return
        iftype = places.get(self._IIFTYPE)
        is_ethernet = iftype is not None and datagram[iftype + 4 : iftype + 6] == _ETHERNET
        known = _Known(hop.at, hop.iif, hop.oif, hop.mark, is_ethernet)
        cut = places.get(self._NETWORK)
        if cut is None:
            if hop.look.header is None and hop.look.mac is None:
                self._known.learn(datagram[: self._ID_AT] + datagram[self._ID_END :], known)
            return
        tail = len(datagram) - cut
        if all((at < cut) == (kind in self._BEFORE) for kind, at in kinds if kind in self._READ):
            self._headed.learn(datagram[: self._ID_AT] + datagram[self._ID_END : cut], known)
            if tail not in self._tails:
                self._tails = [tail, *self._tails[: MOST_TAILS - 1]]

    _READ = _BEFORE | {_LINK, _NETWORK, _TRANSPORT}

    def _forget(self) -> None:
        self._known.clear()
        self._headed.clear()
        self._bare.clear()
        self._with_header.clear()


_ETHERNET = ethernet.ARPHRD_ETHER.to_bytes(2, "big")
MOST_TAILS = 8
_ATTRIBUTE = struct.Struct("=HH")


def _length(datagram: bytes) -> int:
    """What the datagram says its length is."""
    return int.from_bytes(datagram[:4], sys.byteorder)


def attributes_at(datagram: bytes) -> list[tuple[int, int]]:
    """Type and offset of each attribute behind an nfnetlink header; none if one is not whole."""
    found: list[tuple[int, int]] = []
    at, end = 20, len(datagram)
    if _length(datagram) != end:
        return []
    while end - at >= 4:
        size, kind = _ATTRIBUTE.unpack_from(datagram, at)
        if size < 4 or at + size > end:
            return []
        found.append((kind & 0x3FFF, at))
        at += size + 3 & ~3
    return found


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
        self._places: _Memory[bytes, Place] = _Memory()
        self._devices: _Memory[bytes, _Devices] = _Memory()
        self._looks: _Memory[bytes, Look] = _Memory()
        self._cuts: list[int] = []
        """How long the bytes of the devices can be."""

    def hop(self, datagram: bytes, received: float) -> Optional[Hop]:
        """As :meth:`Datagrams.hop` says."""
        # Cut or not, the devices would be found.
        if len(datagram) > self._PREFIX_AT and _length(datagram) == len(datagram):
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
            size, kind = _ATTRIBUTE.unpack_from(datagram, at)
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
            self._cuts = [end - begin, *self._cuts[: MOST_TAILS - 1]]

    def _forget(self) -> None:
        self._places.clear()
        self._devices.clear()
        self._looks.clear()
        self._cuts.clear()
