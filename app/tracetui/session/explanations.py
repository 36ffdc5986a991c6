"""The explanations of packets that somebody looks at, made when they do."""

from __future__ import annotations

from collections import OrderedDict

from tracetui.model.explain import Explainer
from tracetui.model.explanation import PacketExplanation
from tracetui.model.packet import Packet
from tracetui.session.rulesets import Rulesets

KEPT = 4096
"""Explanations remembered: more than any screen shows."""


class Explanations:
    """Explains packets by a trace's rulesets; what can't change any more is remembered."""

    def __init__(self, rulesets: Rulesets) -> None:
        self.explainer = Explainer(rulesets.histories)
        self._rulesets = rulesets
        self._kept: OrderedDict[int, tuple[Packet, int, int, PacketExplanation]] = OrderedDict()

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
        made = self.explainer.explain(packet)
        self._kept[packet.id] = (packet, len(packet.hops), version, made)
        self._kept.move_to_end(packet.id)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made
