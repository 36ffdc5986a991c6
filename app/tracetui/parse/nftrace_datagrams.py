"""Trace events of nf_tables to hops, fast; see ``datagrams``.

An event without a header differs in nothing but the trace id from the one that another packet had
at that place, and the id is at a fixed offset: net/netfilter/nf_tables_trace.c puts it behind the
type. One with a header has all else before it.
"""

from __future__ import annotations

import struct
from typing import Optional

from tracetui.model.header import Header
from tracetui.model.hop import Hop, Look, new_hop
from tracetui.model.memory import Memory
from tracetui.model.place import Place
from tracetui.parse import ethernet, ip, nftrace
from tracetui.parse.datagrams import (
    ATTRIBUTE,
    KEPT,
    MOST_CUTS,
    Datagrams,
    attributes_at,
    length_of,
)

_ETHERNET = ethernet.ARPHRD_ETHER.to_bytes(2, "big")


class _Around:
    """What an event says of a packet beside its header, and how packets looked that came so."""

    __slots__ = ("iif", "is_ethernet", "looks", "mark", "oif")

    def __init__(
        self, iif: Optional[str], oif: Optional[str], mark: Optional[int], is_ethernet: bool
    ) -> None:
        self.iif = iif
        self.oif = oif
        self.mark = mark
        self.is_ethernet = is_ethernet
        self.looks: Memory[bytes, Look] = Memory(KEPT)
        """By the bytes of the trace id and of the headers."""


_Headers = tuple[Optional[Header], Optional[str]]
"""A packet's header, and its link addresses."""
_Known = tuple[Place, _Around]
"""What the bytes of an event come to, but for those of the trace id and of the headers."""


class NftraceDatagrams(Datagrams):
    """Those of nf_tables."""

    _ID_HEAD, _ID_AT, _ID_END = struct.pack("=HH", 8, 6), 40, 44
    _LINK, _NETWORK, _TRANSPORT, _IIFTYPE = 7, 8, 9, 11
    _BEFORE = frozenset((1, 2, 3, 4, 5, 6, 10, _IIFTYPE, 12, 14, 16))
    """All that is read but the headers (enum nft_trace_attributes)."""

    def __init__(self) -> None:
        super().__init__()
        self._bare: Memory[bytes, _Known] = Memory(KEPT)
        """By all bytes but the id's, of events without a header; their length is among them."""
        self._headed: Memory[bytes, _Known] = Memory(KEPT)
        """By those before the header."""
        self._tails: list[int] = []
        """How long the bytes from the network header on can be."""
        self._around: Memory[object, _Around] = Memory(KEPT)
        self._seen: Memory[tuple[bytes, bool], _Headers] = Memory(KEPT)
        """By the bytes from the network header on, and whether addresses are Ethernet's."""

    def hop(self, datagram: bytes, received: float) -> Optional[Hop]:
        """As :meth:`Datagrams.hop` says."""
        known = self._bare.get(datagram[:40] + datagram[44:])
        if known is not None:
            at, around = known
            number = datagram[40:44]
            look = around.looks.get(number) or self._look(around, number, None, None)
            return new_hop(Hop, (at, look, received))
        hop = self._headed_hop(datagram, received)
        if hop is not None:
            return hop
        hop = self._placed(nftrace.parse(datagram, self._links, received))
        if hop is not None and datagram[self._ID_AT - 4 : self._ID_AT] == self._ID_HEAD:
            self._learn(datagram, hop)
        return hop

    def _headed_hop(self, datagram: bytes, received: float) -> Optional[Hop]:
        """The hop of an event with a header; None where what is before it is not known."""
        if length_of(datagram) != len(datagram):
            return None
        for tail in self._tails:
            cut = len(datagram) - tail
            known = self._headed.get(datagram[:40] + datagram[44:cut])
            if known is None:
                continue
            at, around = known
            shown = datagram[40:44] + datagram[cut:]
            look = around.looks.get(shown)
            if look is None:
                beside = (datagram[cut:], around.is_ethernet)
                # At two hooks it looks the same, but for the devices.
                headers = self._seen.get(beside) or self._headers(datagram, cut, beside[1])
                if headers is None:
                    continue
                self._seen.learn(beside, headers)
                look = self._look(around, shown, *headers)
            return new_hop(Hop, (at, look, received))
        return None

    def _look(
        self, around: _Around, shown: bytes, header: Optional[Header], mac: Optional[str]
    ) -> Look:
        """How a packet looks that showed this, from now on."""
        number = int.from_bytes(shown[:4], "big")
        look = Look(around.iif, around.oif, around.mark, mac, header, number, self._window)
        return around.looks.learn(shown, look)

    def _headers(self, datagram: bytes, at: int, is_ethernet: bool) -> Optional[_Headers]:
        """What the bytes from a network header on say: the packet's header, its addresses.

        None where no whole network header begins there.
        """
        network = transport = b""
        mac, end = None, len(datagram)
        while end - at >= 4:
            size, kind = ATTRIBUTE.unpack_from(datagram, at)
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
        beside = hop.iif, hop.oif, hop.mark, is_ethernet
        around = self._around.get(beside) or self._around.learn(beside, _Around(*beside))
        before = datagram[: self._ID_AT]
        cut = places.get(self._NETWORK)
        if cut is None:
            if hop.look.header is None and hop.look.mac is None:
                self._bare.learn(before + datagram[self._ID_END :], (hop.at, around))
            return
        tail = len(datagram) - cut
        if all((at < cut) == (kind in self._BEFORE) for kind, at in kinds if kind in self._READ):
            self._headed.learn(before + datagram[self._ID_END : cut], (hop.at, around))
            if tail not in self._tails:
                self._tails = [tail, *self._tails[: MOST_CUTS - 1]]

    _READ = _BEFORE | {_LINK, _NETWORK, _TRANSPORT}

    def _forget(self) -> None:
        self._bare.clear()
        self._headed.clear()
        self._tails.clear()
        self._around.clear()

    def _forget_looks(self) -> None:
        for around in self._around.values():
            around.looks.clear()
