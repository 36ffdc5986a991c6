"""Packets grouped by path: those with the same hops are one group."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Optional

from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet

GROUPED_PER_CLOCK_CHECK = 64
"""Packets grouped between two checks of the clock."""

Step = tuple[str, str, str, str, str, Optional[int], Optional[str]]


class PathGroup:
    """Packets that met the same rules in the same order."""

    __slots__ = ("count", "first", "last", "newest")

    def __init__(self, packet: Packet) -> None:
        self.count = 0
        self.newest = packet
        self.first = self.last = packet.time

    def take(self, packet: Packet) -> None:
        """Count a packet in; packets come in the order they began."""
        self.count += 1
        self.newest = packet
        self.last = packet.time


class PathGroups:
    """The path groups of some packets, built piece by piece."""

    def __init__(self, packets: Sequence[Packet]) -> None:
        self.total = len(packets)
        """Packets to look at."""
        self.done = 0
        """Packets looked at."""
        self._paths: dict[tuple[Step, ...], PathGroup] = {}
        self._rest: Iterator[Packet] = iter(packets)

    def work(self, until: float) -> bool:
        """Look at more packets until then (monotonic seconds); True if there were any."""
        before = self.done
        for packet in self._rest:
            key = tuple(step(hop) for hop in packet.hops)
            self._paths.setdefault(key, PathGroup(packet)).take(packet)
            self.done += 1
            if self.done % GROUPED_PER_CLOCK_CHECK == 0 and time.monotonic() > until:
                break
        return self.done != before

    @property
    def groups(self) -> list[PathGroup]:
        """The groups, in the order of their first packets."""
        return list(self._paths.values())


def step(hop: Hop) -> Step:
    """The key of a hop; the verdict is part of it, as one nft rule can accept and drop (vmap)."""
    return (
        hop.backend, hop.family, hop.table, hop.chain, hop.type,
        hop.rulenum if hop.backend == "legacy" else hop.handle, hop.verdict,
    )  # fmt: skip


def first_difference(left: Sequence[Hop], right: Sequence[Hop]) -> int:
    """The index of the first hop in which two paths differ; the shorter length if in none."""
    steps = zip(left, right)
    index = next(
        (index for index, pair in enumerate(steps) if step(pair[0]) != step(pair[1])), None
    )
    return min(len(left), len(right)) if index is None else index
