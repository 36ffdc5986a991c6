"""Who sends the packets that were traced, and where to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, Optional

from tracetui.model.trace.header import Header
from tracetui.model.trace.packet import Packet

TALKERS_SHOWN = 5
"""Talkers named, the busiest."""


class Target(NamedTuple):
    """A destination of packets."""

    proto: str
    dst: str
    dport: Optional[int]


class Talkers(NamedTuple):
    """The destinations, sources and hooks of some packets, counted."""

    packets: int = 0
    hops: int = 0
    targets: tuple[tuple[Target, int], ...] = ()
    """Each with its packets, the busiest first."""
    sources: tuple[tuple[str, int], ...] = ()
    example: Optional[Packet] = None
    """A packet to the busiest target."""
    hooks: tuple[tuple[Optional[str], int], ...] = ()
    """Hooks where the packets were seen first, each with its packets."""

    @property
    def hops_per_packet(self) -> float:
        """On average; 1 where nothing was seen."""
        return max(1.0, self.hops / self.packets) if self.packets else 1.0

    def hops_per_match(self, chain: str) -> float:
        """Hops that one match of a rule of ``chain`` brings, on average.

        A packet that leaves over loopback comes in again, still traced: for us that is another one.
        """
        matched = dict(self.hooks).get(chain, 0) or self.packets
        return max(1.0, self.hops / matched) if matched else 1.0


def talkers(packets: Iterable[Packet]) -> Talkers:
    """Count what the packets were sent to, and by whom; those without a header count as packets."""
    targets: Counter[Target] = Counter()
    sources: Counter[str] = Counter()
    hooks: Counter[Optional[str]] = Counter()
    examples: dict[Target, Packet] = {}
    count = hops = 0
    for packet in packets:
        count += 1
        hops += len(packet.hops)
        hooks[packet.hook_of(0)] += 1
        target = _target(packet.header)
        if target is not None and packet.header is not None:
            targets[target] += 1
            examples.setdefault(target, packet)
            sources[packet.header.src or "?"] += 1
    busiest = targets.most_common(TALKERS_SHOWN)
    example = examples[busiest[0][0]] if busiest else None
    most = tuple(sources.most_common(TALKERS_SHOWN))
    return Talkers(count, hops, tuple(busiest), most, example, tuple(hooks.items()))


def _target(header: Optional[Header]) -> Optional[Target]:
    if header is None or header.dst is None or header.proto is None:
        return None
    return Target(header.proto, header.dst, header.dport)
