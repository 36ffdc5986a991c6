"""Datagrams to hops, fast: what comes again is read once.

This is the hot path of a live trace in this layer, with ``nflog_datagrams`` and
``nftrace_datagrams``, one for each source. ``nflog`` and ``nftrace`` read a datagram attribute by
attribute; there the same bytes give the same hop without that, which a test holds against them.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Optional

from tracetui.model.trace.hop import Hop

KEPT = 4096
"""Of each kind of bytes remembered."""
MOST_CUTS = 8
"""Places at which a datagram is cut into what comes again and what does not."""
ATTRIBUTE = struct.Struct("=HH")
"""Length and type, in front of each."""
Window = tuple[int, int]
Record = tuple[bytes, float]
"""A datagram, and when it was received: seconds since the epoch."""


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
            self._forget_looks()

    def hops(self, records: Iterable[Record]) -> Iterator[Optional[Hop]]:
        """The hop of each datagram; None for one that holds none."""
        raise NotImplementedError

    def hop(self, datagram: bytes, received: float) -> Optional[Hop]:
        """The same of one, received so many seconds since the epoch."""
        return next(self.hops([(datagram, received)]))

    def _forget(self) -> None:
        raise NotImplementedError

    def _forget_looks(self) -> None:
        """Forget how packets looked, and not what bytes mean."""
        raise NotImplementedError

    def _placed(self, hop: Optional[Hop]) -> Optional[Hop]:
        if hop is None or self._window is None:
            return hop
        return hop._replace(state=hop.state._replace(readings=self._window))


def length_of(datagram: bytes) -> int:
    """What the datagram says its length is."""
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
