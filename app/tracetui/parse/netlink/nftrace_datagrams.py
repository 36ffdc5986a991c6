"""Trace events of nf_tables to hops, with a cache before the decoder; see ``datagrams``.

An event without a header differs in nothing but the trace id from the one that another packet had
at that place, and the id is at a fixed offset: net/netfilter/nf_tables_trace.c puts it behind the
type. One with a header has all else before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop, PacketState, new_hop, new_state
from tracetui.model.trace.memo import Memo
from tracetui.model.trace.trace_point import TracePoint
from tracetui.parse.headers import ethernet, ip
from tracetui.parse.netlink import nftrace
from tracetui.parse.netlink.datagrams import (
    ATTRIBUTE,
    BYTES_KEPT,
    MOST_CUTS,
    Datagrams,
    Record,
    attributes_at,
    length_of,
)

_ETHERNET = ethernet.ARPHRD_ETHER.to_bytes(2, "big")


class _Context:
    """The fields of an event beside its header, and the states of packets that had them."""

    __slots__ = ("iif", "is_ethernet", "mark", "oif", "states")

    def __init__(
        self, iif: Optional[str], oif: Optional[str], mark: Optional[int], is_ethernet: bool
    ) -> None:
        self.iif = iif
        self.oif = oif
        self.mark = mark
        self.is_ethernet = is_ethernet
        self.states: Memo[bytes, PacketState] = Memo(BYTES_KEPT)
        """By the bytes of the trace id and of the headers."""


class _Tail(NamedTuple):
    """The attributes from the network header on, as one kind of packets has them."""

    size: int
    """Bytes of all of them."""
    reader: struct.Struct
    """Reads size, kind and value of each header; the network header is the first."""
    heads: tuple[tuple[int, ...], tuple[int, ...]]
    """Their sizes and kinds."""
    others: struct.Struct
    """Reads size and kind of what is behind them: the connection, which newer kernels tell."""
    other_heads: tuple[int, ...]

    def read(self, datagram: bytes, cut: int) -> Optional[tuple[bytes, bytes, bytes]]:
        """Network, transport and link header that begin there; None where they are not so."""
        found = self.reader.unpack_from(datagram, cut)
        if (found[::3], found[1::3]) != self.heads:
            return None
        network, transport, link = (*found[2::3], b"", b"")[:3]
        return network, transport, link


_KnownEvent = tuple[TracePoint, _Context]
"""The meaning of an event's bytes, but for those of the trace id and of the headers."""


