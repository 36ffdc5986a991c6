"""Packets by the way they took: those with the same hops are one path."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Optional

from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet

LOOK_AT_CLOCK = 64
"""Packets between two looks at the clock."""

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
    """The paths of some packets, found piece by piece."""

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
            if self.done % LOOK_AT_CLOCK == 0 and time.monotonic() > until:
                break
        return self.done != before

    @property
    def found(self) -> list[PathGroup]:
        """The paths, in the order in which they were first taken."""
        return list(self._paths.values())


def step(hop: Hop) -> Step:
    """What makes a hop the same in two packets: one rule of nft's can accept and drop (vmap)."""
    return (
        hop.backend, hop.family, hop.table, hop.chain, hop.type,
        hop.rulenum if hop.backend == "legacy" else hop.handle, hop.verdict,
    )  # fmt: skip


def parting(one: Sequence[Hop], other: Sequence[Hop]) -> int:
    """The index of the first hop in which two ways differ; that of the shorter end if in none."""
    steps = zip(one, other)
    same = next((at for at, pair in enumerate(steps) if step(pair[0]) != step(pair[1])), None)
    return min(len(one), len(other)) if same is None else same
