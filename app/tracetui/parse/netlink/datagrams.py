"""Datagrams to hops, with a cache before the decoder: bytes that come again are decoded once.

This is the hot path of a live trace in this layer, with ``nflog_datagrams`` and
``nftrace_datagrams``, one for each source. ``nflog`` and ``nftrace`` decode a datagram attribute by
attribute; tests hold the cache against them.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Optional

from tracetui.model.trace.hop import Hop, Interval

BYTES_KEPT = 4096
"""Entries of each cache."""
MOST_CUTS = 8
"""Places at which a datagram is cut into what comes again and what does not."""
ATTRIBUTE = struct.Struct("=HH")
"""Length and type, in front of each."""
Record = tuple[bytes, float]
"""A datagram, and when it was received: seconds since the epoch."""


class Datagrams:
    """A cached reader of one source: it knows interface names and the interval of snapshots."""

    def __init__(self) -> None:
        self._links: Mapping[int, str] = {}
        self._interval: Optional[Interval] = None

    def set_links(self, links: Mapping[int, str]) -> None:
        """Have these names, by index, for the interfaces of what comes from now on."""
        self._links = dict(links)
        self._forget()

    def set_interval(self, interval: Interval) -> None:
        """Have hops from now on stand in this interval between snapshots of the ruleset."""
        if interval != self._interval:
            self._interval = interval
            self._forget_states()

    def hops(self, records: Iterable[Record]) -> Iterator[Optional[Hop]]:
        """The hop of each datagram; None for one that holds none."""
        raise NotImplementedError

    def hop(self, datagram: bytes, received: float) -> Optional[Hop]:
        """The hop of one datagram, received so many seconds since the epoch."""
        return next(self.hops([(datagram, received)]))

    def _forget(self) -> None:
        raise NotImplementedError

    def _forget_states(self) -> None:
        """Forget packet states, and not what bytes mean."""
        raise NotImplementedError

    def _placed(self, hop: Optional[Hop]) -> Optional[Hop]:
        if hop is None or self._interval is None:
            return hop
        return hop._replace(state=hop.state._replace(interval=self._interval))


def length_of(datagram: bytes) -> int:
    """The length that the datagram states."""
    return int.from_bytes(datagram[:4], sys.byteorder)


def attributes_at(datagram: bytes) -> list[tuple[int, int]]:
    """Type and offset of each attribute behind an nfnetlink header; none if one is not whole."""
    found: list[tuple[int, int]] = []
    at, end = 20, len(datagram)
    if length_of(datagram) != end:
        return []
    while end - at >= 4:
        size, kind = ATTRIBUTE.unpack_from(datagram, at)
        if size < 4 or at + size > end:
            return []
        found.append((kind & 0x3FFF, at))
        at += size + 3 & ~3
    return found
