"""The line of a packet in the timeline, and the headings of its columns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Optional

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace import moments
from tracetui.model.trace.header import Header, endpoint
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.text.sanitize import sanitize
from tracetui.session.text.width import cells_of, fitted, tail
from tracetui.ui.widgets.text_parts import VERDICT_MARKS, Line, TextPart, cell

_ARROW, _NAT_ARROW = " → ", " ⇒ "
_FLAG_LETTERS = {"SYN": "S", "FIN": "F", "RST": "R", "PSH": "P", "URG": "U", "ECE": "E", "CWR": "W"}
"""tcpdump's letters (tcpdump(8), TCP Packets); ACK is a dot, and the last."""
_SHORT_TYPES = {
    "unreachable": "unreach", "ttl exceeded": "ttl exc", "neigh sol": "ndp sol",
    "neigh adv": "ndp adv", "router sol": "rtr sol", "router adv": "rtr adv",
    "mld report": "mld rep",
}  # fmt: skip
FULL_PROTOCOL = 12
"""Cells from which the protocol's column has TCP flags in words."""


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
        """The columns of a pane that many cells wide.

        Addresses get room first: the interfaces, the milliseconds, the flags' words and the
        seconds give way to them, in this order.
        """
        devices = 23 if width >= 142 else 0
        time = 12 if width >= 100 else 8 if width >= 70 else 5 if width >= 62 else 0
        proto = 17 if width >= 120 else FULL_PROTOCOL if width >= 92 else 8
        hops = 4 if width >= 92 else 3 if width >= 48 else 0
        verdict = 15 if width >= 142 else 9 if width >= 92 else 8 if width >= 52 else 1
        used = 2 + sum(part + 1 for part in (time, proto, devices, hops) if part) + verdict
        return cls(time, proto, max(10, width - used - 1), devices, hops, verdict)


def headings(columns: Columns) -> str:
    """The names of the columns, each above its own."""
    source, after = "source → destination", " ⇒ after NAT"
    ends = source + after if columns.endpoints >= len(source + after) else source
    texts = [
        cell("time", columns.time) if columns.time else "",
        cell("proto", columns.proto),
        cell(ends, columns.endpoints),
        cell("in → out", columns.devices) if columns.devices else "",
    ]
    head = "  " + "".join(texts)
    if columns.hops:
        # A narrow column's heading reaches into the blank before it.
        head = head[: len(head) + columns.hops - len("hops")] + "hops "
    return head + "verdict"[: columns.verdict if columns.verdict > 1 else 0]


def packet_line(
    packet: Packet, explanation: PacketExplanation, columns: Columns, marks: str
) -> Line:
    """The line of a packet; ``marks`` are the two cells before it."""
    verdict = explanation.verdict
    pieces = [TextPart(marks, "fold")]
    if columns.time:
        pieces.append(TextPart(moments.clock(packet.stamped)[: columns.time] + " ", "time"))
    pieces.append(TextPart(cell(_protocol(packet.header, columns.proto), columns.proto), "proto"))
    pieces += _endpoints(packet, columns.endpoints)
    if columns.devices:
        devices = f"{packet.iif or '·'} → {packet.oif or '·'}"
        pieces.append(TextPart(cell(devices, columns.devices), "device"))
    if columns.hops:
        pieces.append(TextPart(str(packet.length).rjust(columns.hops) + " ", "hops"))
    pieces.append(TextPart(_verdict(explanation, columns.verdict), verdict))
    return tuple(pieces)


def _verdict(explanation: PacketExplanation, width: int) -> str:
    """The verdict with its mark; where both have no room, the word alone, then the mark alone."""
    text = VERDICT_MARKS[explanation.verdict]
    mark, _, word = text.partition(" ")
    forms = [text, word, mark]
    if explanation.is_accepted_so_far:
        forms = [report.verdict_text(explanation), "· so far", mark]
    elif explanation.verdict == "unknown" and explanation.is_pending:
        forms = ["… reading", "reading", "…"]
    return next((form for form in forms if len(form) <= width), mark).ljust(width)


def _protocol(header: Optional[Header], width: int) -> str:
    """The protocol with its flags or its type: in words where there is room, else short."""
    whole = report.protocol(header)
    if header is None or header.proto is None or cells_of(whole) <= width:
        return whole
    if header.flags and width < FULL_PROTOCOL:
        words = header.flags.split()
        letters = "".join(_FLAG_LETTERS.get(word, "") for word in words)
        return f"{header.proto} [{letters}{'.' if 'ACK' in words else ''}]"
    if header.icmp_type is None:
        return whole
    # The name of an ICMP type tells its protocol too.
    name = report.icmp_name(header)
    return name if cells_of(name) <= width else _SHORT_TYPES.get(name, name)


def _endpoints(packet: Packet, width: int) -> Iterator[TextPart]:
    """Source, destination and, after NAT, where the packet really goes, which is never cut."""
    plain, mark = _fitting_ends(packet, width)
    yield TextPart(plain, "endpoints")
    yield TextPart(mark, "nat")
    yield TextPart(" " * max(0, width - cells_of(plain + mark)) + " ", "endpoints")


def _fitting_ends(packet: Packet, width: int) -> tuple[str, str]:
    """The ends before NAT and the one after it, in at most so many cells.

    The client's port goes first, then the destination that was rewritten, then the source.
    """
    header = packet.header
    if header is None or header.src is None:
        return fitted(sanitize(report.endpoints(header)), width), ""
    rewritten = _rewritten(packet)
    mark = f"{_NAT_ARROW}{rewritten}" if rewritten else ""
    ends = [sanitize(end) for end in _ends(header)]
    short = [sanitize(end) for end in _ends(_without_client_port(header))]
    kept = short[1:] if rewritten.startswith("from ") else short[:1]
    forms = [_ARROW.join(ends), _ARROW.join(short), *([kept[0], ""] if rewritten else [])]
    for plain in forms:
        if cells_of(plain + mark) <= width:
            return plain, mark if plain else mark.lstrip()
    if rewritten:
        return "", f"⇒ {_shortened(rewritten, width - 2)}"
    room = width - len(_ARROW)
    first = min(cells_of(short[0]), max(room // 2, room - cells_of(short[1])))
    return f"{_shortened(short[0], first)}{_ARROW}{_shortened(short[1], room - first)}", ""


def _ends(header: Header) -> tuple[str, str]:
    return endpoint(header.src, header.sport), endpoint(header.dst, header.dport)


def _without_client_port(header: Header) -> Header:
    """The header without the higher of its two ports: a service listens on the lower one."""
    if header.sport is None or header.dport is None:
        return header
    if header.sport >= header.dport:
        return header._replace(sport=None)
    return header._replace(dport=None)


def _shortened(end: str, width: int) -> str:
    """An address with its port in at most so many cells, cut in the middle of the address."""
    if cells_of(end) <= width:
        return end
    behind = tail(end, max(0, width - width // 3)).lstrip("…")
    return fitted(end, max(0, width - cells_of(behind))) + behind


def _rewritten(packet: Packet) -> str:
    """The destination after NAT, or where only the source was rewritten, that; empty for none."""
    nat = packet.nat
    if not nat:
        return ""
    if "dst" in nat or "dport" in nat:
        return sanitize(report.destination(packet))
    return sanitize(f"from {nat.get('src', '')}")
