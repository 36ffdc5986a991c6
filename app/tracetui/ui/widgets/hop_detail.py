"""What is under the cursor, in full: the rule as its tool prints it, and why."""

from __future__ import annotations

from typing import Optional

from rich.text import Text
from textual.widgets import Static

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.rules import chain_names
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.text.width import shown, wrapped

LINES = 4
"""As screens.tcss has it."""


class HopDetail(Static):
    """Four lines under the packets, always as many: nothing moves while packets come."""

    def __init__(self) -> None:
        super().__init__("", id="detail", markup=False)
        self._packet: Optional[Packet] = None
        self._explanation: Optional[PacketExplanation] = None
        self._hop: Optional[int] = None

    def show(
        self,
        packet: Optional[Packet],
        explanation: Optional[PacketExplanation],
        hop: Optional[int],
    ) -> None:
        """Tell about a hop, or about a packet as a whole."""
        if (packet, explanation, hop) != (self._packet, self._explanation, self._hop):
            self._packet, self._explanation, self._hop = packet, explanation, hop
            self._draw()

    def on_resize(self) -> None:
        """Fit the lines anew."""
        self._draw()

    def _draw(self) -> None:
        packet, explanation, width = self._packet, self._explanation, self.content_size.width
        if packet is None or explanation is None:
            text = Text()
        elif self._hop is None:
            text = _of_packet(packet, explanation, width)
        else:
            text = _of_hop(packet, explanation, self._hop, width)
        # Its height is fixed, so that nothing else has to be laid out anew.
        self.update(text, layout=False)


def _of_packet(packet: Packet, explanation: PacketExplanation, width: int) -> Text:
    verdict, decided, why = explanation.verdict, explanation.decided, explanation.why
    source = _source_of(packet, explanation)
    if decided is None:
        return _page(Text(), f"{verdict}: {why}" if why else verdict, "", source, width)
    here = explanation.hops[decided]
    head = Text(f"{verdict} at ", style="bold")
    head.append(shown(report.place_text(packet.hops[decided], here), width))
    if here.comment:
        head.append(f"  {shown(here.comment, width)}", style="not bold")
    changes = [one for one in explanation.changes if one.field in ("src", "dst", "mark")]
    return _page(
        head,
        why if here.rule is None else report.rule_text(here),
        ", ".join(report.change_text(one) for one in changes),
        source,
        width,
    )


def _of_hop(packet: Packet, explanation: PacketExplanation, index: int, width: int) -> Text:
    hop, here = packet.hops[index], explanation.hops[index]
    place = report.place_text(hop, here) if hop.backend == "legacy" else f"{hop.table}:{hop.chain}"
    head = Text(shown(f"{hop.backend} {hop.family} {place}", width), style="bold")
    told = ""
    handle = "" if hop.handle is None else f"  handle {hop.handle}"
    if here.number is not None and here.chain is not None:
        told = f"  rule {here.number:,} of {len(here.chain.rules):,}{handle}"
    elif here.chain is not None:
        count = len(here.chain.rules)
        told = f"  end of the chain, after {count:,} rule{'' if count == 1 else 's'}"
    else:
        told = handle
    comment = explanation.hops[index - 1].comment if index else None
    if name := chain_names.chain_label(hop.chain, here.chain, comment, table=hop.table):
        told += f"  {name}"
    head.append(shown(told, width), style="not bold")
    parts = (_verdict(here.verdict, hop.backend), report.changes_text(explanation, index))
    source = report.SOURCE_TEXTS.get(report.source_of(hop, here) or "", "")
    what = "  ".join(part for part in parts if part)
    return _page(head, report.rule_text(here), what, source, width)


def _page(head: Text, rule: str, what: str, source: str, width: int) -> Text:
    """The head on a line, the rule on as many as the others leave, what happened, the source."""
    head.truncate(max(0, width), overflow="ellipsis")
    lines = [head] if head else []
    room = LINES - len(lines) - bool(source)
    told = wrapped(what, width, room - bool(rule))
    lines += [Text(line) for line in (*wrapped(rule, width, room - len(told)), *told)]
    if source:
        lines.append(Text(shown(source, width), style="dim"))
    return Text("\n").join(lines)


def _source_of(packet: Packet, explanation: PacketExplanation) -> str:
    """What is to be known of a packet's hops: whose they may be, and whose word they are."""
    if packet.ambiguous:
        return report.AMBIGUOUS
    each = zip(packet.hops, explanation.hops)
    found = [source for one in each if (source := report.source_of(*one)) is not None]
    if not found:
        return ""
    count = "" if len(found) == len(packet.hops) else f"{len(found)} of {len(packet.hops)} hops "
    return count + report.SOURCE_TEXTS.get(found[0], "")


def _verdict(verdict: Optional[str], backend: str) -> str:
    if verdict is None:
        return ""
    return f"{verdict}, {'said the kernel' if backend == 'nft' else 'by the ruleset'}"
