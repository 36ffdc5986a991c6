"""Packets for others to read: as plain text, as Markdown for a ticket, as a record to replay."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

from tracetui import __version__
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
        write = _markdown if form == MARKDOWN else _text
        yield write(packet, explanation, _origin(status))


def _text(packet: Packet, explanation: PacketExplanation, origin: str) -> str:
    """A packet for a ticket: when, which, what became of it and by which rule, NAT, the path."""
    lines = [
        f"{_when(packet)}  {report.protocol(packet.header)}  {report.endpoints(packet.header)}"
        f"  in {packet.iif or '-'}  out {packet.oif or '-'}",
        *_outcome(packet, explanation),
        origin,
        "",
        *_hops(packet, explanation),
    ]
    return "\n".join(map(sanitize, lines)) + "\n"


def _when(packet: Packet) -> str:
    """The packet's time with its date and zone; milliseconds are enough for a person."""
    when = moments.dated(packet.stamped)
    return when if packet.time is None else f"{when[:-7]} UTC"


def _origin(status: Status) -> str:
    """Where the trace was taken, and by what: host, namespace, program."""
    netns = f"namespace {status.netns}" if status.netns else "host namespace" if status.live else ""
    parts = (f"host {status.host}" if status.host else "", netns, f"tracetui {__version__}")
    return ", ".join(filter(None, parts))


def _outcome(
    packet: Packet, explanation: PacketExplanation, quoted: Callable[[str], str] = str
) -> Iterator[str]:
    """The fate of a packet in a sentence, the rule that decided, and NAT; a line for each."""
    yield report.outcome_text(packet, explanation, quoted)
    decided = explanation.decided
    if decided is not None and explanation.hops[decided].rule is not None:
        yield f"rule: {quoted(report.rule_text(explanation.hops[decided]))}"
    yield from report.caveats(packet, explanation)
    nat = [change for change in explanation.changes if change.field in ("src", "dst")]
    if nat:
        yield f"NAT: {quoted(', '.join(map(report.change_text, nat)))}"


def _hops(packet: Packet, explanation: PacketExplanation) -> Iterator[str]:
    """A line for each hop, those of TRACE rules of ours left out."""
    for index, explained in enumerate(explanation.hops):
        if not explained.is_own:
            yield f"  {report.hop_text(packet, explanation, index)}"


def _markdown(packet: Packet, explanation: PacketExplanation, origin: str) -> str:
    """A summary line, what became of the packet, and the hops in a fence they can't end."""
    ends = sanitize(report.endpoints(packet.header))
    after = f" ⇒ {_code(sanitize(report.destination(packet)))}" if packet.nat else ""
    head = f"**{_when(packet)} {sanitize(report.protocol(packet.header))}**"
    outcome = _outcome(packet, explanation, lambda text: _code(sanitize(text)))
    lines = [f"{head} {_code(ends)}{after}: **{report.verdict_text(explanation)}**", ""]
    lines += [f"- {line}" for line in (*outcome, sanitize(origin))]
    hops = list(_hops(packet, explanation))
    fence = "`" * max(3, 1 + _longest_run("\n".join(hops)))
    return "\n".join([*lines, "", f"{fence}text", *hops, fence, "", ""])


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
