"""Explanations of packets, made when somebody asks for them and kept by path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from tracetui.model.explain import hop_order
from tracetui.model.explain.conditions import Condition, outcomes
from tracetui.model.explain.explainer import Explainer
from tracetui.model.explain.explanation import FieldChange, PacketExplanation
from tracetui.model.trace.memo import Memo
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.path import Path
from tracetui.model.trace.path_template import PathTemplate, Value, translation
from tracetui.session.rulesets.rulesets import Rulesets

EXPLANATIONS_KEPT = 4096
"""Explanations kept by path: more than any screen shows."""
OUTCOMES_KEPT = 64
"""Explanations kept of one template: nearly always its packets pass all that their rules ask."""


class _OfTemplate(NamedTuple):
    """Explanations of paths of one template."""

    version: int
    """The version of the rulesets that they rest on."""
    asked: tuple[Condition, ...]
    made: Memo[tuple[Optional[bool], ...], tuple[Path, PacketExplanation]]
    """By the outcomes of the conditions."""


class Explanations:
    """Explains packets by a trace's rulesets; what can't change any more is remembered.

    Packets of one path, under the same settings of the node, have one explanation. Paths of one
    template, as new connections have, share most of it: their explanations have the same ``hops``.
    """

    def __init__(self, rulesets: Rulesets) -> None:
        self.explainer = Explainer(rulesets.histories)
        self._rulesets = rulesets
        self._by_path: Memo[tuple[Path, int], tuple[int, PacketExplanation]] = Memo(
            EXPLANATIONS_KEPT
        )
        self._by_template: Memo[tuple[PathTemplate, int], _OfTemplate] = Memo(EXPLANATIONS_KEPT)

    @property
    def version(self) -> int:
        """Grows with everything learned about rulesets."""
        return self._rulesets.version

    def of(self, packet: Packet) -> PacketExplanation:
        """The explanation of a packet as far as it is known now."""
        era, version = self.explainer.settings_version_of(packet), self._rulesets.version
        known = self._known(packet.path, era)
        if known is None:
            order = hop_order.order(packet, self.explainer.histories)
            if order is not None:
                packet.reorder(order)
                known = self._known(packet.path, era)
        if known is None:
            path = packet.path
            known = self._made(packet, path, era)
            self._by_path.learn((path, era), (version, known))
        return known

    def _known(self, path: Path, era: int) -> Optional[PacketExplanation]:
        """The explanation of another packet of this path, if it still holds."""
        known = self._by_path.get((path, era))
        is_valid = known is not None and (known[1].is_final or known[0] == self._rulesets.version)
        return known[1] if known is not None and is_valid else None

    def _made(self, packet: Packet, path: Path, era: int) -> PacketExplanation:
        """An explanation, made from one of the same template where there is one."""
        version = self._rulesets.version
        shared = self._by_template.get((path.template, era))
        if shared is None or shared.version != version:
            shared = _OfTemplate(version, self.explainer.conditions(packet), Memo(OUTCOMES_KEPT))
            self._by_template.learn((path.template, era), shared)
        results = outcomes(shared.asked, path)
        like = shared.made.get(results)
        if like is not None:
            return _of_another(like[1], translation(like[0].values, path.values))
        made = self.explainer.explain(packet)
        if not made.why:
            # A sentence can rest on what an address is.
            shared.made.learn(results, (path, made))
        return made


def _of_another(made: PacketExplanation, other: Mapping[Value, Value]) -> PacketExplanation:
    """The explanation with the addresses and ports of another packet."""
    changes = [_changed(change, other) for change in made.changes]
    return made._replace(changes=tuple(changes))


def _changed(change: FieldChange, other: Mapping[Value, Value]) -> FieldChange:
    if change.field not in ("src", "dst"):
        return change
    # None stays None: it is what was not seen.
    old, new = ((other.get(one[0]), other.get(one[1])) for one in (change.old, change.new))
    return change._replace(old=old, new=new)
