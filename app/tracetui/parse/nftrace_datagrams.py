"""Trace events of nf_tables to hops, fast; see ``datagrams``.

An event without a header differs in nothing but the trace id from the one that another packet had
at that place, and the id is at a fixed offset: net/netfilter/nf_tables_trace.c puts it behind the
type. One with a header has all else before it.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Optional

from tracetui.model.header import Header
from tracetui.model.hop import Hop, Look
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
        self._known: Memory[bytes, _Known] = Memory(KEPT)
        """By all bytes but the id's, of events without a header."""
        self._headed: Memory[bytes, _Known] = Memory(KEPT)
        """By those before the header."""
        self._tails: list[int] = []
        """How long the bytes from the network header on can be."""
        self._bare: Memory[int, Look] = Memory(KEPT)
        """How packets looked last, by their trace id, in events without a header."""
        self._with_header: Memory[int, Look] = Memory(KEPT)
        """The same in those with one."""

    def hop(self, datagram: bytes, received: float) -> Optional[Hop]:
        """As :meth:`Datagrams.hop` says."""
        if length_of(datagram) != len(datagram):
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
                self._tails = [tail, *self._tails[: MOST_CUTS - 1]]

    _READ = _BEFORE | {_LINK, _NETWORK, _TRANSPORT}

    def _forget(self) -> None:
        self._known.clear()
        self._headed.clear()
        self._bare.clear()
        self._with_header.clear()
