"""The line of a packet in the timeline."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Optional

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace import moments
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.text.sanitize import sanitize
from tracetui.session.text.width import cells_of, shown, tail
from tracetui.ui.widgets.text_parts import VERDICT_MARKS, Line, TextPart, cell

_NAT_ARROW = " ⇒ "


class Columns(NamedTuple):
    """Widths of the columns in cells; 0 for one without room, the least needed first."""

    time: int
    proto: int
    endpoints: int
    devices: int
    hops: int
    verdict: int

    @classmethod
    @lru_cache(maxsize=8)
    def fitting(cls, width: int) -> Columns:
        """The columns of a pane that many cells wide."""
        time = 12 if width >= 88 else 8 if width >= 58 else 0
        proto = 17 if width >= 110 else 12 if width >= 64 else 8
        devices = 23 if width >= 132 else 0
        hops = 8 if width >= 96 else 3
        verdict = 9 if width >= 56 else 1
        used = 2 + sum(part + 1 for part in (time, proto, devices, hops, verdict) if part)
        return cls(time, proto, max(10, width - used), devices, hops, verdict)


def packet_line(
    packet: Packet, explanation: PacketExplanation, columns: Columns, marks: str
) -> Line:
    """The line of a packet; ``marks`` are the two cells before it."""
    verdict = explanation.verdict
    pieces = [TextPart(marks, "fold")]
    if columns.time:
        pieces.append(TextPart(moments.clock(packet.stamped)[: columns.time] + " ", "time"))
    pieces.append(TextPart(cell(report.protocol(packet.header), columns.proto), "proto"))
    pieces += _endpoints(packet, columns.endpoints)
    if columns.devices:
        devices = f"{packet.iif or '·'} → {packet.oif or '·'}"
        pieces.append(TextPart(cell(devices, columns.devices), "device"))
    count = f"{packet.length} hops" if columns.hops >= 8 else str(packet.length)
    pieces.append(TextPart(count.rjust(columns.hops) + " ", "hops"))
    verdict_text = (
        "… reading" if verdict == "unknown" and explanation.is_pending else VERDICT_MARKS[verdict]
    )
    pieces.append(TextPart(verdict_text[: columns.verdict].ljust(columns.verdict), verdict))
    return tuple(pieces)


def _endpoints(packet: Packet, width: int) -> Iterator[TextPart]:
    """Source, destination and, after NAT, where the packet really goes."""
    rewritten = _rewritten(packet)
    least = len(_NAT_ARROW) + 1 if rewritten else 0
    plain = shown(report.endpoints(packet.header), max(0, width - least))
    yield TextPart(plain, "endpoints")
    mark = (
        _NAT_ARROW + tail(rewritten, width - cells_of(plain) - len(_NAT_ARROW)) if rewritten else ""
    )
    yield TextPart(mark, "nat")
    yield TextPart(" " * max(0, width - cells_of(plain + mark)) + " ", "endpoints")


def _rewritten(packet: Packet) -> Optional[str]:
    nat = packet.nat
    if not nat:
        return None
    if "dst" in nat or "dport" in nat:
        return sanitize(report.destination(packet))
    return sanitize(f"from {nat.get('src', '')}")
