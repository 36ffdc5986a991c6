"""Packets for others to read: as plain text, as Markdown for a ticket, as a record to replay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.filter.terms import ExplainPacket
from tracetui.model.trace import moments
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.state.session import Status
from tracetui.session.text.sanitize import sanitize, sanitize_json

TEXT, MARKDOWN, JSON = "text", "Markdown", "NDJSON"
FORMATS = (TEXT, MARKDOWN, JSON)
SUFFIXES = {TEXT: ".txt", MARKDOWN: ".md", JSON: ".ndjson"}

Pieces = Iterator[str]


def exported(
    form: str, packets: Iterable[Packet], explain: ExplainPacket, status: Status
) -> Pieces:
    """The packets in one of FORMATS, one piece of whole lines for each; inert on a terminal."""
    if form == JSON:
        yield from _records(packets, explain, status)
        return
    for packet in packets:
        explanation = explain(packet)
        yield _markdown(packet, explanation) if form == MARKDOWN else _text(packet, explanation)


def _text(packet: Packet, explanation: PacketExplanation) -> str:
    return "\n".join(report.packet_text(packet, explanation)) + "\n"


def _when(packet: Packet) -> str:
    return f"{moments.stamp(packet.stamped)}{'' if packet.time is None else ' UTC'}"


def _markdown(packet: Packet, explanation: PacketExplanation) -> str:
    """A summary line, the deciding trace point, and the hops in a fence they can't end."""
    ends = sanitize(report.endpoints(packet.header))
    after = f" ⇒ {_code(sanitize(report.destination(packet)))}" if packet.nat else ""
    head = f"**{_when(packet)} {sanitize(report.protocol(packet.header))}**"
    lines = [f"{head} {_code(ends)}{after}: **{explanation.verdict}**", ""]
    if explanation.decided is not None:
        decided = explanation.decided
        point = report.point_text(packet.hops[decided], explanation.hops[decided])
        lines += [f"Decided at {_code(sanitize(point))}.", ""]
    hops = list(report.packet_text(packet, explanation))[1:]
    fence = "`" * max(3, 1 + _longest_run("\n".join(hops)))
    return "\n".join([*lines, f"{fence}text", *hops, fence, "", ""])


def _records(packets: Iterable[Packet], explain: ExplainPacket, status: Status) -> Iterator[str]:
    count = hops = 0
    yield _line(report.hello(status))
    for packet in packets:
        value = report.packet_json(packet, explain(packet))
        for hop in value["hops"]:
            # The rulesets they point into are not exported; each rule's text stands in its hop.
            hop.pop("readings", None)
        count, hops = count + 1, hops + len(packet.hops)
        yield _line(value)
    totals = {"hops": hops, "packets": count, "lost": status.lost}
    yield _line({"kind": "bye", **totals, "unshown": status.unshown, "skipped": status.skipped})


def _line(value: object) -> str:
    return sanitize_json(json.dumps(value, ensure_ascii=False)) + "\n"


def _code(text: str) -> str:
    """A text as Markdown's code, whatever backticks it has."""
    ticks = "`" * (1 + _longest_run(text))
    gap = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{gap}{text}{gap}{ticks}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