class NftraceDatagrams(Datagrams):
    """The cached reader of nf_tables' trace events."""

    _ID_HEAD, _ID_AT, _ID_END = struct.pack("=HH", 8, 6), 40, 44
    _LINK, _NETWORK, _TRANSPORT, _IIFTYPE = 7, 8, 9, 11
    _BEFORE = frozenset((1, 2, 3, 4, 5, 6, 10, _IIFTYPE, 12, 14, 16))
    """All that is read but the headers (enum nft_trace_attributes)."""

    def __init__(self) -> None:
        super().__init__()
        self._bare: Memo[bytes, _KnownEvent] = Memo(BYTES_KEPT)
        """By all bytes but the id's, of events without a header; their length is among them."""
        self._headed: Memo[bytes, _KnownEvent] = Memo(BYTES_KEPT)
        """By those before the header."""
        self._tails: list[_Tail] = []
        self._contexts: Memo[object, _Context] = Memo(BYTES_KEPT)

    def hops(self, records: Iterable[Record]) -> Iterator[Optional[Hop]]:
        """See :meth:`Datagrams.hops`."""
        bare = self._bare.get
        for datagram, received in records:
            known = bare(datagram[:40] + datagram[44:])
            if known is None:
                yield self._headed_hop(datagram, received) or self._new(datagram, received)
                continue
            at, context = known
            number = datagram[40:44]
            state = context.states.get(number) or self._state(context, number, None, None)
            yield new_hop(Hop, (at, state, received))

    def _new(self, datagram: bytes, received: float) -> Optional[Hop]:
        """The hop of an event of which not all has come before."""
        hop = self._placed(nftrace.parse(datagram, self._links, received))
        if hop is not None and datagram[self._ID_AT - 4 : self._ID_AT] == self._ID_HEAD:
            self._learn(datagram, hop)
        return hop

    def _headed_hop(self, datagram: bytes, received: float) -> Optional[Hop]:
        """The hop of an event with a header; None where what is before it is not known."""
        if length_of(datagram) != len(datagram):
            return None
        for tail in self._tails:
            cut = len(datagram) - tail.size
            if cut < self._ID_END:
                continue
            known = self._headed.get(datagram[:40] + datagram[44:cut])
            if known is None:
                continue
            end = cut + tail.reader.size
            if tail.other_heads and tail.others.unpack_from(datagram, end) != tail.other_heads:
                continue
            at, context = known
            shown = datagram[40:44] + datagram[cut:end]
            state = context.states.get(shown)
            if state is None:
                parts = tail.read(datagram, cut)
                if parts is None:
                    continue
                network, transport, link = parts
                mac = ethernet.addresses(link) if link and context.is_ethernet else None
                state = self._state(context, shown, ip.parse_parts(network, transport), mac)
            return new_hop(Hop, (at, state, received))
        return None

    def _state(
        self, context: _Context, shown: bytes, header: Optional[Header], mac: Optional[str]
    ) -> PacketState:
        """Learn the state of a packet that showed this."""
        number = int.from_bytes(shown[:4], "big")
        parts = context.iif, context.oif, context.mark, mac, header, number, self._interval
        return context.states.learn(shown, new_state(PacketState, parts))

    def _learn(self, datagram: bytes, hop: Hop) -> None:
        """Remember what came before the header, where the datagram is as the kernel builds it."""
        kinds = attributes_at(datagram)
        points = dict(kinds)
        if len(points) < len(kinds):
            return
        iftype = points.get(self._IIFTYPE)
        is_ethernet = iftype is not None and _value(datagram, iftype) == _ETHERNET
        beside = hop.iif, hop.oif, hop.mark, is_ethernet
        context = self._contexts.get(beside) or self._contexts.learn(beside, _Context(*beside))
        before = datagram[: self._ID_AT]
        cut = points.get(self._NETWORK)
        if cut is None:
            if hop.state.header is None and hop.state.mac is None:
                self._bare.learn(before + datagram[self._ID_END :], (hop.point, context))
            return
        is_usual = all(
            (at < cut) == (kind in self._BEFORE) for kind, at in kinds if kind in self._READ
        )
        tail = self._tail(datagram, [at for _, at in kinds if at >= cut]) if is_usual else None
        if tail is not None:
            self._headed.learn(before + datagram[self._ID_END : cut], (hop.point, context))
            # Readers of one form are not equal.
            if tail[2::2] not in [one[2::2] for one in self._tails]:
                self._tails = [tail, *self._tails[: MOST_CUTS - 1]]

    def _tail(self, datagram: bytes, points: list[int]) -> Optional[_Tail]:
        """The attributes at these places; None where headers are not as the kernel orders them."""
        heads = [ATTRIBUTE.unpack_from(datagram, at) for at in points]
        count = sum(kind in self._HEADERS for _, kind in heads)
        sizes, kinds = zip(*heads[:count])
        if kinds != self._HEADERS[:count]:
            return None
        form = "".join(f"HH{size - 4}s{-size & 3}x" for size in sizes)
        others = "".join(f"HH{(size + 3 & ~3) - 4}x" for size, _ in heads[count:])
        reader, rest = struct.Struct(f"={form}"), struct.Struct(f"={others}")
        if reader.size + rest.size != len(datagram) - points[0]:
            return None
        other_heads = tuple(number for head in heads[count:] for number in head)
        return _Tail(reader.size + rest.size, reader, (sizes, kinds), rest, other_heads)

    _HEADERS = (_NETWORK, _TRANSPORT, _LINK)
    """In the kernel's order."""
    _READ = _BEFORE | {_LINK, _NETWORK, _TRANSPORT}

    def _forget(self) -> None:
        self._bare.clear()
        self._headed.clear()
        self._tails.clear()
        self._contexts.clear()

    def _forget_states(self) -> None:
        for context in self._contexts.values():
            context.states.clear()


def _value(datagram: bytes, at: int) -> bytes:
    """The value of an attribute."""
    return datagram[at + 4 : at + ATTRIBUTE.unpack_from(datagram, at)[0]]
