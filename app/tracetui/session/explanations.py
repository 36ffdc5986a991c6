"""The explanations of packets that somebody looks at, made when they do."""

from __future__ import annotations

from tracetui.model.explain import Explainer
from tracetui.model.explanation import PacketExplanation
from tracetui.model.memory import Memory
from tracetui.model.packet import Packet
from tracetui.model.way import Way
from tracetui.session.rulesets import Rulesets

KEPT = 4096
"""Explanations remembered: more than any screen shows."""


class Explanations:
    """Explains packets by a trace's rulesets; what can't change any more is remembered.

    Packets that went one way, under the same settings of the node, have one explanation.
    """

    def __init__(self, rulesets: Rulesets) -> None:
        self.explainer = Explainer(rulesets.histories)
        self._rulesets = rulesets
        self._kept: Memory[tuple[Way, int], tuple[int, PacketExplanation]] = Memory(KEPT)

    @property
    def version(self) -> int:
        """Grows with everything learned about rulesets."""
        return self._rulesets.version

    def of(self, packet: Packet) -> PacketExplanation:
        """What is known of a packet now."""
        key = (packet.way, self.explainer.era_of(packet))
        known = self._kept.get(key)
        version = self._rulesets.version
        if known is not None and (known[1].is_final or known[0] == version):
            return known[1]
        made = self.explainer.explain(packet)
        self._kept.learn(key, (version, made))
        return made
