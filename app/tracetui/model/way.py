"""What packets have in common that an explanation rests on: most are like one before them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Optional

from tracetui.model.hop import Look
from tracetui.model.packet import Packet


def way(packet: Packet) -> Hashable:
    """The places it was at, and how it looked there, but for what tells packets of a flow apart.

    Packets with the same way have the same explanation, as far as the same is known of the
    rulesets: nothing else of a packet is looked at by ``explain``, ``changes`` and ``verdict``
    but whether it comes before the node's settings changed.
    """
    looks: list[Hashable] = []
    last: Optional[Look] = None
    known: dict[int, Hashable] = {}
    for hop in packet.hops:
        look = hop[1]
        if look is not last:
            last = look
            traits = known.get(id(look))
            if traits is None:
                traits = known[id(look)] = _traits(look)
        looks.append(traits)
    return (tuple([hop[0] for hop in packet.hops]), tuple(packet.hooks), tuple(looks))


def _traits(look: Look) -> Hashable:
    """What of a look can make a difference."""
    iif, oif, mark, mac, header, _, readings = look
    if header is None:
        return (iif, oif, mark, mac, readings)
    return (iif, oif, mark, mac, readings, *header[:6], header.ttl)
