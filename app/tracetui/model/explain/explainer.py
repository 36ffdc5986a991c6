"""Explanation of packets: the rule behind each hop, its changes, and the verdict.

Nothing is guessed. A hop gets a rule only if the rule was in the ruleset when the hop was
evaluated, and only if the other hops agree: a jump leads where the rule says, a chain ends where it
ends, and no test of the rule fails on the packet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from tracetui.model.explain.changes import changes
from tracetui.model.explain.conditions import Condition, conditions
from tracetui.model.explain.explanation import HopExplanation, PacketExplanation
from tracetui.model.explain.hop_rule import explain_hop, is_mismatched, without_rule
from tracetui.model.explain.unmatched import unmatched_before
from tracetui.model.explain.verdict import Verdicts
from tracetui.model.rules.history import RulesetHistory
from tracetui.model.rules.lookup import KNOWN
from tracetui.model.rules.ruleset import ListedRule
from tracetui.model.trace.header import Header
from tracetui.model.trace.packet import Packet


class Explainer:
    """Explains packets out of the rulesets' histories."""

    def __init__(self, histories: Mapping[str, RulesetHistory]) -> None:
        self.histories = histories
        """By backend."""
        self._verdicts = Verdicts(histories)

    def set_sysctls(self, sysctls: Mapping[str, str], first_id: int = 0) -> None:
        """Note the node's routing settings (``kernel.procfs``), from a packet's id on."""
        self._verdicts.set_sysctls(sysctls, first_id)

    def settings_version_of(self, packet: Packet) -> int:
        """Which of the routing settings noted were in force when the packet came."""
        return self._verdicts.settings_version_of(packet)

    def explain(self, packet: Packet) -> PacketExplanation:
        """Everything that is known of a packet now."""
        hops = self._hops(packet)
        judgement = self._verdicts.judge(packet, hops)
        is_final = judgement.verdict != "unknown" and all(hop.state == KNOWN for hop in hops)
        verdict, decided, why, is_accepted_so_far = judgement
        changed = tuple(changes(packet, hops))
        return PacketExplanation(hops, changed, verdict, decided, why, is_final, is_accepted_so_far)

    def conditions(self, packet: Packet) -> tuple[Condition, ...]:
        """The conditions on addresses and ports that the packet's explanation rests on."""
        return conditions(packet, [explain_hop(hop, self.histories) for hop in packet.hops])

    def unmatched_before(self, packet: Packet, index: int) -> tuple[tuple[int, ListedRule], ...]:
        """The rules evaluated without a match in a hop's chain since the last hop in it."""
        return unmatched_before(packet, self._hops(packet), index)

    def _hops(self, packet: Packet) -> tuple[HopExplanation, ...]:
        explanations = [explain_hop(hop, self.histories) for hop in packet.hops]
        headers: dict[str, Optional[Header]] = {}
        for index, hop in enumerate(packet.hops):
            headers[hop.backend] = hop.header or headers.get(hop.backend)
            if explanations[index].state == KNOWN and is_mismatched(
                packet, index, explanations, headers[hop.backend]
            ):
                explanations[index] = without_rule(hop)._replace(source=explanations[index].source)
        return tuple(explanations)
