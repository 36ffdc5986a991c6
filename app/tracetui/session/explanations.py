"""The explanations of packets that somebody looks at, made when they do."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from tracetui.model.explain import Explainer
from tracetui.model.explanation import PacketExplanation
from tracetui.model.packet import Packet
from tracetui.model.way import way
from tracetui.session.rulesets import Rulesets

KEPT = 4096
"""Explanations remembered: more than any screen shows."""
WAYS = 4096
"""Ways remembered: packets of one flow, and of most flows to one service, go the same."""


class Explanations:
    """Explains packets by a trace's rulesets; what can't change any more is remembered.

    Packets that went the same way are explained by the same object.
    """

    def __init__(self, rulesets: Rulesets) -> None:
        self.explainer = Explainer(rulesets.histories)
        self._rulesets = rulesets
        self._kept: OrderedDict[int, tuple[Packet, int, int, PacketExplanation]] = OrderedDict()
        self._ways: OrderedDict[Hashable, tuple[int, PacketExplanation]] = OrderedDict()

    @property
    def version(self) -> int:
        """Grows with everything learned about rulesets."""
        return self._rulesets.version

    def of(self, packet: Packet) -> PacketExplanation:
        """What is known of a packet now."""
        known = self._kept.get(packet.id)
        version = self._rulesets.version
        is_same = known is not None and known[0] is packet and known[1] == len(packet.hops)
        if known is not None and is_same and (known[3].is_final or known[2] == version):
            return known[3]
        made = self._explain(packet, version)
        self._kept[packet.id] = (packet, len(packet.hops), version, made)
        self._kept.move_to_end(packet.id)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made

    def _explain(self, packet: Packet, version: int) -> PacketExplanation:
        """The explanation of the packet's way."""
        key = (way(packet), self.explainer.era_of(packet))
        known = self._ways.get(key)
        if known is not None and (known[1].is_final or known[0] == version):
            return known[1]
        made = self.explainer.explain(packet)
        self._ways[key] = version, made
        self._ways.move_to_end(key)
        if len(self._ways) > WAYS:
            self._ways.popitem(last=False)
        return made
