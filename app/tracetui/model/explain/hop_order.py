"""The order of a packet's hops where both backends have chains at one hook.

Each backend's hops come by a socket of its own, so only their trace points tell which was first:
hooks in the packet's order, and at a hook chains by priority (net/netfilter/core.c). Of two with
one priority the one that was registered first comes first, which nothing tells: they stay as they
came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from tracetui.model.explain.base_chains import base_chains
from tracetui.model.rules.history import RulesetHistory
from tracetui.model.rules.ruleset import built_in_chain
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.traversal import PROGRESS

_Position = tuple[int, int]
"""How far along the hooks, and the priority there."""


def order(packet: Packet, histories: Mapping[str, RulesetHistory]) -> Optional[list[int]]:
    """The hops' indices in the order in which they were passed; None for the order that it has.

    None too where a position is not known, or one backend's own hops are not in such an order.
    """
    points = packet.path.points
    if len({point.backend for point in points}) < 2 or any(point.layer != "ip" for point in points):
        return None
    positions = _positions(packet, histories)
    if positions is None:
        return None
    indices = sorted(range(len(positions)), key=positions.__getitem__)
    return None if indices == list(range(len(positions))) else indices


def _positions(
    packet: Packet, histories: Mapping[str, RulesetHistory]
) -> Optional[list[_Position]]:
    """Where each hop was; None unless all are known and each backend's come one after another."""
    bases = base_chains(packet, histories)
    if bases is None:
        return None
    by_key = {
        (base.backend, *base.key): (PROGRESS[base.chain.hook], base.chain.priority)
        for base in bases
        if base.chain.hook is not None and base.chain.priority is not None
    }
    entered: dict[tuple[str, tuple[str, str]], _Position] = {}
    last: dict[str, _Position] = {}
    positions: list[_Position] = []
    for point in packet.path.points:
        position = by_key.get((point.backend, *point.chain_key))
        if position is None and point.is_in_base_chain and not point.is_native:
            chain = built_in_chain(point.table, point.chain, "accept", ())
            if chain.hook is not None and chain.priority is not None:
                position = (PROGRESS[chain.hook], chain.priority)
        if position is None:
            position = entered.get((point.backend, point.table_key))
        if position is None or position < last.get(point.backend, position):
            return None
        entered[point.backend, point.table_key] = last[point.backend] = position
        positions.append(position)
    return positions
