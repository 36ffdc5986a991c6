"""Packets as lines of JSON, fast: what follows from a packet's way is written once.

``report.packet_json`` says what a packet is in JSON. Packets with one explanation went one way (see
``session.explanations``), so their hops differ in their times only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tracetui.model.explanation import PacketExplanation
from tracetui.model.memory import Memory
from tracetui.model.packet import Packet
from tracetui.session import report
from tracetui.session.inert import inert_json

KEPT = 1024
"""Ways of which the texts are remembered."""
_HOPS = ', "hops": [{"us": '
"""Between a packet's own fields and the first hop's time."""


class _Texts(NamedTuple):
    """The line of a way, cut where packets differ."""

    explanation: PacketExplanation
    """Held, so that no other one gets its identity."""
    rests: list[str]
    """Behind the time of each hop, up to the next one's."""


class PacketLines:
    """Lines for one stream."""

    def __init__(self, is_ascii: bool) -> None:
        """``is_ascii`` for a stream that takes nothing else."""
        self._encoder = json.JSONEncoder(ensure_ascii=is_ascii)
        self._known: Memory[int, _Texts] = Memory(KEPT)

    def line(self, packet: Packet, explanation: PacketExplanation) -> str:
        """The packet as ``report.packet_json`` has it, in one line that is inert on a terminal."""
        known = self._known.get(id(explanation))
        if known is None or len(known.rests) != packet.length or packet.ambiguous:
            value = report.packet_json(packet, explanation)
            if packet.ambiguous:
                return self._text(value)
            known = self._learn(explanation, value)
        head = self._text(report.head_json(packet))[:-1]
        times = ["null" if us is None else str(us) for us in packet.stamps()]
        parts = [f"{time}{rest}" for time, rest in zip(times, known.rests)]
        return f"{head}{_HOPS}{''.join(parts)}"

    def _learn(self, explanation: PacketExplanation, value: Mapping[str, Any]) -> _Texts:
        names = list(value)
        tail = {name: value[name] for name in names[names.index("hops") + 1 :]}
        hops = [self._text({k: v for k, v in hop.items() if k != "us"}) for hop in value["hops"]]
        rests = [f', {hop[1:]}, {{"us": ' for hop in hops[:-1]]
        rests.append(f", {hops[-1][1:]}], {self._text(tail)[1:]}")
        return self._known.learn(id(explanation), _Texts(explanation, rests))

    def _text(self, value: Mapping[str, Any]) -> str:
        return inert_json(self._encoder.encode(value))
