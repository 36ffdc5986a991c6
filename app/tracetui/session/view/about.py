"""Everything that is known of one packet, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Optional

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.moments import dated
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report

BYTES_A_LINE = 16
LONGEST_FRAME = 1500
"""Bytes of an IP packet in an Ethernet frame, where nobody has set another MTU."""
_LABEL = 10


def about(packet: Packet, explanation: PacketExplanation) -> Iterator[str]:
    """The packet as it came, what became of it, and its headers, in fields and bytes.

    Text of others in it is as it came; whoever shows a line makes it inert.
    """
    yield _field("verdict", report.verdict_text(explanation))
    if explanation.why:
        yield _field("why", explanation.why)
    if explanation.decided is not None:
        yield _field("decided at", _point(packet, explanation, explanation.decided))
    if packet.ambiguous:
        yield report.AMBIGUOUS
    yield _field("time", dated(packet.stamped))
    yield _field("hops", f"{len(packet.hops)}, {_sources(packet, explanation)}")
    ids = sorted({hop.trace_id for hop in packet.hops if hop.trace_id is not None})
    if ids:
        yield _field("trace id", " ".join(f"{one:08x}" for one in ids))
    for change in explanation.changes:
        point = _point(packet, explanation, change.hop_index)
        yield _field("changed", f"{report.change_text(change)}, at {point}")
    longest = max((hop.header.length or 0 for hop in packet.hops if hop.header), default=0)
    if longest > LONGEST_FRAME and packet.iif != "lo":
        heading = "of several segments (GSO, GRO), unless the MTU is larger"
        yield _field(
            "length", f"{longest:,}: more than a frame's {LONGEST_FRAME:,}, an aggregate {heading}"
        )
    fields_before: dict[str, object] = {}
    before: Optional[Header] = None
    for index, hop in enumerate(packet.hops):
        if hop.header is None or hop.header == before:
            continue
        before = hop.header
        fields = _of_hop(hop, hop.header)
        new = {name: value for name, value in fields.items() if fields_before.get(name) != value}
        yield ""
        heading = "changed at" if fields_before else "at"
        hook = packet.hook_of(index) or "an unknown hook"
        yield f"{heading} {hook}, {_point(packet, explanation, index)}"
        yield from _fields(new)
        yield from _bytes(hop.header.raw)
        fields_before.update(fields)


def _point(packet: Packet, explanation: PacketExplanation, index: int) -> str:
    return report.point_text(packet.hops[index], explanation.hops[index])


def _of_hop(hop: Hop, header: Header) -> dict[str, object]:
    fields = {name.replace("_", " "): value for name, value in header._asdict().items()}
    del fields["raw"]
    mark = None if hop.mark is None else f"{hop.mark:#x}"
    return {**fields, "mark": mark, "in": hop.iif, "out": hop.oif, "mac": hop.mac}


def _fields(values: Mapping[str, object]) -> Iterator[str]:
    """Lines for the fields that are known."""
    for name, value in values.items():
        if value is not None:
            yield _field(name, str(value))


def _field(name: str, value: str) -> str:
    return f"{name:<{_LABEL}} {value}"


def _bytes(raw: Optional[bytes]) -> Iterator[str]:
    """Lines in the form of hexdump -C."""
    if raw is None:
        yield "(no bytes: the source is text)"
        return
    for offset in range(0, len(raw), BYTES_A_LINE):
        piece = raw[offset : offset + BYTES_A_LINE]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        yield f"{offset:04x}  {piece.hex(' '):<{3 * BYTES_A_LINE}} {letters}"


def _sources(packet: Packet, explanation: PacketExplanation) -> str:
    backends = sorted({hop.backend for hop in packet.hops})
    pairs = zip(packet.hops, explanation.hops)
    sources = {source for pair in pairs if (source := report.source_of(*pair)) is not None}
    source_texts = sorted(report.SOURCE_TEXTS[source] for source in sources)
    return ", ".join([*backends, *source_texts])
